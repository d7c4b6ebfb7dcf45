"""Pages of a search, what is done to many runs at once, saved views, and what there is to search by."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.testing.factories import installation
from loopline.usecases.tracking.filters import ordered, parsed
from loopline.usecases.tracking.finding import digest
from loopline.usecases.tracking.model import Point
from loopline.usecases.tracking.search import Search

pytestmark = pytest.mark.integration


@pytest.fixture
def tracking(tmp_path: Any) -> Iterator[Any]:
    with installation(tmp_path) as loopline:
        for number in range(12):
            run = loopline.tracking.start(
                f"run {number}",
                actor="ann",
                experiment=("flights", "weather")[number % 2],
                run_id=f"{number:032x}",
                params={"model": ("tree", "net", "linear")[number % 3]},
                started_at=f"2026-01-01T00:00:{number:02}.000Z",
            )
            loopline.tracking.log(run.id, [Point("auc", number / 10), Point("my loss", 1.0)], tags={"team": "blue"})
        yield loopline.tracking


def numbers(ids: list[str]) -> list[int]:
    return [int(one, 16) for one in ids]


def facts(tracking: Any, kind: str) -> list[str]:
    rows = tracking._database.read(
        lambda tx: tx.rows("SELECT subject FROM ledger_facts WHERE kind = :kind ORDER BY seq", {"kind": kind})
    )
    return [row["subject"] for row in rows]


def test_a_full_last_page_has_no_next_one(tracking: Any) -> None:
    first = tracking.find(limit=6)
    last = tracking.find(limit=6, page=first.next)
    assert [len(first.runs), len(last.runs), last.next] == [6, 6, ""]
    assert tracking.find(limit=12).next == ""


@pytest.mark.parametrize(
    "order", [[], ["metrics.auc"], ["metrics.auc DESC", "name"], ["params.model", "metrics.auc"], ["status"]]
)
def test_a_page_goes_on_behind_the_last_run_whatever_came_or_went(tracking: Any, order: list[str]) -> None:
    whole, _ = tracking.find_ids("", order)
    first, page = tracking.find_ids("", order, limit=5)
    tracking.delete_run(first[-1], actor="ann")
    tracking.delete_run(first[0], actor="ann")
    late = tracking.start("late", actor="ann", params={"model": "a"}, started_at="2026-01-02T00:00:00.000Z")
    tracking.log(late.id, [Point("auc", 9.0 if order[:1] == ["metrics.auc DESC"] else -1.0)])
    rest, end = tracking.find_ids("", order, limit=50, page=page)
    assert (rest, end) == (whole[5:], "")


@pytest.mark.parametrize("page", ["x", "17", "e30", "bm90aGluZw", "W10", "WyJ4Il0", "%%%", "Wy" * 4000, "ä", "[" * 100])
def test_what_names_no_page_is_refused(tracking: Any, page: str) -> None:
    with pytest.raises(Invalid, match="names no page"):
        tracking.find(page=page)


def test_the_page_of_another_search_is_refused(tracking: Any) -> None:
    page = tracking.find("metrics.auc > 0", ["metrics.auc"], limit=2).next
    for other in (
        {"where": "metrics.auc > 0.1"},
        {"order_by": ["name"]},
        {"experiments": [1]},
        {"states": ["deleted"]},
    ):
        asked: dict[str, Any] = {"where": "metrics.auc > 0", "order_by": ["metrics.auc"], **other}
        with pytest.raises(Invalid, match="names no page of this search"):
            tracking.find(**asked, page=page)


@pytest.mark.parametrize("place", [[], ["x"], [0], [None] * 4, [0, 0.5, "2026", "a", "b"], [[0], 0.5, "2026", "a"]])
def test_a_place_that_is_none_is_refused(tracking: Any, place: list[Any]) -> None:
    asked = Search(parsed("metrics.auc > 0"), ordered(["metrics.auc"]), None, ("active",))
    page = urlsafe_b64encode(json.dumps([digest(asked), *place]).encode()).decode()
    with pytest.raises(Invalid, match="names no page"):
        tracking.find("metrics.auc > 0", ["metrics.auc"], page=page)


def test_experiments_and_states_narrow_a_search(tracking: Any) -> None:
    flights = tracking.experiment_numbers(["flights"])
    assert numbers(tracking.find_ids(experiments=flights)[0]) == [10, 8, 6, 4, 2, 0]
    assert tracking.find_ids(experiments=[]) == ([], "")
    assert tracking.find_ids(experiments=[99]) == ([], "")
    assert tracking.search(experiment="nowhere").runs == []
    tracking.archive_run(f"{2:032x}", actor="ann")
    tracking.delete_run(f"{4:032x}", actor="ann")
    assert numbers(tracking.find_ids(experiments=flights)[0]) == [10, 8, 6, 0]
    assert numbers(tracking.find_ids(states=["archived"])[0]) == [2]
    assert numbers(tracking.find_ids(states=["archived", "deleted"], order_by=["metrics.auc"])[0]) == [2, 4]
    with pytest.raises(Invalid, match="never 'gone'"):
        tracking.find(states=["gone"])


def test_datasets_find_the_runs_that_they_went_into(tracking: Any) -> None:
    rows = [(1, "flights", "d1", "training"), (2, "flights", "d2", "validation"), (3, "weather", "d3", "")]

    def work(tx: Any) -> None:
        for run, name, content, context in rows:
            tags = f'{{"mlflow.data.context": "{context}"}}' if context else "{}"
            tx.run(
                """INSERT INTO tracking_links (run_id, direction, name, digest, kind, tags)
                VALUES (:run, 'input', :name, :digest, 'dataset', :tags)""",
                {"run": f"{run:032x}", "name": name, "digest": content, "tags": tags},
            )

    tracking._database.write(work)
    for where, found in {
        "dataset.name = 'flights'": [2, 1],
        "dataset.name LIKE 'w%' ": [3],
        "datasets.digest IN ('d1', 'd3')": [3, 1],
        "dataset.context = 'training'": [1],
        "dataset.context != 'training'": [2],
        "dataset.name = 'flights' and dataset.context ILIKE 'VALID%'": [2],
    }.items():
        assert numbers(tracking.find_ids(where)[0]) == found, where


def test_times_are_compared_as_milliseconds_or_text(tracking: Any) -> None:
    assert numbers(tracking.find_ids("start_time < 1767225602000")[0]) == [1, 0]
    assert numbers(tracking.find_ids("started_at >= '2026-01-01T00:00:10Z'")[0]) == [11, 10]
    assert numbers(tracking.find_ids("created = 1767225603000")[0]) == [3]
    assert tracking.find_ids("end_time > 0") == ([], "")


def test_many_runs_change_at_once_or_not_at_all(tracking: Any) -> None:
    some = [f"{number:032x}" for number in (1, 2, 3)]
    assert tracking.archive_runs(some, actor="ann") == 3
    assert tracking.archive_runs([*some, f"{4:032x}"], actor="ann") == 1, "three were so already"
    assert tracking.delete_runs(some, actor="ann") == 3
    assert tracking.restore_runs(some[:2], actor="ann") == 2
    assert tracking.get(some[0]).state == "active"
    assert facts(tracking, "run.archived") == [*some, f"{4:032x}"]
    assert facts(tracking, "run.deleted") == some
    with pytest.raises(NotFound):
        tracking.delete_runs([f"{5:032x}", "f" * 32], actor="ann")
    assert tracking.get(f"{5:032x}").state == "active"
    assert facts(tracking, "run.deleted") == some
    with pytest.raises(Invalid, match="0 runs"):
        tracking.delete_runs([], actor="ann")


def test_many_runs_are_tagged_at_once_or_not_at_all(tracking: Any) -> None:
    some = [f"{number:032x}" for number in (1, 2)]
    assert tracking.tag_runs(some, {"best": "yes"}) == 2
    assert numbers(tracking.find_ids("tags.best = 'yes'")[0]) == [2, 1]
    tracking.delete_run(some[1], actor="ann")
    with pytest.raises(Conflict):
        tracking.tag_runs(some, {"best": "no"})
    assert tracking.get(some[0]).tags["best"] == "yes"
    for key in ("", "../x"):
        with pytest.raises(Invalid):
            tracking.tag_runs(some[:1], {key: "x"})


def test_groups_count_runs_and_sum_a_metric_up(tracking: Any) -> None:
    found = tracking.groups("params.model", "metrics.auc > 0", metric="auc")
    assert [(one.value, one.runs, one.measured, one.least, one.largest) for one in found] == [
        ("linear", 4, 4, 0.2, 1.1),
        ("net", 4, 4, 0.1, 1.0),
        ("tree", 3, 3, 0.3, 0.9),
    ]
    assert found[2].mean == pytest.approx(0.6)
    assert [(one.value, one.runs) for one in tracking.groups("tags.nothing")] == [(None, 12)]
    assert [(one.value, one.runs) for one in tracking.groups("experiment")] == [("flights", 6), ("weather", 6)]
    for by in ("metrics.auc", "nothing", "started_at", "params.model desc"):
        with pytest.raises(Invalid):
            tracking.groups(by)


def test_what_there_is_to_search_by_is_known_per_experiment(tracking: Any) -> None:
    other = tracking.start("other", actor="ann", experiment="other", params={"alpha": "1"})
    tracking.log(other.id, [Point("f1", 0.5)])
    flights, others = tracking.experiment_numbers(["flights", "other"])
    assert tracking.names()["metrics"] == ["auc", "f1", "my loss"]
    assert tracking.names([flights]) == {"metrics": ["auc", "my loss"], "params": ["model"], "tags": ["team"]}
    assert tracking.names([others])["metrics"] == ["f1"]
    assert tracking.names([]) == {"metrics": [], "params": [], "tags": []}
    with pytest.raises(NotFound, match="nowhere"):
        tracking.experiment_numbers(["nowhere"])


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("metrics.", ["metrics.auc", "metrics.`my loss`"]),
        ("params.model = '", ["'linear'", "'net'", "'tree'"]),
        ("params.model = 'n", ["'net'", "'linear'"]),
        ("experiment = ", ["'weather'", "'flights'", "'Default'"]),
        ("name = 'run 11", ["'run 11'"]),
        ("created_by = ", ["'ann'"]),
        ("dataset.context = ", ["'training'", "'validation'", "'test'", "'evaluation'"]),
    ],
)
def test_a_search_is_completed_with_what_is_there(tracking: Any, text: str, offered: list[str]) -> None:
    assert [one.text for one in tracking.complete(text, len(text)).choices] == offered


def test_views_are_kept_under_a_name(tracking: Any) -> None:
    view = tracking.save_view(" best trees ", "?filter=metrics.auc+%3E+0.5&page=abc&sort=metrics.auc", actor="ann")
    assert (view.name, view.query) == ("best trees", "filter=metrics.auc+%3E+0.5&sort=metrics.auc")
    tracking.save_view("best trees", "q=tree", actor="bob")
    assert [(one.name, one.query, one.saved_by) for one in tracking.views()] == [("best trees", "q=tree", "bob")]
    tracking.drop_view("best trees", actor="ann")
    assert tracking.views() == []
    with pytest.raises(NotFound):
        tracking.drop_view("best trees", actor="ann")
    for name in ("", "x" * 101, "a\nb"):
        with pytest.raises(Invalid):
            tracking.save_view(name, "q=tree", actor="ann")
    assert facts(tracking, "view.saved") == ["view:best trees", "view:best trees"]
    assert facts(tracking, "view.dropped") == ["view:best trees"]


def test_experiments_are_listed_with_their_runs(tracking: Any) -> None:
    (flights,) = tracking.experiment_numbers(["flights"])
    assert [(one.name, one.runs) for one in tracking.listed_experiments()] == [
        ("weather", 6),
        ("flights", 6),
        ("Default", 0),
    ]
    tracking.delete_experiment(flights, actor="ann")
    assert [one.name for one in tracking.listed_experiments()] == ["weather", "Default"]
    assert [(one.name, one.runs) for one in tracking.listed_experiments(["deleted"])] == [("flights", 6)]


def test_times_from_other_zones_are_kept_in_one_form(tracking: Any) -> None:
    run = tracking.start("abroad", actor="ann", started_at="2026-01-01T02:00:05.5+02:00")
    assert (
        tracking.finish(run.id, actor="ann", ended_at="2026-01-01T03:00:00+02:00").ended_at
        == "2026-01-01T01:00:00.000Z"
    )
    assert tracking.get(run.id).started_at == "2026-01-01T00:00:05.500Z"
    assert [one.name for one in tracking.find("start_time > '2026-01-01T00:00:05Z'").runs][-2:] == ["run 6", "abroad"]
