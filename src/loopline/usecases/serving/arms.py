"""What became of each arm once truth arrived: means, differences with intervals that hold at any time, and whether the
arms got their shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid
from loopline.kit.sequential import log_evidence_shares
from loopline.usecases.serving.traffic import LIVE, Traffic

if TYPE_CHECKING:
    import pyarrow as pa

METRICS = ("accuracy", "absolute_error", "log_loss", "truth")
LARGER_IS_BETTER = {"accuracy": True, "absolute_error": False, "log_loss": False, "truth": True}
COLUMNS = ("id", "arm", "key", "caller", "event_time", "prediction")
ERROR = 0.05
MISMATCH = 0.001
POINTS = 60
SMALLEST = 1e-15
JOIN = """
WITH by_id AS (SELECT prediction_id AS id, arg_max_null(value, seq) AS value, arg_max_null(label, seq) AS label,
                      max(seq) AS seq FROM truth WHERE prediction_id IS NOT NULL GROUP BY 1),
     by_key AS (SELECT key, event_time, arg_max_null(value, seq) AS value, arg_max_null(label, seq) AS label,
                       max(seq) AS seq FROM truth WHERE key IS NOT NULL GROUP BY 1, 2)
SELECT p.arm, p.unit, p.prediction, coalesce(i.value, k.value) AS value, coalesce(i.label, k.label) AS label
FROM predictions p LEFT JOIN by_id i ON p.id = i.id
LEFT JOIN by_key k ON i.id IS NULL AND p.key = k.key AND p.event_time = k.event_time
WHERE coalesce(i.seq, k.seq) IS NOT NULL ORDER BY coalesce(i.seq, k.seq), p.id
"""


class ArmOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One arm. `units` are what was assigned (keys, callers or requests), `labelled` the predictions whose truth is known,
    `mean` that of the metric over units."""

    name: str
    revision: int
    version: int
    share: float
    predictions: int
    units: int
    labelled: int
    mean: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """An arm against what is live: difference of means (arm - live) and its interval, None while it is too early. `course`
    holds [units, difference, low, high] as truth arrived. `verdict`: better, worse, or open."""

    arm: str
    difference: float | None
    low: float | None
    high: float | None
    verdict: str
    course: list[list[float]]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All arms since their shares became what they are. The intervals of all comparisons hold together, at any time, with
    probability 1 - `error`. `mismatch`: how improbable the units' distribution over the arms is at the shares that stand
    (an anytime p-value); below 0.001 something is wrong with the sharing, and no difference should be believed."""

    endpoint: str
    metric: str
    larger_is_better: bool
    unit: str
    since: str
    error: float
    arms: list[ArmOutcome]
    comparisons: list[Comparison]
    mismatch: float
    mismatched: bool


def outcome(
    endpoint: str, traffic: Traffic, versions: dict[str, tuple[int, int]], predictions: pa.Table, truth: pa.Table,
    metric: str,
) -> Outcome:  # fmt: skip
    """Compare the arms of `traffic`. `versions`: arm to (revision, version), with "live"; `predictions` (COLUMNS) are
    those made since the shares stand. Invalid for a metric that cannot be."""
    import numpy as np

    if metric and metric not in METRICS:
        raise Invalid(f"There is no metric {metric[:40]!r} here.", f"Use one of {', '.join(METRICS)}.")
    unit, marked = with_units(predictions, traffic.by)
    found = comparable(_joined(marked, truth))
    metric = metric or default_metric(found)
    arm_of, values, rows = by_unit(found, scored(found, metric))
    names = [LIVE, *(arm.name for arm in traffic.arms)]
    shares = {LIVE: 1 - sum(arm.share for arm in traffic.arms)} | {arm.name: arm.share for arm in traffic.arms}
    units = _units(marked, names)
    chance = mismatch([units[name] for name in names], [shares[name] for name in names])
    comparisons = [compared(arm_of, values, name, metric, ERROR / max(1, len(names) - 1)) for name in names[1:]]
    counts = {name: int(np.sum(np.asarray(marked["arm"].to_pylist()) == name)) for name in names}
    arms = [
        ArmOutcome(
            name=name, revision=versions[name][0], version=versions[name][1], share=shares[name],
            predictions=counts[name], units=units[name], labelled=int(rows[arm_of == name].sum()),
            mean=float(values[arm_of == name].mean()) if (arm_of == name).any() else None,
        )
        for name in names
    ]  # fmt: skip
    return Outcome(
        endpoint=endpoint, metric=metric, larger_is_better=LARGER_IS_BETTER[metric], unit=unit, since=traffic.since,
        error=ERROR, arms=arms, comparisons=comparisons, mismatch=chance, mismatched=chance < MISMATCH,
    )  # fmt: skip


def with_units(predictions: pa.Table, by: str) -> tuple[str, pa.Table]:
    """What was assigned to arms (key, caller or request), and the predictions with it as `unit`; rows that nothing was
    assigned by are left out. A header is not on record: its requests count one by one."""
    import pyarrow.compute as pc

    if by in ("key", "caller"):
        kept = predictions.filter(pc.is_valid(predictions[by]))
        return by, kept.append_column("unit", kept[by])
    return "request", predictions.append_column("unit", pc.utf8_slice_codeunits(predictions["id"], 0, 21))


def comparable(found: pa.Table) -> pa.Table:
    """Joined rows whose truth is of the kind that is predicted: where that is a text, a number as truth is written as one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(found["prediction"].type):
        return found.filter(pc.is_valid(found["value"]))
    written = pa.array(
        [None if value is None else f"{value:.17g}" for value in found["value"].to_pylist()], pa.string()
    )
    return found.set_column(found.column_names.index("label"), "label", pc.coalesce(found["label"], written))


def default_metric(found: pa.Table) -> str:
    """Accuracy where the truth is yes or no, or a text, else the absolute error."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(found["prediction"].type):
        return "accuracy"
    values = set(pc.unique(found["value"]).to_pylist()[:3])
    return "accuracy" if values <= {0.0, 1.0} else "absolute_error"


def scored(found: pa.Table, metric: str) -> Any:
    """The metric of each row. Invalid where predictions are text and the metric needs numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(found["prediction"].type):
        if metric == "accuracy" and _same_words(found):
            said = pc.fill_null(pc.equal(found["prediction"], found["label"]), False)
            return said.to_numpy().astype(np.float64)
        if metric != "truth" or found["value"].null_count:
            raise Invalid(
                "The predictions are text, the truth is not of their words.", "Compare the arms by --metric truth."
            )
    value = found["value"].to_numpy()
    if metric == "truth":
        return value
    predicted = found["prediction"].to_numpy().astype(np.float64)
    if metric == "absolute_error":
        return np.abs(predicted - value)
    if metric == "log_loss":
        sure = np.clip(predicted, SMALLEST, 1 - SMALLEST)
        return -np.where(value >= 0.5, np.log(sure), np.log1p(-sure))
    binary = bool(np.isin(value, (0.0, 1.0)).all() and ((predicted >= 0) & (predicted <= 1)).all())
    return ((predicted >= 0.5) == (value >= 0.5) if binary else predicted == value).astype(np.float64)


def _same_words(found: pa.Table) -> bool:
    """Whether any truth is one of the texts that are predicted (or there is none yet): else the two speak of other things."""
    import pyarrow.compute as pc

    seen = pc.unique(found["prediction"])
    return not found.num_rows or bool(pc.any(pc.is_in(found["label"], value_set=seen)).as_py())


def by_unit(found: pa.Table, scores: Any) -> tuple[Any, Any, Any]:
    """(arm, mean score, rows) of each unit, in the order in which their first truth arrived: what one key or caller does
    is one observation, however many rows it has."""
    import numpy as np

    arm, unit = np.asarray(found["arm"].to_pylist()), np.asarray(found["unit"].to_pylist())
    if not len(arm):
        return arm, np.empty(0), np.empty(0)
    _, first, code = np.unique(np.char.add(np.char.add(arm, "\n"), unit), return_index=True, return_inverse=True)
    rows = np.bincount(code)
    means = np.bincount(code, weights=scores) / rows
    order = np.argsort(first, kind="stable")
    return arm[first[order]], means[order], rows[order]


def compared(arm_of: Any, values: Any, name: str, metric: str, error: float) -> Comparison:
    """One arm against what is live."""
    import numpy as np

    from loopline.kit.always_valid import difference

    both = (arm_of == LIVE) | (arm_of == name)
    course = difference(values[both], arm_of[both] == name, error, points=POINTS)
    kept = ~np.isnan(course.estimate)
    table = np.column_stack([course.units[kept], course.estimate[kept], course.low[kept], course.high[kept]])
    if not len(table):
        return Comparison(arm=name, difference=None, low=None, high=None, verdict="open", course=[])
    _, found, low, high = (float(each) for each in table[-1])
    better = LARGER_IS_BETTER[metric]
    verdict = "open" if low <= 0 <= high else "better" if (low > 0) == better else "worse"
    rounded = [[int(row[0]), *(float(f"{each:.6g}") for each in row[1:])] for row in table.tolist()]
    return Comparison(arm=name, difference=found, low=low, high=high, verdict=verdict, course=rounded)


def mismatch(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The anytime p-value of the arms' shares: 1 over the largest evidence against them; arms without a share are left
    out."""
    pairs = [(count, share) for count, share in zip(counts, shares, strict=True) if share > 1e-9]
    if len(pairs) < 2:
        return 1.0
    evidence = log_evidence_shares([count for count, _ in pairs], [share for _, share in pairs])
    return min(1.0, math.exp(-max(0.0, evidence)))


def _units(marked: pa.Table, names: Sequence[str]) -> dict[str, int]:
    found = marked.group_by("arm").aggregate([("unit", "count_distinct")])
    counts = dict(zip(found["arm"].to_pylist(), found["unit_count_distinct"].to_pylist(), strict=True))
    return {name: counts.get(name, 0) for name in names}


def _joined(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """Predictions with the truth that is known of them (the newest that arrived), in the order of its arrival: arm, unit,
    prediction, value."""
    import duckdb

    from loopline.usecases.serving.records.tables import completed_truth

    with duckdb.connect() as connection:
        connection.register("predictions", predictions)
        connection.register("truth", completed_truth(truth))
        return connection.sql(JOIN).to_arrow_table()
