"""Clearing up: what nobody needs goes, and what anything refers to stays, whenever it is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loopline.app.in_use import named_in_rows
from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import Conflict
from loopline.shells.cli import run as command
from loopline.usecases.pipelines import eviction, leftovers
from loopline.usecases.pipelines.eviction import Collected

pytestmark = pytest.mark.integration
DAY = 86400.0


def collect(loopline: Loopline, days: float = 2, **asked: Any) -> Collected:
    """Clear up as it would be done some days from now."""
    found = loopline.get("in_use")
    return eviction.collect(loopline.database, loopline.blobs, found, now=time.time() + days * DAY, **asked)


def names(loopline: Loopline) -> set[str]:
    return {one.digest for one in loopline.blobs.kept()}


def test_without_limits_nothing_that_is_needed_goes(project: Any) -> None:
    project.run("training")
    orphan = project.loopline.blobs.put(b"nobody's")
    before = names(project.loopline)
    done = collect(project.loopline)
    assert (done.results, done.blobs, done.size, done.results_kept) == (0, 1, 8, 4)
    assert names(project.loopline) == before - {orphan}
    assert project.run("training").count("hit") == 4
    assert project.ran() == ["make", "halve", "train", "judge"]


def test_bytes_put_or_asked_for_within_the_hour_stay(project: Any) -> None:
    digest = project.loopline.blobs.put(b"on its way")
    done = collect(project.loopline, days=0)
    assert (done.blobs, done.kept) == (0, {eviction.RECENT: 1})
    assert project.loopline.blobs.has(digest)


def test_results_not_taken_for_long_go_and_whatever_else_refers_to_bytes_keeps_them(
    project: Any, tmp_path: Path
) -> None:
    loopline = project.loopline
    loopline.datasets.declare_from("flights", {"folder": str(flights(tmp_path))}, None, "ann")
    loopline.datasets.snapshot("flights", "ann")
    done = project.run("training", rows=3000)
    project.run("counting")
    project.loopline.tracking.put_artifact(done.run_id, "notes.txt", b"kept" * 3000)
    before = names(loopline)
    referred = loopline.database.read(named_in_rows) & before
    found = collect(loopline, max_age=DAY)
    assert (found.results, found.results_kept) == (6, 0)
    assert found.blobs > 0
    assert referred <= names(loopline) < before
    version = loopline.registry.version("late", 1)
    manifest = json.loads(loopline.blobs.get(version.digest))
    for digest in (*manifest["files"].values(), version.profile_digest, version.evaluation_digest):
        assert loopline.blobs.get(digest)
    assert loopline.registry.profile("late", 1).startswith(b'{"rows":1500,')  # counts, and no row
    assert loopline.datasets.table(loopline.datasets.latest("flights").digest).num_rows == 3
    assert "made 3000" in loopline.pipelines.log(done.run_id, "make")
    assert "def make" in loopline.pipelines.source(done.run_id, "pipeline.py")
    assert loopline.tracking.artifact(done.run_id, "notes.txt")[1] == b"kept" * 3000
    project.ran()
    again = project.run("training", rows=3000)
    assert (again.count("ran"), again.outputs) == (4, done.outputs)


def flights(folder: Path) -> Path:
    place = folder / "flights"
    place.mkdir()
    (place / "one.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    return place


def test_the_oldest_go_first_until_the_rest_fits(project: Any) -> None:
    for seed, rows in enumerate((4000, 5000, 6000)):
        project.run("short", rows=rows)
        moved = f"2013-01-0{seed + 1}T00:00:00.000Z"
        project.loopline.database.write(
            lambda tx, at=moved, rows=rows: [
                tx.run(
                    """UPDATE pipelines_results SET made_at = :at WHERE run_id IN (SELECT run_id FROM pipelines_runs
                    WHERE started_at > '2014')""",
                    {"at": at},
                ),
                tx.run("UPDATE pipelines_runs SET started_at = :at WHERE started_at > '2014'", {"at": at}),
            ]
        )
    whole = collect(project.loopline, dry_run=True)
    assert whole.results_kept == 6
    done = collect(project.loopline, max_size=whole.size_kept - 1)
    assert 1 <= done.results < 6
    assert done.size_kept < whole.size_kept
    assert project.run("short", rows=6000).count("hit") == 2
    assert project.run("short", rows=4000).count("ran") >= 1
    none = collect(project.loopline, max_size=0)
    assert (none.results_kept, none.size_kept) == (0, 0)


def test_a_result_that_was_taken_lately_counts_as_young(project: Any) -> None:
    project.run("short", rows=4000)
    old = "2013-01-01T00:00:00.000Z"
    project.loopline.database.write(lambda tx: tx.run("UPDATE pipelines_results SET made_at = :old", {"old": old}))
    project.run("short", rows=4000)
    assert collect(project.loopline, days=0.5, max_age=DAY).results == 0
    assert collect(project.loopline, days=2, max_age=DAY).results == 2


def test_a_dry_run_tells_what_would_go_and_touches_nothing(project: Any) -> None:
    project.run("training", rows=3000)
    before = names(project.loopline)
    told = collect(project.loopline, max_age=0, dry_run=True)
    assert names(project.loopline) == before
    assert project.loopline.pipelines.cache_stats().results == 4
    done = collect(project.loopline, max_age=0)
    assert (told.results, told.blobs, told.results_kept) == (done.results, done.blobs, done.results_kept)


def test_what_a_crash_leaves_is_cleared_up_the_next_time(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("training", rows=3000)

    def failing(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(eviction, "clear", failing)
        with pytest.raises(KeyboardInterrupt):
            collect(project.loopline, max_age=0)
    assert project.loopline.pipelines.cache_stats().results == 0
    assert collect(project.loopline).blobs > 0
    assert project.run("training", rows=3000).count("ran") == 4


def test_documents_that_are_referred_to_keep_what_they_name(project: Any) -> None:
    loopline = project.loopline
    inner = loopline.blobs.put(b"inner")
    middle = loopline.blobs.put(json.dumps({"files": {"a": inner}}).encode())
    outer = loopline.blobs.put(json.dumps([middle]).encode())
    done = project.run("short")
    loopline.tracking.log(done.run_id, tags={"document": outer})
    collect(loopline)
    assert {inner, middle, outer} <= names(loopline)


def test_only_one_clears_up_at_a_time(project: Any) -> None:
    with eviction.alone(project.loopline.home):
        other = f"""
import pathlib
from loopline.usecases.pipelines import eviction
try:
    with eviction.alone(pathlib.Path({str(project.loopline.home)!r})):
        print("in")
except Exception as error:
    print(error.kind)
"""
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == Conflict.kind
    with eviction.alone(project.loopline.home):
        pass


def test_a_run_whose_bytes_are_cleared_away_under_it_makes_them_again(project: Any) -> None:
    project.run("training", rows=3000)
    for one in list(project.loopline.blobs.kept()):
        project.loopline.blobs.remove(one.digest, time.time() + DAY)
    project.loopline.database.write(lambda tx: tx.run("DELETE FROM pipelines_runs"))
    found = project.run("training", rows=3000)
    assert found.status == "finished"


def test_two_projects_share_what_they_have_in_common(project: Any, tmp_path: Path) -> None:
    project.run("joining")
    project.ran()
    other = tmp_path / "second"
    shutil.copytree(project.folder, other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "pipeline.py").write_text((other / "pipeline.py").read_text() + "\n\nUNRELATED = 1\n")
    found = project.loopline.pipelines.run(other, "joining", {}, actor="bob", executor="inline")
    assert (found.project, found.count("hit"), found.count("ran")) == ("second", len(found.steps), 0)
    assert project.ran() == []


def test_what_runs_leave_behind_goes_and_what_goes_on_stays(project: Any) -> None:
    loopline, home = project.loopline, project.loopline.home
    code = loopline.blobs.put(b"code")
    loopline.tracking.log(project.run("short").run_id, tags={"code": code})
    old, young = time.time() - 40 * DAY, time.time()
    made = {
        "work/snapshots/a.arrow": old,
        "work/snapshots/b.arrow": young,
        "work/runs/lost/1/x.out": old,
        "work/runs/fresh/1/x.out": young,
        f"work/code/{code}/pipeline.py": old,
        "work/code/other/pipeline.py": old,
        "logs/firing-1.log": old,
        "logs/firing-2.log": young,
        "logs/control-plane.log": old,
    }
    for name, at in made.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("12345")
        for place in (home / name, *(home / name).parents[: len(Path(name).parts) - 2]):
            os.utime(place, (at, at))
    gone = {"work/snapshots/a.arrow", "work/runs/lost", "work/code/other", "logs/firing-1.log"}
    referred = loopline.get("in_use")()
    assert leftovers.clear_up(home, loopline.database, referred, time.time(), dry_run=True) == (4, 20)
    assert all((home / name).exists() for name in made)
    assert leftovers.clear_up(home, loopline.database, referred, time.time()) == (4, 20)
    left = {name for name in made if (home / name).exists()}
    assert left == {name for name in made if not any(name.startswith(one) for one in gone)}


@pytest.fixture
def cli(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    home = project.loopline.home
    project.run("training", rows=3000)
    project.run("training", rows=3000)
    project.loopline.close()

    def call(*arguments: str) -> tuple[int, str, str]:
        code = command([*arguments, "--home", str(home)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_cache_is_shown_with_its_worth_and_cleared_up(cli: Any, project: Any) -> None:
    code, out, _ = cli("cache")
    assert code == 0
    assert "4 results" in out
    assert "4 hits, 4 runs (50% hits)" in out
    assert sorted(line.split()[1] for line in out.splitlines()[2:]) == ["halve", "judge", "make", "train"]
    code, out, _ = cli("cache", "gc", "--max-size", "0", "--dry-run")
    assert (code, out.splitlines()[0].split(":")[0].endswith("would be removed")) == (0, True)
    code, out, _ = cli("gc", "--max-age", "30d", "--json")
    assert (code, json.loads(out)["results"], json.loads(out)["results_kept"]) == (0, 0, 4)
    with open_home(project.loopline.home) as loopline:
        assert loopline.pipelines.cache_stats().results == 4


@pytest.mark.parametrize("wrong", [("--max-age", "soon"), ("--max-size", "much")])
def test_wrong_limits_are_refused(cli: Any, wrong: tuple[str, str]) -> None:
    code, _, err = cli("gc", *wrong)
    assert code == 2
    assert wrong[1] in err
