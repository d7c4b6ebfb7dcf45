"""What a shadow would have answered, beside what was answered: differences, latency, errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.ids import checked_name

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "at", "revision", "prediction", "latency_us")
EXAMPLES = 10
QUANTILES = (0.5, 0.9, 0.99)
EQUAL = 1e-9


class Example(msgspec.Struct, frozen=True):
    """One request answered and copied."""

    id: str
    at: str
    live: float | str | None
    shadow: float | str | None


class ShadowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A shadow's answers to `compared` rows that were answered too. `answered`, `failed` and `dropped` count copied
    requests. Differences are shadow - live: their mean, and of their absolute values mean, largest and quantiles (None for
    text). Two numbers differ when they are more than 1e-9 apart, relatively from 1 on. Latencies in milliseconds, by
    "p50", "p99": of the answer as its caller saw it, and of the copy from when it was made."""

    endpoint: str
    arm: str
    revision: int
    version: int
    share: float
    since: str
    answered: int
    failed: int
    dropped: int
    compared: int
    different: int
    mean_difference: float | None
    mean_absolute: float | None
    largest: float | None
    quantiles: dict[str, float]
    live_ms: dict[str, float]
    shadow_ms: dict[str, float]
    examples: list[Example]


def summary(
    home: Path, endpoint: str, revision: int, told: dict[str, Any], since: str, until: str | None = None
) -> ShadowSummary:
    """Compare what the shadow's log and the log of answers hold from `since` on. `told`: the fields that are counted and
    known elsewhere."""
    from loopline.usecases.serving.records.reading import read_predictions
    from loopline.usecases.serving.records.writing import SHADOWS

    checked_name("endpoint", endpoint)
    mine = read_predictions(home / SHADOWS, endpoint, since, until, "at", COLUMNS)
    mine = _of(mine, revision)
    theirs = read_predictions(home, endpoint, since, until, "at", COLUMNS) if mine.num_rows else mine
    pairs = theirs.select(["id", "at", "prediction", "latency_us"]).join(
        mine.select(["id", "prediction", "latency_us"]), "id", join_type="inner", right_suffix="_shadow"
    )
    return ShadowSummary(endpoint=endpoint, revision=revision, since=since, **told, **_compared(pairs.sort_by("id")))


def _of(table: pa.Table, revision: int) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.equal(table["revision"], revision))


def _compared(pairs: pa.Table) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    numeric = all(pa.types.is_floating(pairs[name].type) for name in ("prediction", "prediction_shadow"))
    found: dict[str, Any] = {
        "compared": pairs.num_rows,
        "live_ms": _latency(pairs["latency_us"]),
        "shadow_ms": _latency(pairs["latency_us_shadow"]),
        "mean_difference": None,
        "mean_absolute": None,
        "largest": None,
        "quantiles": {},
    }
    if numeric:
        live, shadow = pairs["prediction"].to_numpy(), pairs["prediction_shadow"].to_numpy()
        apart = np.abs(shadow - live)
        differs = apart > EQUAL * np.maximum(1.0, np.abs(live))
        order = np.argsort(-apart, kind="stable")
        if len(apart):
            quantiles = {f"p{round(100 * share)}": float(np.quantile(apart, share)) for share in QUANTILES}
            found |= {
                "mean_difference": float((shadow - live).mean()),
                "mean_absolute": float(apart.mean()),
                "largest": float(apart.max()),
                "quantiles": quantiles,
            }
    else:
        texts = [np.asarray(pairs[name].to_pylist(), dtype=object) for name in ("prediction", "prediction_shadow")]
        differs = np.asarray(texts[0] != texts[1], dtype=bool).reshape(-1)
        order = np.argsort(~differs, kind="stable")
    wanted = [place for place in order[:EXAMPLES].tolist() if differs[place]]
    return {**found, "different": int(differs.sum()), "examples": [_example(pairs, place) for place in wanted]}


def _example(pairs: pa.Table, place: int) -> Example:
    from loopline.core.times import from_ms

    row = pairs.slice(place, 1).to_pylist()[0]
    return Example(row["id"], from_ms(round(row["at"].timestamp() * 1000)), row["prediction"], row["prediction_shadow"])


def _latency(microseconds: pa.ChunkedArray) -> dict[str, float]:
    import numpy as np

    if not len(microseconds):
        return {}
    p50, p99 = np.percentile(microseconds.to_numpy(), [50, 99]) / 1000
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}
