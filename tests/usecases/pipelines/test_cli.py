"""`loopline run`, `why` and `cache` as people and programs use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loopline.shells.cli import run as command
from loopline.testing.factories import installation

pytestmark = pytest.mark.integration


@pytest.fixture
def cli(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    home = str(project.loopline.home)
    project.loopline.close()

    def call(*arguments: str) -> tuple[int, str, str]:
        code = command([*arguments, "--home", home])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_run_tells_each_step_and_ends_with_its_figures(cli: Any) -> None:
    code, out, err = cli("run", "training", "-p", "c=2", "--inline")
    assert (code, out.split(" in ")[0]) == (0, "training finished")
    assert "(4 ran)" in out
    assert "late version 1" in out
    assert [line.split()[1:3] for line in err.splitlines()] == [
        [name, "ran"] for name in ("make", "halve", "train", "judge")
    ]
    _, out, err = cli("run", "training", "-p", "c=2")
    assert "(4 hit)" in out
    assert [line.split()[2] for line in err.splitlines()] == ["hit"] * 4


def test_json_is_one_document_on_stdout(cli: Any) -> None:
    code, out, _ = cli("run", "training", "--json", "--inline")
    done = json.loads(out)
    assert (code, done["status"], [step["status"] for step in done["steps"]]) == (0, "finished", ["ran"] * 4)
    code, out, _ = cli("why", done["run_id"][:8], "make", "--json")
    assert json.loads(out)["sentence"] == "Ran: make was never run before."
    code, out, _ = cli("cache", "--json")
    assert json.loads(out)["results"] == 4


def test_a_failed_run_ends_with_1_and_says_where_to_look(cli: Any) -> None:
    code, out, err = cli("run", "failing", "--inline")
    assert code == 1
    assert "error: The step fail failed: ValueError: 10 rows are too few" in err
    run_id = out.split("run ")[1].split()[0]
    assert f"`loopline why {run_id} fail --log`" in err
    code, out, _ = cli("why", run_id, "fail", "--log")
    assert "about to fail" in out
    code, out, _ = cli("why", run_id, "fail")
    assert out.startswith("Failed: fail was never run before.")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "nothing"), 3, "no pipeline 'nothing' in pipeline.py"),
        (("run", "training", "-p", "c"), 2, "'c' is no parameter"),
        (("run", "training", "-p", "c=x", "--inline"), 2, "'c' of 'training' cannot be 'x'"),
        (("run", "training", "--url", "http://127.0.0.1:9"), 2, "not on a server"),
        (("run", "training", "--project", "/nowhere"), 3, "no folder /nowhere"),
        (("why", "abcd", "make"), 3, "no run 'abcd'"),
        (("cache", "import", "/nowhere"), 3, "no installation in /nowhere"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_way_out(cli: Any, arguments: Any, code: int, words: str) -> None:
    ended, out, err = cli(*arguments)
    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 2


def test_a_folder_that_is_no_project_is_said(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = cli("run", "training")
    assert code == 3
    assert "is no project" in err


def test_another_installations_cache_is_taken_over(cli: Any, project: Any, tmp_path: Path) -> None:
    cli("run", "training", "--inline")
    with installation(tmp_path / "other") as other:
        home = other.home
    code = command(["cache", "import", str(project.loopline.home), "--home", str(home)])
    assert code == 0
    code, out, _ = cli("cache")
    assert out.startswith("4 results")


PROBE = """
import sys
from loopline.shells.cli import run
code = run(["run", "training", "--home", sys.argv[1], "--json"])
heavy = ("sqlalchemy", "alembic", "numpy", "pandas", "pyarrow", "polars", "duckdb", "sklearn", "rich", "pipeline", "helpers")
print("LOADED", code, *(name for name in heavy if name in sys.modules))
"""


def test_a_cached_run_imports_neither_the_project_nor_anything_heavy(cli: Any, project: Any) -> None:
    cli("run", "training", "--inline")
    command = [sys.executable, "-c", PROBE, str(project.loopline.home)]
    done = subprocess.run(
        command, cwd=project.folder, capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    assert done.stdout.splitlines()[-1] == "LOADED 0"
