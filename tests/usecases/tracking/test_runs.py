"""Runs and what belongs to them, on a real installation."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.testing.factories import installation
from loopline.usecases.tracking.model import Link, Point, Run

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def loopline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with installation(tmp_path_factory.mktemp("tracking")) as opened:
        yield opened


@pytest.fixture
def tracking(loopline: Any) -> Any:
    return loopline.tracking


@pytest.fixture
def run(tracking: Any) -> Run:
    started: Run = tracking.start("first", actor="ann", params={"rate": "0.1"}, tags={"team": "air"})
    return started


def test_a_run_begins_and_ends_with_a_fact_each(loopline: Any, tracking: Any, run: Run) -> None:
    assert (run.status, run.experiment, run.params, run.tags) == (
        "running",
        "Default",
        {"rate": "0.1"},
        {"team": "air"},
    )
    ended = tracking.finish(run.id, actor="ann")
    assert ended.status == "finished"
    assert ended.ended_at >= run.started_at
    tracking.log(run.id, [Point("late", 1.0)])
    assert [fact.kind for fact in loopline.ledger.about(run.id)] == ["run.started", "run.finished"]


def test_ending_twice_the_same_way_changes_nothing_and_otherwise_is_refused(
    loopline: Any, tracking: Any, run: Run
) -> None:
    tracking.finish(run.id, actor="ann", status="failed", error="boom")
    assert tracking.finish(run.id, actor="ann", status="failed").error == "boom"
    assert len(loopline.ledger.about(run.id)) == 2
    with pytest.raises(Conflict, match="ended already as failed"):
        tracking.finish(run.id, actor="ann")
    with pytest.raises(Invalid, match="cannot end as 'done'"):
        tracking.finish(run.id, actor="ann", status="done")


def test_beginning_again_with_the_same_id_answers_the_same_run(tracking: Any, run: Run) -> None:
    again = tracking.start("other", actor="bob", run_id=run.id)
    assert (again.name, again.created_by) == ("first", "ann")


def test_a_run_is_found_by_the_beginning_of_its_id(tracking: Any, run: Run) -> None:
    assert tracking.get(run.id[:10]).id == run.id
    for wrong in ("0" * 32, "abc", "", "../x"):
        with pytest.raises(NotFound, match="There is no run"):
            tracking.get(wrong)


def test_the_whole_history_of_a_metric_is_kept_in_order(tracking: Any, run: Run) -> None:
    points = [Point("loss", 0.5, 2, 20), Point("loss", 0.9, 1, 10), Point("loss", 0.4, 2, 20), Point("loss", -1, -1, 5)]
    tracking.log(run.id, points)
    tracking.log(run.id, points[:2])  # the same points again are kept once
    history = tracking.history(run.id, "loss")
    assert [(one.step, one.at_ms, one.value) for one in history] == [
        (-1, 5, -1.0),
        (1, 10, 0.9),
        (2, 20, 0.4),
        (2, 20, 0.5),
    ]
    assert tracking.get(run.id).metrics == {"loss": 0.5}
    assert tracking.history(run.id, "nothing") == []


def test_the_latest_value_is_that_of_the_largest_step_then_time_then_value(tracking: Any, run: Run) -> None:
    tracking.log(run.id, [Point("auc", 0.7, 5, 100)])
    tracking.log(run.id, [Point("auc", 0.9, 4, 200)])
    assert tracking.get(run.id).metrics["auc"] == 0.7
    tracking.log(run.id, [Point("auc", 0.1, 5, 101)])
    assert tracking.get(run.id).metrics["auc"] == 0.1


def test_values_that_are_no_numbers_survive(tracking: Any, run: Run) -> None:
    tracking.log(run.id, [Point("a", math.nan, 1), Point("b", math.inf), Point("c", "-Infinity"), Point("a", "NaN", 2)])
    assert tracking.get(run.id).metrics == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    assert [one.value for one in tracking.history(run.id, "a")] == ["NaN", "NaN"]
    with pytest.raises(Invalid, match="no metric value"):
        tracking.log(run.id, [Point("a", "many")])


def test_a_batch_is_kept_wholly_or_not_at_all(tracking: Any, run: Run) -> None:
    with pytest.raises(Conflict, match="key='rate' was already logged"):
        tracking.log(run.id, [Point("x", 1.0)], params={"new": "1", "rate": "0.2"}, tags={"t": "1"})
    with pytest.raises(Invalid, match="name of a metric"):
        tracking.log(run.id, [Point("x", 1.0), Point("../x", 1.0)], params={"new": "1"})
    kept = tracking.get(run.id)
    assert (kept.metrics, kept.params, kept.tags) == ({}, {"rate": "0.1"}, {"team": "air"})


def test_params_are_written_once_and_tags_replaced(tracking: Any, run: Run) -> None:
    tracking.log(run.id, params={"rate": "0.1", "depth": "3"}, tags={"team": "sea"})
    assert tracking.get(run.id).params == {"rate": "0.1", "depth": "3"}
    assert tracking.get(run.id).tags == {"team": "sea"}


def test_a_batch_that_comes_again_changes_nothing(tracking: Any, run: Run) -> None:
    for value in (1.0, 2.0):
        tracking.log(run.id, [Point("x", value)], batch=f"batch-{run.id}")
    assert [one.value for one in tracking.history(run.id, "x")] == [1.0]


@pytest.mark.parametrize("key", ["", "/x", "a/../b", "a//b", "./a", "x" * 251, "a\nb", ".."])
def test_a_key_that_could_leave_its_place_is_refused(tracking: Any, run: Run, key: str) -> None:
    with pytest.raises(Invalid):
        tracking.log(run.id, [Point(key, 1.0)])


@pytest.mark.parametrize("name", ["", "/x", "a/../b", "..", ".", "a\nb", "a\x00b", "x" * 3000])
def test_a_file_that_could_leave_its_place_is_refused(tracking: Any, run: Run, name: str) -> None:
    with pytest.raises(Invalid):
        tracking.put_artifact(run.id, name, b"")


@pytest.mark.parametrize(("name", "kept"), [("a//b", "a/b"), ("./a", "a"), ("a/", "a"), ("x" * 251, "x" * 251)])
def test_a_file_is_kept_under_the_plain_form_of_its_name(tracking: Any, run: Run, name: str, kept: str) -> None:
    assert tracking.put_artifact(run.id, name, b"").name == kept


def test_artifacts_are_kept_by_content_and_listed(tracking: Any, run: Run) -> None:
    tracking.put_artifact(run.id, "plots/loss curve.svg", b"<svg/>")
    tracking.put_artifact(run.id, "data.bin", b"\x00" * 10)
    tracking.put_artifact(run.id, "data.bin", b"\x01" * 20)
    listed = tracking.artifacts(run.id)
    assert [(one.name, one.size, one.media_type) for one in listed] == [
        ("data.bin", 20, "application/octet-stream"),
        ("plots/loss curve.svg", 6, "image/svg+xml"),
    ]
    assert tracking.artifact(run.id, "data.bin")[1] == b"\x01" * 20
    with pytest.raises(NotFound, match="no artifact 'nope'"):
        tracking.artifact(run.id, "nope")


def test_inputs_and_outputs_lead_back_to_runs(loopline: Any, tracking: Any, run: Run) -> None:
    link = Link(direction="input", name="flights", digest="d" * 64, kind="dataset")
    tracking.log(run.id, links=[link])
    tracking.log(run.id, links=[link])
    assert tracking.get(run.id).links == (link,)
    assert run.id in tracking.runs_with("d" * 64)
    tracking.finish(run.id, actor="ann")
    assert loopline.ledger.about(run.id)[-1].body["links"][0]["digest"] == "d" * 64


def test_runs_are_compared_by_what_differs(tracking: Any) -> None:
    one = tracking.start("a", actor="ann", params={"same": "1", "rate": "1"})
    two = tracking.start("b", actor="ann", params={"same": "1", "rate": "2", "only": "x"})
    tracking.log(one.id, [Point("auc", 0.5)])
    tracking.log(two.id, [Point("auc", 0.6)])
    found = tracking.compare([one.id, two.id])
    assert found.params == {"only": [None, "x"], "rate": ["1", "2"]}
    assert found.metrics == {"auc": [0.5, 0.6]}


def test_threads_write_to_one_run_without_loss(tracking: Any, run: Run) -> None:
    def write(number: int) -> None:
        for step in range(50):
            tracking.log(run.id, [Point(f"m{number}", float(step), step)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(tracking.history(run.id, f"m{number}")) for number in range(4)] == [50] * 4


def test_a_run_whose_process_died_shows_as_killed_and_can_be_swept(loopline: Any, tracking: Any) -> None:
    from loopline.usecases.tracking.processes import machine, myself

    alive = tracking.start("alive", actor="ann", process=myself())
    dead = tracking.start("dead", actor="ann", process=f"{machine()} 4194304 1")
    assert tracking.get(alive.id).status == "running"
    assert tracking.get(dead.id).status == "killed"
    assert tracking.sweep() == [dead.id]
    assert loopline.ledger.about(dead.id)[-1].body["status"] == "killed"
    assert tracking.sweep() == []


def test_where_a_run_happened_is_kept_without_secrets(loopline: Any, tracking: Any, tmp_path: Path) -> None:
    import subprocess

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "settings.py").write_text("rate = 1\n")
    git("add", ".")
    git("commit", "-qm", "begin")
    (tmp_path / "settings.py").write_text('rate = 2\nAPI_KEY = "hunter2"\nurl = "https://ann:pw@example.org/x"\n')
    process, kept = tracking.here(tmp_path, "")
    run = tracking.start("here", actor="ann", surroundings=kept, process=process)
    found = tracking.get(run.id).surroundings
    assert len(found["git"]["commit"]) == 40
    assert found["git"]["dirty"] is True
    diff = loopline.get("blobs").get(found["git"]["diff"]).decode()
    assert "+rate = 2" in diff
    assert "hunter2" not in diff
    assert "ann:pw" not in diff
    assert found["python"].startswith("3.")
    assert "pytest==" in loopline.get("blobs").get(found["distributions"]).decode()


@pytest.mark.parametrize(
    "point", [Point("x", 1.0, 2**63), Point("x", 1.0, 0, 2**70), Point("x", 1.0, 0, -1), Point("x", 1.0, -(2**64))]
)
def test_numbers_that_no_database_holds_are_refused(tracking: Any, run: Run, point: Point) -> None:
    with pytest.raises(Invalid, match="of a point"):
        tracking.log(run.id, [point])


@pytest.mark.parametrize(
    "fields",
    [
        {"process": "nonsense"},
        {"process": "a b c d"},
        {"run_id": "../../x"},
        {"experiment": "a\nb"},
        {"started_at": "yesterday"},
        {"params": {"": "x"}},
    ],
)
def test_a_run_that_cannot_be_is_refused(tracking: Any, fields: Any) -> None:
    with pytest.raises(Invalid):
        tracking.start("x", actor="ann", **fields)


def test_strange_surroundings_are_kept_as_they_are(tracking: Any) -> None:
    run = tracking.start("x", actor="ann", surroundings={"git": ["no", "map"], "python": {"deep": 1}})
    assert tracking.get(run.id).surroundings == {"git": {}, "python": {"deep": 1}}
    for wrong in ({"limit": 0}, {"limit": 10**30}, {"offset": -1}, {"offset": 10**30}):
        with pytest.raises(Invalid):
            tracking.history(run.id, "x", **wrong)
