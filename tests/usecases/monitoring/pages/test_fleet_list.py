"""The list of all models: who needs a look comes first, whatever their number, in a handful of statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.fleet import fleet
from loopline.usecases.monitoring.model import Alert, LabelDelay, Summary, Window
from loopline.usecases.monitoring.model.fleet import FleetMetric, near_limit
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import windows as store

pytestmark = pytest.mark.unit
NOW = "2026-03-01T00:00:00.000Z"
WEEK = timedelta(days=7)
BASE = Summary(
    endpoint="", window="week", metric="auc", model="m", version=1, limit=0.7, limits={"auc": 0.7}, watermark=NOW,
    predictions=1000, labelled=800, truth_records=800, duplicates=0, corrections=0, orphans=0,
    label_delay=LabelDelay(), mature_windows=3, provisional_windows=1, mature_until="2026-02-22T00:00:00.000Z",
)  # fmt: skip


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def windows(values: list[float], mature: int, reach: float = 0.01) -> list[tuple[str, Window]]:
    """One window a week; the first `mature` of them are mature."""
    first = datetime(2026, 1, 5, tzinfo=UTC)
    return [
        ("mark", Window(
            start=text(first + place * WEEK), end=text(first + (place + 1) * WEEK), column="", value="", predictions=100,
            labelled=80, complete=True, mature=place < mature,
            metrics={"auc": value, "auc_low": value - reach, "auc_high": value + reach, "log_loss": 1 - value},
        ))
        for place, value in enumerate(values)
    ]  # fmt: skip


def alert(endpoint: str, state: str, cause: str = "performance") -> Alert:
    return Alert(
        id=f"{endpoint}-{cause}", endpoint=endpoint, cause=cause, state=state, model="m", version=1,
        first_window="2026-02-02T00:00:00.000Z", last_window="2026-02-09T00:00:00.000Z", value=0.6, limit=0.7,
        message="wrong", opened_at=NOW, changed_at=NOW, changed_by="monitor",
    )  # fmt: skip


def fill(tx: Any) -> None:
    """One model in each state."""
    made: dict[str, Any] = {
        "calm": ([0.8, 0.8, 0.8, 0.8], 3, {}, NOW),
        "near": ([0.8, 0.8, 0.705, 0.8], 3, {}, NOW),
        "quiet": ([0.8, 0.8, 0.8], 3, {}, "2026-01-01T00:00:00.000Z"),
        "young": ([0.8], 0, {"mature_windows": 0, "mature_until": ""}, NOW),
        "broken": ([0.8, 0.8, 0.6], 3, {}, NOW),
        "tended": ([0.8, 0.8, 0.6], 3, {}, NOW),
    }
    for name, (values, mature, changes, at) in made.items():
        store.put_windows(tx, name, windows(values, mature), NOW)
        store.put_summary(tx, msgspec.structs.replace(BASE, endpoint=name, **changes), "mark", at)
    for place, one in enumerate(
        [alert("broken", "open"), alert("broken", "acknowledged", "drift"), alert("tended", "acknowledged"),
         alert("calm", "resolved")]
    ):  # fmt: skip
        alert_store.add_alert(tx, one, place + 1)


CLOCK = SimpleNamespace(text=lambda: NOW)
NONE = SimpleNamespace(projects=list)


def test_who_needs_a_look_comes_first(watch: Any) -> None:
    watch.database.write(fill)
    found = fleet(watch.database, NONE, CLOCK)
    assert [(row.endpoint, row.state) for row in found.rows] == [
        ("broken", "alert"), ("tended", "acknowledged"), ("near", "near_limit"), ("quiet", "silent"),
        ("young", "provisional"), ("calm", "fine"),
    ]  # fmt: skip
    assert found.counts == dict.fromkeys(found.counts, 1)
    broken = found.rows[0]
    assert (broken.alerts, broken.causes, broken.since[:10]) == (2, ["performance", "drift"], "2026-02-02")
    assert broken.metrics[0].value == 0.6
    calm = found.rows[-1]
    assert (calm.metrics[0].value, calm.metrics[0].points, calm.metrics[0].provisional) == (0.8, [0.8] * 4, 1)


def test_search_state_and_one_endpoint(watch: Any) -> None:
    watch.database.write(fill)
    ask = lambda **asked: [row.endpoint for row in fleet(watch.database, NONE, CLOCK, **asked).rows]  # noqa: E731
    assert ask(search="BRO") == ["broken"]
    assert ask(search="drift m") == ["broken"]
    assert ask(state="silent") == ["quiet"]
    assert ask(endpoint="near") == ["near"]
    assert ask(endpoint="nobody") == []
    assert ask(search="nothing at all") == []
    with pytest.raises(Invalid, match="no state of a model"):
        ask(state="sad")


def test_pages_of_many(watch: Any) -> None:
    def many(tx: Any) -> None:
        for place in range(25):
            store.put_windows(tx, f"m{place:02}", windows([0.8, 0.81], 2), NOW)
            store.put_summary(tx, msgspec.structs.replace(BASE, endpoint=f"m{place:02}"), "mark", NOW)

    watch.database.write(many)
    pages = [fleet(watch.database, NONE, CLOCK, page=page, size=10) for page in (1, 2, 3, 99)]
    assert [len(page.rows) for page in pages] == [10, 10, 5, 5]
    assert {row.endpoint for page in pages[:3] for row in page.rows} == {f"m{place:02}" for place in range(25)}
    assert (pages[3].page, pages[3].pages, pages[0].total) == (3, 3, 25)


def test_statements_do_not_grow_with_the_models(watch: Any) -> None:
    watch.database.write(fill)

    class Counting:
        def __init__(self, tx: Any) -> None:
            self.tx, self.asked = tx, 0

        def rows(self, *told: Any) -> Any:
            self.asked += 1
            return self.tx.rows(*told)

    counted: list[int] = []

    def read(work: Any) -> Any:
        def inside(tx: Any) -> Any:
            counting = Counting(tx)
            answer = work(counting)
            counted.append(counting.asked)
            return answer

        return watch.database.read(inside)

    fleet(SimpleNamespace(read=read), NONE, CLOCK)  # type: ignore[arg-type]
    assert counted[0] <= 5


def test_a_projects_critical_metrics_stand_for_its_models(watch: Any) -> None:
    watch.database.write(fill)
    config = {"critical_metrics": ["log_loss", "auc", "unheard_of"], "monitors": {"x": {"endpoint": "calm"}}}
    projects = SimpleNamespace(projects=lambda: [SimpleNamespace(config=config)])
    found = {row.endpoint: row for row in fleet(watch.database, projects, CLOCK).rows}
    assert [metric.name for metric in found["calm"].metrics] == ["log_loss", "auc"]
    assert [metric.name for metric in found["near"].metrics] == ["auc"]


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "near"),
    [
        ("auc", 0.8, 0.75, 0.85, ""),
        ("auc", 0.72, 0.69, 0.75, "auc is near its limit"),
        ("auc", 0.69, 0.66, 0.72, "auc is beyond its limit"),
        ("auc", 0.71, None, None, "auc is near its limit"),
        ("log_loss", 0.6, 0.5, 0.65, ""),
        ("log_loss", 0.6, 0.5, 0.71, "log_loss is near its limit"),
        ("log_loss", 0.71, 0.6, 0.8, "log_loss is beyond its limit"),
    ],
)
def test_near_its_limit(name: str, value: float, low: float | None, high: float | None, near: str) -> None:
    assert near_limit(FleetMetric(name=name, value=value, low=low, high=high, limit=0.7)) == near
