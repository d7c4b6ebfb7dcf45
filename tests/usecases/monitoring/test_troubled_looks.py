"""A look that fails keeps neither windows nor other looks from being done, and is told of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loopline.core.errors import Unavailable
from loopline.usecases.monitoring import drifting, estimating, evaluating
from loopline.usecases.monitoring.model import Finding

pytestmark = pytest.mark.unit
MONITOR = "monitor"


class Looked:
    """What a look answers; `broken` when it is to fail at keeping."""

    def __init__(self, endpoint: str, broken: bool = False, findings: tuple[Finding, ...] = ()) -> None:
        self.endpoint, self.broken, self.findings = endpoint, broken, findings

    def keep(self, tx: Any, at: str) -> None:
        tx.run("INSERT INTO looked VALUES (:endpoint)", {"endpoint": self.endpoint})
        if self.broken:
            raise OSError("no room left")


@pytest.fixture
def looks(watch: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The looks of this test alone: one before and one after that of estimates, which fails `in_look` or `in_keep`."""
    state = SimpleNamespace(in_look=None, in_keep=False)
    watch.database.write(lambda tx: tx.run("CREATE TABLE looked (endpoint TEXT)"))

    def troubled(look: Any) -> Looked:
        if state.in_look is not None:
            raise state.in_look
        return Looked("troubled", state.in_keep)

    monkeypatch.setattr(evaluating, "LOOKS", (("beating", "look"), ("estimating", "troubled"), ("drifting", "well")))
    monkeypatch.setattr(estimating, "troubled", troubled, raising=False)
    monkeypatch.setattr(drifting, "well", lambda look: Looked("well"), raising=False)
    return state


def kept(watch: Any) -> list[str]:
    rows = watch.database.read(lambda tx: tx.rows("SELECT endpoint FROM looked"))
    return [row["endpoint"] for row in rows]


def alerts(watch: Any) -> list[tuple[str, str]]:
    return [(alert.cause, alert.state) for alert in watch.monitoring.alerts("late") if alert.cause == MONITOR]


@pytest.mark.parametrize("error", [ZeroDivisionError("by nothing"), Unavailable("The disk is gone.", "Mount it.")])
def test_a_look_that_fails_is_told_of_and_stops_nothing_else(watch: Any, looks: Any, error: Exception) -> None:
    watch.traffic(1500, days=14)
    looks.in_look = error
    assert watch.monitoring.evaluate("late").predictions == 1500
    assert len(watch.windows()) == 2
    assert kept(watch) == ["well"]
    assert alerts(watch) == [(MONITOR, "open")]
    (alert,) = [each for each in watch.monitoring.alerts("late") if each.cause == MONITOR]
    assert "could not do all of its work: estimating: " in alert.message
    assert str(error) in alert.message


def test_what_a_look_that_cannot_be_kept_wrote_is_taken_back(watch: Any, looks: Any) -> None:
    watch.traffic(1500, days=14)
    looks.in_keep = True
    assert watch.monitoring.evaluate("late").predictions == 1500
    assert len(watch.windows()) == 2
    assert kept(watch) == ["well"], "nothing of the one that failed, once of the other"
    (alert,) = [each for each in watch.monitoring.alerts("late") if each.cause == MONITOR]
    assert alert.message.endswith("estimating: OSError: no room left")
    assert watch.facts.kinds().count("alert.opened") == 1


@pytest.mark.parametrize("place", ["look", "keep"])
def test_it_resolves_by_itself_when_it_works_again_even_without_news(watch: Any, looks: Any, place: str) -> None:
    watch.traffic(1500, days=14)
    looks.in_look, looks.in_keep = (ValueError("no") if place == "look" else None), place == "keep"
    watch.monitoring.evaluate("late")
    watch.monitoring.evaluate("late")
    assert alerts(watch) == [(MONITOR, "open")]
    assert watch.facts.kinds().count("alert.opened") == 1, "once, however often it is tried"
    before = watch.windows()
    looks.in_look, looks.in_keep = None, False
    watch.monitoring.evaluate("late")
    assert alerts(watch) == [(MONITOR, "resolved")]
    assert "troubled" in kept(watch)
    assert watch.windows() == before


def test_it_resolves_with_later_windows(watch: Any, looks: Any) -> None:
    watch.traffic(700)
    looks.in_look = ValueError("no")
    watch.monitoring.evaluate("late")
    watch.traffic(700, start=watch.april + 7 * watch.day, seed=3)
    looks.in_look = None
    watch.monitoring.evaluate("late")
    assert alerts(watch) == [(MONITOR, "resolved")]


def test_other_endpoints_are_evaluated_when_one_cannot_be(watch: Any) -> None:
    watch.rules["a"] = {"window": "year"}
    watch.rules["z"] = {"window": "year"}
    watch.traffic(300)
    names = [SimpleNamespace(name=name) for name in ("a", "late", "z")]
    watch.logs.endpoints = lambda: names
    with pytest.raises(Exception, match="monitor of endpoint 'a' is written wrongly"):
        watch.monitoring.evaluate_all()
    assert watch.monitoring.summary("late").predictions == 300
    del watch.rules["a"], watch.rules["z"]
    assert [summary.endpoint for summary in watch.monitoring.evaluate_all()] == ["a", "z", "late"], "oldest first"


def test_other_endpoints_are_evaluated_whatever_the_error_is(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.traffic(300)
    watch.logs.endpoints = lambda: [SimpleNamespace(name=name) for name in ("a", "late")]
    mark = watch.logs.log_mark

    def broken(endpoint: str) -> str:
        if endpoint == "a":
            raise ZeroDivisionError("of the evaluation itself")
        return str(mark(endpoint))

    monkeypatch.setattr(watch.logs, "log_mark", broken)
    with pytest.raises(ZeroDivisionError):
        watch.monitoring.evaluate_all()
    assert watch.monitoring.summary("late").predictions == 300
