"""Versions on the same held-out rows, and questions for a process that may load models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from loopline.core.errors import Conflict, Invalid, NotFound, Unavailable
from loopline.kit.scores import influences
from loopline.usecases.promotion import siding

pytestmark = pytest.mark.integration


def test_versions_are_scored_on_the_same_rows(desk: Any) -> None:
    table = desk.flights(days=8, per_day=100)
    desk.shelf.add(desk.by("weak"), table, trained_until="2013-04-04")
    desk.shelf.add(desk.by("strong"), table, trained_until="2013-03-30")
    assert desk.promotion.sides("late", [1, 2]) is None
    found = desk.promotion.side_by_side("late", [1, 2])
    assert (found.held_out_of, found.rows, found.metrics[0]) == (2, 800, "auc")
    for side, column in zip(found.sides, ("weak", "strong"), strict=True):
        truth, predicted = table["late"].to_numpy().astype(float), desk.by(column)({column: table[column].to_numpy()})
        for metric in found.metrics:
            assert side.scores[metric].value == pytest.approx(influences(metric, truth, predicted)[0], abs=1e-12)
            assert 0 < side.scores[metric].standard_error < 0.5
        assert [one.rows for one in side.latency] == [1]  # there are not 1,000 rows
        assert sum(one.rows for one in side.calibration.bins) == 800
    assert "has seen these rows" in found.sides[0].notes[0]
    assert found.sides[1].notes == ()
    assert {part.value for part in found.slices} == {"AA", "B6", "UA"}
    assert sum(part.rows for part in found.slices) == 800
    assert desk.promotion.sides("late", [1, 2]) == desk.promotion.measured("late", 1) == found
    assert desk.promotion.sides("late", [2, 1]) is None  # another question


def test_a_version_that_cannot_predict_leaves_the_others(desk: Any) -> None:
    table = desk.flights(days=3, per_day=50)

    def broken(columns: Any) -> Any:
        raise RuntimeError("no such tree")

    desk.shelf.add(broken, table)
    desk.shelf.add(lambda columns: 3 + columns["strong"], table)
    found = desk.promotion.side_by_side("late", [1, 2], on=1)
    assert found.sides[0].problem.startswith("It cannot predict these rows: RuntimeError: no such tree")
    assert set(found.sides[1].scores) == {"auc"}
    assert found.sides[1].calibration is None
    assert found.sides[1].notes == ("its answers are no probabilities",)
    assert {part.scores[0] for part in found.slices} == {None}


@pytest.mark.parametrize(("versions", "error"), [([], Invalid), (list(range(1, 10)), Invalid), ([9], NotFound)])
def test_what_cannot_be_compared_is_refused(desk: Any, versions: list[int], error: type[Exception]) -> None:
    desk.shelf.add(desk.by("weak"), desk.flights(days=3, per_day=20))
    with pytest.raises(error):
        desk.promotion.side_by_side("late", versions)


def test_versions_without_held_out_rows_are_refused(desk: Any) -> None:
    desk.shelf.add(desk.by("weak"), desk.flights(days=3, per_day=20))
    desk.shelf.versions[1].evaluation_digest = None
    with pytest.raises(Conflict, match="has held-out rows"):
        desk.promotion.side_by_side("late", [1])


def test_calibration_is_the_mean_distance_over_tenths() -> None:
    """Against a plain loop over the definition (Guo et al. 2017, equation 5)."""
    random = np.random.default_rng(5)
    predicted = random.random(500)
    truth = (random.random(500) < predicted**2).astype(float)
    predicted[0], truth[0] = 1.0, 1.0
    found = siding.calibration(truth, predicted)
    assert found is not None
    expected = 0.0
    for tenth in range(10):
        inside = [place for place in range(500) if min(int(predicted[place] * 10), 9) == tenth]
        gap = abs(sum(predicted[place] for place in inside) - sum(truth[place] for place in inside)) / len(inside)
        expected += len(inside) / 500 * gap
    assert found.error == pytest.approx(expected, abs=1e-12)
    assert siding.calibration(truth, predicted + 0.5) is None
    assert siding.calibration(truth[:0], predicted[:0]) is None


def test_a_question_is_answered_once_and_what_fails_is_the_answer(desk: Any) -> None:
    promotion = desk.promotion
    first = promotion.ask("promotion.gate", {"a": 1}, "ada", 2)
    assert promotion.ask("promotion.gate", {"a": 1}, "ada", 2).id == first.id
    other = promotion.ask("promotion.gate", {"a": 1}, "bob", 2)  # asked with other rights
    third = promotion.ask("promotion.gate", {"a": 2}, "ada", 2)
    assert promotion.waiting() == sorted([first.id, other.id, third.id])

    def perform(verb: str, fields: Any, caller: str, role: int) -> Any:
        if fields["a"] == 2:
            raise Conflict("It moved.", "Again.")
        if caller == "bob":
            raise ZeroDivisionError("by nothing")
        return {"verdict": "passed"}

    assert promotion.answer(perform) == 3
    assert promotion.waiting() == []
    assert (promotion.asked(first.id).state, promotion.asked(first.id).answer) == ("done", '{"verdict":"passed"}')
    assert msgspec.json.decode(promotion.asked(third.id).answer)["error"] == "conflict"
    assert "ZeroDivisionError" in promotion.asked(other.id).answer


def test_who_asks_learns_that_the_process_died(desk: Any) -> None:
    asked = desk.promotion.ask("promotion.gate", {}, "ada", 2)

    def die(*_: Any) -> Any:
        raise SystemExit

    with pytest.raises(SystemExit):
        desk.promotion.answer(die)
    desk.promotion.answer(lambda *_: SimpleNamespace())
    assert desk.promotion.asked(asked.id).state == "failed"


def test_only_so_many_questions_wait(desk: Any) -> None:
    for number in range(50):
        desk.promotion.ask("promotion.gate", {"a": number}, "ada", 2)
    with pytest.raises(Unavailable):
        desk.promotion.ask("promotion.gate", {"a": 50}, "ada", 2)
