"""Incidents: what belongs together is one, however its causes come, and people say whether it was real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.adapters.databases.sqlite import SQLite
from loopline.app.migrations.runner import bring_up_to_date
from loopline.core.errors import Invalid, NotFound
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model.alerts import Alert, Finding
from loopline.usecases.monitoring.store import alerts as store
from loopline.usecases.monitoring.store import messages as message_store

pytestmark = pytest.mark.unit


class Kept:
    """Incidents of one endpoint over a real database."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        bring_up_to_date(folder)
        self.database = SQLite(folder / "loopline.db")
        self.facts: list[tuple[str, str]] = []
        self.incidents = Incidents(SimpleNamespace(append=self._append))  # type: ignore[arg-type]
        self._judged: dict[str, str] = {}

    def _append(self, tx: Any, kind: str, subject: str, actor: str, body: Any) -> Any:
        self.facts.append((kind, body.get("cause", "")))
        return SimpleNamespace(seq=len(self.facts))

    def see(self, *found: Finding, endpoint: str = "late") -> None:
        def work(tx: Any) -> dict[str, str]:
            return self.incidents.settle(tx, endpoint, "delays", found, self._judged, "monitor", "2013-06-01T00:00:00Z")

        self._judged = self.database.write(work)

    def alerts(self) -> list[Alert]:
        return self.database.read(lambda tx: store.alerts(tx, "late", "", 100))

    def told(self) -> list[str]:
        return [note.state for note in self.database.read(message_store.unaddressed)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path)
    yield found
    found.database.close()


def seen(cause: str, day: int, state: str = "wrong", first: int = 0, version: int = 1, **details: Any) -> Finding:
    return Finding(
        cause=cause, state=state, first_window=f"2013-04-{first or day:02d}", window=f"2013-04-{day:02d}",  # type: ignore[arg-type]
        version=version, value=0.5, limit=0.7, message=f"{cause} on day {day}", details=details,
        due=f"2013-05-{day:02d}",
    )  # fmt: skip


def test_a_bad_column_its_drift_and_the_drop_it_causes_are_one_incident(kept: Kept) -> None:
    kept.see(seen("data_quality", 1, column="wind"))
    kept.see(seen("drift", 1, columns=[{"name": "wind", "p_value": 0.001}]))
    kept.see(seen("performance", 1, metric="auc", truth_share=0.9))
    (alert,) = kept.alerts()
    assert alert.cause == "performance"
    assert [each["cause"] for each in alert.details["also"]] == ["data_quality", "drift"]
    assert kept.facts == [("alert.opened", "data_quality"), ("alert.grew", "drift"), ("alert.grew", "performance")]
    assert kept.told() == ["opened", "grew"]


@pytest.mark.parametrize(
    "other",
    [
        seen("drift", 1, columns=["gate"]),
        seen("drift", 5, columns=["wind"]),
        seen("performance", 1, version=2),
        seen("latency", 1),
        seen("silence", 1),
    ],
    ids=["another column", "another time", "another version", "latency", "silence"],
)
def test_what_does_not_belong_together_stays_apart(kept: Kept, other: Finding) -> None:
    kept.see(seen("data_quality", 1, column="wind"), other)
    assert len(kept.alerts()) == 2


def test_an_incident_is_over_when_its_last_cause_is(kept: Kept) -> None:
    kept.see(seen("performance", 1), seen("data_quality", 1, column="wind"))
    kept.see(seen("performance", 2, "well"))
    assert kept.alerts()[0].state == "open"
    kept.see(seen("data_quality", 2, "well"))
    assert [alert.state for alert in kept.alerts()] == ["resolved"]
    kept.see(seen("data_quality", 3, column="wind"))
    newest, before = kept.alerts()
    assert (newest.state, newest.cause, before.cause) == ("open", "data_quality", "performance")


def test_a_cause_that_comes_back_while_the_incident_is_open_is_the_same(kept: Kept) -> None:
    kept.see(seen("performance", 1), seen("data_quality", 1, column="wind"), seen("data_quality", 2, "well"))
    kept.see(seen("performance", 2), seen("data_quality", 3, column="wind"), seen("performance", 3))
    (alert,) = kept.alerts()
    assert alert.details["windows"] == 3
    assert not alert.details["also"][0]["over"]
    assert kept.told() == ["opened"]


def test_what_stays_open_without_anybody_is_told_once_more(kept: Kept) -> None:
    kept.see(*(seen("performance", day) for day in range(1, 9)))
    assert kept.told() == ["opened", "again"]


def test_what_somebody_looks_after_is_not_told_again(kept: Kept) -> None:
    kept.see(seen("performance", 1))
    alert = kept.alerts()[0].id
    kept.database.write(lambda tx: kept.incidents.acknowledge(tx, alert, "anna", "", "2013-06-02"))
    kept.see(*(seen("performance", day) for day in range(2, 9)))
    assert kept.told() == ["opened"]


def test_another_version_that_is_bad_too_is_an_incident_of_its_own(kept: Kept) -> None:
    kept.see(seen("performance", 1), seen("performance", 2, version=2))
    newest, before = kept.alerts()
    assert (newest.version, newest.state, before.state) == (2, "open", "resolved")
    assert before.note == "version 2 took over"


def test_an_earlier_incident_that_would_belong_is_named(kept: Kept) -> None:
    kept.see(seen("data_quality", 1, column="wind"), seen("data_quality", 2, "well"))
    kept.see(seen("performance", 1))
    newest, before = kept.alerts()
    assert newest.details["related"] == [before.id]


def test_people_say_whether_it_was_real_and_how_often_it_was(kept: Kept) -> None:
    for day in (1, 3, 5):
        kept.see(seen("performance", day), seen("performance", day + 1, "well"))
    first, second, third = (alert.id for alert in kept.alerts())
    judge = kept.incidents.judge
    for alert, verdict in ((first, "real"), (second, "real"), (second, "false"), (second, "false"), (third, "real")):
        kept.database.write(lambda tx, a=alert, v=verdict: judge(tx, a, v, "anna", "", "2013-06-02"))  # type: ignore[misc]
    kept.database.write(lambda tx: judge(tx, third, "", "anna", "", "2013-06-03"))
    assert [kind for kind, _ in kept.facts].count("alert.judged") == 5
    (found,) = kept.database.read(lambda tx: store.precision(tx, ""))
    assert (found.endpoint, found.alerts, found.judged, found.real, found.share) == ("late", 3, 2, 1, 0.5)
    assert {alert.id: alert.judged_by for alert in kept.alerts()} == {first: "anna", second: "anna", third: ""}
    with pytest.raises(Invalid, match="no verdict"):
        kept.database.write(lambda tx: judge(tx, first, "perhaps", "anna", "", ""))
    with pytest.raises(NotFound):
        kept.database.write(lambda tx: judge(tx, "nothing", "real", "anna", "", ""))
