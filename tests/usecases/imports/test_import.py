"""What comes in, what does not and why; and that it comes once."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import Invalid, NotFound
from loopline.shells.cli import run as command

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
A, B = "a" * 32, "b" * 32


def brought(loopline: Loopline, source: Any, **options: Any) -> Any:
    return loopline.imports.mlflow(str(source), actor="ada", **options)


def losses(report: Any) -> dict[str, str]:
    return {f"{one.kind} {one.name}": one.reason for one in report.losses}


def kinds(loopline: Loopline) -> list[str]:
    return [fact.kind for fact in loopline.ledger.since(0)]


def test_a_run_comes_in_whole_and_once(loopline: Loopline, mlruns: Path) -> None:
    report = brought(loopline, mlruns)
    assert (report.experiments, report.runs, report.points, report.artifacts, report.lost) == (1, 1, 3, 1, 0)
    run = loopline.tracking.get(A)
    assert (run.name, run.experiment, run.status, run.user_id, run.created_by) == (
        "first",
        "flights",
        "finished",
        "ada",
        "ada",
    )
    assert (run.started_at, run.ended_at) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:01.005Z")
    assert (run.params, run.metrics) == ({"rate": "0.1"}, {"auc": 0.7})
    assert [(one.step, one.value) for one in loopline.tracking.history(A, "auc")] == [(0, 0.5), (1, "NaN"), (2, 0.7)]
    assert loopline.tracking.artifact(A, "notes/hello.txt")[1] == b"hello"
    assert kinds(loopline) == ["experiment.imported", "runs.imported", "import.finished"]
    again = brought(loopline, mlruns)
    assert (again.changed(), again.runs_known, len(kinds(loopline))) == (False, 1, 3)
    told = loopline.imports.imports()
    assert [one["report"]["runs"] for one in told] == [0, 1]


def test_what_is_new_or_has_grown_comes_in(loopline: Loopline, mlruns: Path, add_run: Any) -> None:
    brought(loopline, mlruns)
    add_run(mlruns, B, started=5_000)
    with open(mlruns / "1" / A / "metrics" / "auc", "a") as file:
        file.write("9 0.9 9\n")
    (mlruns / "1" / A / "tags" / "late").write_text("yes")
    report = brought(loopline, mlruns)
    assert (report.runs, report.runs_changed, report.runs_known) == (1, 1, 0)
    assert loopline.tracking.get(A).metrics == {"auc": 0.9}
    assert loopline.tracking.get(A).tags["late"] == "yes"
    assert len(loopline.tracking.history(A, "auc")) == 4


def test_a_dry_run_writes_nothing(loopline: Loopline, mlruns: Path, database: Path) -> None:
    for source in (mlruns, database):
        report = brought(loopline, source, dry_run=True)
        assert (report.runs, report.points > 1, report.dry_run) == (1, True, True)
    assert loopline.ledger.since(0) == []
    assert loopline.imports.imports() == []
    assert loopline.tracking.search().runs == []


def test_another_run_of_the_same_id_keeps_its_place(loopline: Loopline, mlruns: Path, add_run: Any) -> None:
    loopline.tracking.start("mine", actor="ben", run_id=A)
    child = add_run(mlruns, B)
    (child / "tags" / "mlflow.parentRunId").write_text(A)
    brought(loopline, mlruns, prefix="old ")
    assert loopline.tracking.get(A).name == "mine"
    found = loopline.tracking.search(experiment="old flights").runs
    parent = next(run for run in found if run.id != B)
    assert parent.name == "first"
    assert loopline.tracking.get(B).tags["mlflow.parentRunId"] == parent.id
    assert not brought(loopline, mlruns, prefix="old ").changed()


def test_a_folder_that_moved_is_the_same_runs(loopline: Loopline, mlruns: Path) -> None:
    brought(loopline, mlruns)
    moved = mlruns.rename(mlruns.with_name("moved"))
    report = brought(loopline, moved)
    assert (report.runs, report.runs_changed) == (0, 1)
    assert len(loopline.tracking.search().runs) == 1


def test_what_cannot_come_is_told(loopline: Loopline, mlruns: Path, add_run: Any, tmp_path: Path) -> None:
    place = mlruns / "1" / A
    (tmp_path / "secret.txt").write_text("secret")
    (place / "artifacts" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (place / "artifacts" / "folder").symlink_to(tmp_path)
    (place / "params" / "what?").write_text("1")
    (place / "tags" / "long").write_text("x" * 9_000)
    (place / "metrics" / "damaged").write_text("not a point\n")
    broken = add_run(mlruns, B)
    (broken / "meta.yaml").write_text("[not a run")
    report = brought(loopline, mlruns)
    told = losses(report)
    assert sorted(told) == [
        f"artifact {A}/folder",
        f"artifact {A}/link.txt",
        f"metric {A}/damaged",
        f"param {A}/what?",
        f"run {B}",
        f"tag {A}/long",
    ]
    assert "leads out" in told[f"artifact {A}/link.txt"]
    assert "cut to 8000" in told[f"tag {A}/long"]
    assert [one.name for one in loopline.tracking.artifacts(A)] == ["notes/hello.txt"]
    assert len(loopline.tracking.get(A).tags["long"]) == 8_000


def test_a_broken_folder_stops_nothing(loopline: Loopline, mlruns: Path, add_run: Any, tmp_path: Path) -> None:
    os.mkfifo(mlruns / "1" / A / "metrics" / "pipe")
    os.mkfifo(mlruns / "1" / A / "artifacts" / "pipe")
    (add_run(mlruns, B) / "meta.yaml").unlink()
    bomb = add_run(mlruns, "c" * 32) / "meta.yaml"
    bomb.write_text("a: &a [x, x]\nrun_name: &b [*a, *a]\n")
    twice = mlruns / "2"
    shutil.copytree(mlruns / "1" / A / "params", twice / A / "params")
    shutil.copy(mlruns / "1" / A / "meta.yaml", twice / A / "meta.yaml")
    (twice / "meta.yaml").write_text("name: other\n")
    shutil.copytree(twice / A, mlruns / "3" / A)
    for _ in range(2):
        report = brought(loopline, mlruns)
        assert sorted(losses(report)) == ["experiment 3", f"run {A}", f"run {B}", f"run {'c' * 32}"]
    assert not report.changed()
    assert loopline.tracking.get(A).experiment == "flights"


def test_an_old_database_comes_in(loopline: Loopline, database: Path, tmp_path: Path) -> None:
    art = tmp_path / "art" / "7" / A / "artifacts" / "model"
    art.mkdir(parents=True)
    (art / "MLmodel").write_text("flavors: {}\n")
    (art / "model.pkl").write_bytes(b"\x80\x04N.")
    report = brought(loopline, f"sqlite:///{database}", artifacts=tmp_path / "art")
    assert (report.runs, report.points, report.artifacts, report.models, report.versions, report.lost) == (
        1,
        2,
        2,
        1,
        1,
        0,
    )
    assert loopline.tracking.get(A).metrics == {"auc": "NaN"}
    (version,) = loopline.registry.versions("late")
    assert (version.version, version.stage, version.description, version.run_id) == (2, "Staging", "two", A)
    assert not version.servable
    assert sorted(loopline.registry.files_of("late", 2)) == ["MLmodel", "model.pkl"]
    assert not brought(loopline, database, artifacts=tmp_path / "art").changed()
    assert (database.stat().st_size, list(database.parent.iterdir())) == (database.stat().st_size, [database])


def test_files_that_lie_elsewhere_are_told(loopline: Loopline, database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET artifact_uri = 's3://bucket/run'")
        db.execute("UPDATE model_versions SET source = 's3://bucket/run/model'")
    told = losses(brought(loopline, database))
    assert "s3: locations cannot be reached" in told[f"artifacts {A}"]
    assert "cannot be reached" in told["version late/2"]


def test_runs_of_any_number_of_points(loopline: Loopline, mlruns: Path) -> None:
    lines = "".join(f"{step} {math.sin(step)!r} {step}\n" for step in range(3_000))
    (mlruns / "1" / A / "metrics" / "long").write_text(lines)
    assert brought(loopline, mlruns).points == 3_003
    history = loopline.tracking.history(A, "long")
    assert [(one.step, one.value) for one in history] == [(step, math.sin(step)) for step in range(3_000)]


def test_what_was_removed_here_stays_away(loopline: Loopline, mlruns: Path, add_run: Any) -> None:
    brought(loopline, mlruns)
    number = loopline.tracking.get(A).experiment_id
    loopline.tracking.delete_experiment(number, actor="ada")
    add_run(mlruns, B)
    told = brought(loopline, mlruns)
    assert (told.runs, losses(told)) == (0, {"experiment flights": "it is in the trash here; restore it first"})
    assert "in the trash" in losses(brought(loopline, mlruns.rename(mlruns.with_name("moved"))))["experiment flights"]
    loopline.tracking.restore_experiment(number, actor="ada")
    assert brought(loopline, mlruns.with_name("moved")).runs == 1


def test_times_beyond_the_calendar(loopline: Loopline, database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET start_time = -5, end_time = 9223372036854775807")
        db.execute("UPDATE model_versions SET creation_time = 9223372036854775807")
    told = losses(brought(loopline, database))
    assert sorted(name for name in told if name.startswith("time")) == [f"time {A}/ended_ms", f"time {A}/started_ms"]
    run = loopline.tracking.get(A)
    assert (run.started_at, run.ended_at) == ("1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z")
    assert brought(loopline, database).runs == 0


@pytest.mark.parametrize("source", ["nowhere", "ftp://host/x", "http://127.0.0.1:9", "sqlite:///nowhere.db"])
def test_a_source_that_cannot_be_read_is_refused(loopline: Loopline, source: str, tmp_path: Path) -> None:
    from loopline.core.errors import LooplineError

    with pytest.raises(LooplineError) as caught:
        brought(loopline, source if "://" in source else tmp_path / source)
    assert caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="no mlruns folder"):
        brought(loopline, tmp_path / "empty")
    (tmp_path / "text.db").write_text("no database, only text that is long enough")
    with pytest.raises(Invalid, match="no SQLite database"):
        brought(loopline, tmp_path / "text.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE x (y)")
    with pytest.raises(Invalid, match="no MLflow tables"):
        brought(loopline, tmp_path / "other.db")
    with pytest.raises(NotFound):
        brought(loopline, tmp_path / "other.db", artifacts=tmp_path / "gone")


def test_an_import_that_was_killed_goes_on(tmp_path: Path, mlruns: Path, add_run: Any) -> None:
    for number in range(1_200):
        add_run(mlruns, f"{number:032x}", started=number)
    home = tmp_path / "home"
    open_home(home).close()
    one = [sys.executable, "-m", "loopline", "import", "mlflow", str(mlruns), "--home", str(home), "--json"]
    process = subprocess.Popen(one, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with closing(sqlite3.connect(home / "loopline.db")) as db:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if db.execute("SELECT COUNT(*) FROM tracking_runs").fetchone()[0]:
                break
            time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with open_home(home) as loopline:
        report = brought(loopline, mlruns)
        assert report.runs + report.runs_known == 1_201
        assert report.runs_known >= 500
        assert loopline.database.row("SELECT COUNT(*) AS n FROM tracking_points")["n"] == 3 * 1_201
        assert not brought(loopline, mlruns).changed()


def test_the_command_tells_people_and_programs(
    tmp_path: Path, mlruns: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert command(["import", "mlflow", str(mlruns), *home, "--dry-run"]) == 0
    assert "1 runs, 3 points of metrics, 1 artifacts (0.0 MB) would come in" in capsys.readouterr().out
    (mlruns / "1" / A / "params" / "what?").write_text("1")
    assert command(["import", "mlflow", str(mlruns), *home]) == 0
    assert "1 things did not come as they were:" in capsys.readouterr().out
    assert command(["import", "mlflow", str(mlruns), *home, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs_known"] == 1
    assert command(["import", "mlflow", str(mlruns), "--url", "http://127.0.0.1:9"]) == 2
