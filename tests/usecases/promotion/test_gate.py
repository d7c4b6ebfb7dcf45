from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.usecases.promotion.model import Gate, Verdict, decide

pytestmark = pytest.mark.unit


def checks(gate: Gate) -> dict[str, str]:
    return {check.name: check.verdict.value for check in gate.checks}


def reasons(gate: Gate) -> str:
    return " ".join(check.reason for check in gate.checks)


def champion(desk: Any, answer: Any = None, table: pa.Table | None = None, **metadata: str) -> int:
    version = desk.shelf.add(answer or desk.by("strong"), table or desk.flights(seed=1), **metadata)
    desk.shelf.point("late", "production", version, "ada", "first")
    return version


def test_without_a_champion_the_comparison_is_not_run_and_the_gate_may_pass(desk: Any) -> None:
    desk.rules["production"] = {"minimum": 0.6}
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert gate.verdict is Verdict.PASSED
    assert checks(gate) == {"held_out_rows": "passed", "auc_floor": "passed", "no_worse": "not_run"}
    assert "no champion to compare with" in reasons(gate)


def test_first_version_waits_where_the_rules_say_so(desk: Any) -> None:
    desk.rules["production"] = {"first": "refused"}
    assert desk.gate(desk.shelf.add(desk.by("strong"), desk.flights())).verdict is Verdict.NOT_RUN


def test_first_version_below_the_floor_fails(desk: Any) -> None:
    desk.rules["production"] = {"minimum": 0.99}
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert gate.verdict is Verdict.FAILED
    assert "is below 0.99" in reasons(gate)


def test_a_floor_under_a_loss_is_a_ceiling(desk: Any) -> None:
    desk.rules["production"] = {"metric": "brier", "minimum": 0.01}
    assert "is above 0.01" in reasons(desk.gate(desk.shelf.add(desk.by("strong"), desk.flights())))


def test_a_better_candidate_passes_and_a_worse_one_fails(desk: Any) -> None:
    desk.rules["production"] = {"better": True}
    weak = champion(desk, desk.by("weak"))
    better = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert (better.champion, better.verdict) == (weak, Verdict.PASSED)
    desk.shelf.point("late", "production", 2, "ada", "better")
    assert checks(desk.gate(desk.shelf.add(desk.by("weak"), desk.flights()))) == {
        "held_out_rows": "passed",
        "no_worse": "failed",
        "better": "failed",
    }


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier"])
def test_more_is_better_whatever_the_metric(desk: Any, metric: str) -> None:
    desk.rules["production"] = {"metric": metric, "better": True}
    champion(desk, desk.by("weak"))
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert gate.verdict is Verdict.PASSED
    assert gate.evidence.gain is not None
    assert gate.evidence.gain.value > 0


def test_a_copy_of_the_champion_is_no_worse_but_not_better(desk: Any) -> None:
    desk.rules["production"] = {"better": True, "no_worse_by": 0.0}
    champion(desk)
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert checks(gate) == {"held_out_rows": "passed", "no_worse": "passed", "better": "failed"}


def test_worse_for_one_carrier_only_fails(desk: Any) -> None:
    desk.rules["production"] = {"no_worse_by": 0.05, "slices": [{"column": "carrier", "minimum_rows": 300}]}
    champion(desk)
    table = desk.flights(seed=2)
    spoilt = np.asarray(table["carrier"].to_numpy(zero_copy_only=False) == "B6")
    noise = np.random.default_rng(5).normal(size=len(spoilt)) * 1.2
    table = table.append_column("noise", pa.array(np.where(spoilt, noise, 0.0)))
    strong = table["strong"].to_numpy() + table["noise"].to_numpy()
    gate = desk.gate(desk.shelf.add(lambda columns: 1 / (1 + np.exp(-strong[: len(columns["strong"])])), table))
    assert checks(gate) == {"held_out_rows": "passed", "no_worse": "passed", "slices_carrier": "failed"}
    assert gate.verdict is Verdict.FAILED
    assert "worse in auc for carrier B6 (" in reasons(gate)
    assert "UA" not in reasons(gate)


def test_small_slices_are_listed_and_not_judged(desk: Any) -> None:
    desk.rules["production"] = {"slices": [{"column": "carrier", "minimum_rows": 100_000}]}
    champion(desk)
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert checks(gate)["slices_carrier"] == "not_run"
    assert gate.verdict is Verdict.NOT_RUN
    assert {part.value: part.reason for part in gate.evidence.slices}["AA"] == "fewer than 100000 rows"


def test_latency_over_budget_fails(desk: Any) -> None:
    desk.rules["production"] = {"latency_ms": 2}

    def slow(columns: Any) -> Any:
        time.sleep(0.003 if len(columns["strong"]) == 1 else 0)
        return desk.by("strong")(columns)

    gate = desk.gate(desk.shelf.add(slow, desk.flights()))
    assert checks(gate)["latency"] == "failed"
    assert gate.evidence.latency is not None
    assert gate.evidence.latency.p50_ms >= 3


def test_latency_within_budget_passes(desk: Any) -> None:
    desk.rules["production"] = {"latency_ms": 500, "latency_rows": 10}
    assert checks(desk.gate(desk.shelf.add(desk.by("strong"), desk.flights())))["latency"] == "passed"


def test_a_champion_that_has_seen_the_held_out_rows_is_no_measure(desk: Any) -> None:
    champion(desk, trained_until="2013-04-10T00:00:00Z")
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))
    assert gate.verdict is Verdict.NOT_RUN
    assert "version 1 was trained on rows until 2013-04-10T00:00:00Z, inside the held-out period" in reasons(gate)


def test_a_challenger_that_has_seen_its_held_out_rows_is_not_scored(desk: Any) -> None:
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights(), trained_until="2013-04-02T00:00:00Z"))
    assert gate.verdict is Verdict.NOT_RUN
    assert gate.evidence.score is None


def test_training_that_ended_before_the_period_is_fine(desk: Any) -> None:
    champion(desk, trained_until="2013-03-01T00:00:00Z")
    version = desk.shelf.add(desk.by("strong"), desk.flights(), trained_until="2013-04-01T00:00:00Z")
    assert desk.gate(version).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: table.drop_columns(["late"]), "is the label cannot be told."),
        (lambda table: table.drop_columns(["strong"]), "no column 'strong'"),
        (lambda table: table.slice(0, 50), "50 held-out rows are too few"),
        (lambda table: table.slice(0, 900), "the rows span 3 blocks"),
        (lambda table: table.set_column(2, "late", pa.array([1] * len(table))), "all held-out rows have the same"),
        (lambda table: table.slice(0, 0), "no held-out row has a label"),
        (lambda table: table.set_column(2, "late", pa.array([7] * len(table))), "needs labels 0 and 1"),
        (lambda table: table.set_column(3, "event_time", pa.array(["soon"] * len(table))), "is no time"),
    ],
)
def test_what_cannot_be_judged_is_said_and_never_passes(desk: Any, change: Any, expected: str) -> None:
    champion(desk)
    gate = desk.gate(desk.shelf.add(desk.by("strong"), change(desk.flights())))
    assert gate.verdict is Verdict.NOT_RUN
    assert expected in reasons(gate)


def test_predictions_that_are_no_numbers_are_not_scored(desk: Any) -> None:
    gate = desk.gate(desk.shelf.add(lambda columns: columns["strong"] * np.nan, desk.flights()))
    assert "predicts no number for 6000 of 6000" in reasons(gate)


def test_rows_without_a_time_count_one_by_one(desk: Any) -> None:
    champion(desk)
    gate = desk.gate(desk.shelf.add(desk.by("strong"), desk.flights().drop_columns(["event_time"])))
    assert gate.verdict is Verdict.PASSED
    assert gate.evidence.notes == ("no event_time: every row counts as independent",)


def test_missing_labels_are_left_out(desk: Any) -> None:
    table = desk.flights()
    late = pa.array(table["late"].to_numpy(), mask=np.arange(len(table)) % 2 == 0)
    assert desk.gate(desk.shelf.add(desk.by("strong"), table.set_column(2, "late", late))).evidence.rows == 3000


def test_the_label_is_told_by_metadata_or_by_being_the_only_column_of_zero_and_one(desk: Any) -> None:
    table = desk.flights().rename_columns(["strong", "weak", "arrived_late", "event_time", "carrier"])
    assert desk.gate(desk.shelf.add(desk.by("strong"), table)).verdict is Verdict.PASSED
    both = table.append_column("cancelled", pa.array(np.arange(len(table)) % 2))
    gate = desk.gate(desk.shelf.add(desk.by("strong"), both))
    assert "is the label cannot be told (arrived_late, cancelled could be)" in reasons(gate)
    assert desk.gate(desk.shelf.add(desk.by("strong"), both, label="arrived_late")).verdict is Verdict.PASSED
    gate = desk.gate(desk.shelf.add(desk.by("strong"), both, label="carrier"))
    assert "The label 'carrier' of the held-out rows is no number" in reasons(gate)


def test_a_gate_that_is_written_wrongly_is_refused_before_anything_runs(desk: Any) -> None:
    desk.rules["production"] = {"metrik": "auc"}
    with pytest.raises(Invalid, match=r"gate of late@production is written wrongly.*metrik"):
        desk.gate(desk.shelf.add(desk.by("strong"), desk.flights()))


def test_an_unknown_version_is_not_found(desk: Any) -> None:
    with pytest.raises(NotFound, match="no version 9"):
        desk.gate(9)


def test_each_stored_verdict_agrees_with_its_stored_evidence(desk: Any) -> None:
    desk.rules["production"] = {
        "better": True,
        "slices": [{"column": "carrier", "minimum_rows": 300}],
        "latency_ms": 50,
    }
    champion(desk, desk.by("weak"))
    for answer, table in [
        (desk.by("strong"), desk.flights(seed=3)),
        (desk.by("weak"), desk.flights(seed=4)),
        (desk.by("weak"), desk.flights(days=2)),
    ]:
        desk.gate(desk.shelf.add(answer, table))
    stored = desk.promotion.gates()
    assert [gate.verdict.value for gate in stored] == ["not_run", "failed", "passed"]
    for gate in stored:
        again = decide(gate.evidence, gate.config)
        assert (again.verdict, again.checks) == (gate.verdict, gate.checks)
        assert desk.promotion.verdict(gate.id) == gate
    assert [fact.body["verdict"] for fact in desk.facts.kept] == ["passed", "failed", "not_run"]
