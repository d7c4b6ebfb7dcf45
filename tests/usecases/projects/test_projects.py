"""A folder is planned and applied as data, and `init` makes one that works at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import Conflict, Invalid, NotFound, Taken
from loopline.core.verbs import Caller, Role
from loopline.shells.cli import run as command
from loopline.usecases.projects.api import VERBS
from loopline.usecases.projects.folders import declared, found_folder
from loopline.usecases.projects.service import Projects
from loopline.usecases.projects.template import make

pytestmark = pytest.mark.integration

CONFIG = """\
project: late
owner: ada
datasets:
  flights: {folder: data, contract: "contract.py:flights"}
pipelines: {training: {registers: late}}
gates:
  late: {model: late, promote_to: production, minimum: 0.6, slices: [carrier]}
endpoints:
  late: {model: late, alias: production, key: id}
monitors:
  late: {endpoint: late, window: week}
schedules:
  monday: {cron: 0 6 * * 1, run: training}
"""
CONTRACT = """\
from loopline import Contract, column
from words import CARRIERS
flights = Contract(columns=[column("carrier", "string", allowed=CARRIERS)])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "late"
    (made / "data").mkdir(parents=True)
    (made / "data" / "a.csv").write_text("carrier\nAA\n")
    (made / "loopline.yaml").write_text(CONFIG)
    (made / "contract.py").write_text(CONTRACT)
    (made / "words.py").write_text('CARRIERS = ["AA", "UA"]\n')
    (made / ".secret.py").write_text("x = 1")
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "x.py").write_text("")
    return made


def test_a_folder_is_read_without_its_data_and_hidden_files(folder: Path) -> None:
    found = declared(folder)
    assert list(found.files) == ["contract.py", "loopline.yaml", "words.py"]
    assert found.contracts["flights"]["columns"][0]["allowed"] == ["AA", "UA"]
    assert "words" not in sys.modules
    assert not (folder / "__pycache__" / "words.cpython-311.pyc").exists()


def test_planning_changes_nothing_and_applying_does(projects: Projects, loopline: Loopline, folder: Path) -> None:
    plan = projects.plan(folder)
    assert {(change.kind, change.what) for change in plan.changes} >= {("gate", "new"), ("code", "new")}
    assert not projects.projects()
    assert projects.apply(folder, "ada").applied
    assert projects.project("late").owner == "ada"
    assert loopline.datasets.dataset("flights").source.folder == str(folder / "data")
    assert loopline.serving.endpoint("late").alias == "production"
    (fact,) = loopline.ledger.since(0, kind="project.applied")
    assert (fact.subject, fact.body["code"]) == ("project:late", plan.code_digest)


def test_applying_again_changes_nothing(projects: Projects, loopline: Loopline, folder: Path) -> None:
    projects.apply(folder, "ada")
    facts = len(loopline.ledger.since(0))
    assert projects.apply(folder, "bob").changes == ()
    assert len(loopline.ledger.since(0)) == facts


def test_what_changed_is_told(projects: Projects, folder: Path) -> None:
    projects.apply(folder, "ada")
    (folder / "loopline.yaml").write_text(CONFIG.replace("minimum: 0.6", "minimum: 0.7"))
    (folder / "words.py").write_text('CARRIERS = ["AA"]\n')
    told = [(change.kind, change.name, change.details) for change in projects.plan(folder).changes]
    assert told[0] == ("gate", "late", ("minimum: 0.6 → 0.7",))
    assert told[1][:2] == ("contract", "flights")
    assert told[2][2] == ("loopline.yaml: changed", "words.py: changed")


def test_rules_are_answered_to_those_who_need_them(projects: Projects, folder: Path, tmp_path: Path) -> None:
    projects.apply(folder, "ada")
    assert projects.gate("late", "production") == {"minimum": 0.6, "slices": [{"column": "carrier"}]}
    assert projects.gate("late", "staging") is None
    assert projects.monitor("late") == {"window": "week"}
    assert projects.project("late").config["policies"]["monday"]["on"] == "schedule"
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "loopline.yaml").write_text(CONFIG.replace("project: late", "project: other"))
    projects.apply(other, "ada")
    with pytest.raises(Conflict, match="late, other"):
        projects.gate("late", "production")


def test_applied_code_is_written_out_again(projects: Projects, folder: Path, tmp_path: Path) -> None:
    digest = projects.apply(folder, "ada").code_digest
    for _ in range(2):
        place = projects.materialize_code(digest, tmp_path / "work" / digest)
        assert (place / "contract.py").read_text() == CONTRACT
    with pytest.raises(NotFound):
        projects.materialize_code("0" * 64, tmp_path / "nothing")


def test_a_pipeline_is_made_ready(projects: Projects, loopline: Loopline, folder: Path, tmp_path: Path) -> None:
    found = projects.pipeline(folder, "training", "ada")
    assert found == {"pipeline_name": "training", "project": "late", "registers": "late"}
    assert loopline.datasets.latest("flights").rows == 1
    (folder / "data" / "b.csv").write_text("carrier\nUA\n")
    projects.pipeline(folder, "training", "ada")
    assert loopline.datasets.latest("flights").rows == 2
    other = shutil.copytree(folder, tmp_path / "moved")
    with pytest.raises(Conflict, match="applied from"):
        projects.pipeline(other, "training", "ada")


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        ("flights = 3", "is a int"),
        ("", "does not exist"),
        ("def (", r"contract\.py:1"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("\nraise SystemExit('bye')", "cannot be read"),
        ("from loopline import Contract, column\nflights = Contract(columns=[column('a', 'text')])", "no type"),
        ("print('noise')\nimport os\nos._exit(3)", "cannot be read"),
    ],
)
def test_a_contract_that_cannot_be_read_is_named(contract: str, words: str, projects: Projects, folder: Path) -> None:
    (folder / "contract.py").write_text(contract)
    with pytest.raises(Invalid, match=words):
        projects.plan(folder)


def test_a_noisy_contract_is_read(projects: Projects, folder: Path) -> None:
    (folder / "contract.py").write_text("print('hello')\n" + CONTRACT + "print('bye')\n")
    assert projects.plan(folder).changes


def test_a_folder_without_a_project_is_named(tmp_path: Path, projects: Projects) -> None:
    with pytest.raises(NotFound, match=r"loopline\.yaml"):
        found_folder(tmp_path)
    with pytest.raises(NotFound, match=r"loopline\.yaml"):
        projects.plan(tmp_path)


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/x.py", "a/../../x.py", ".hidden.py", "a/.hidden/x.py", "a\\b.py", "x" * 256]
)
def test_a_server_takes_no_file_that_could_leave_its_folder(name: str, projects: Projects) -> None:
    verb = next(verb for verb in VERBS if verb.name == "projects.apply")
    request = verb.request(config={"project": "x"}, folder="/nowhere", files={name: b""})
    with pytest.raises(Invalid, match="name of a project's file"):
        verb.call(projects, request, Caller("ada", Role.ADMIN))


def test_a_server_checks_what_it_is_sent(projects: Projects) -> None:
    verb = next(verb for verb in VERBS if verb.name == "projects.apply")
    for config in ({}, {"project": "x", "gate": {}}, {"project": 3}):
        with pytest.raises(Invalid):
            verb.call(projects, verb.request(config=config, folder="/nowhere"), Caller("ada", Role.ADMIN))
    config: dict[str, Any] = {"project": "x", "datasets": {"d": {"folder": "d"}}}
    request = verb.request(config=config, folder="/nowhere", contracts={"d": {"columns": 3}})
    with pytest.raises(Invalid, match="contract of 'd'"):
        verb.call(projects, request, Caller("ada", Role.ADMIN))


def test_the_commands_speak_plainly(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(tmp_path / "home")
    assert command(["plan", str(folder), "--home", home]) == 0
    assert "+ gate late" in capsys.readouterr().out
    assert command(["apply", str(folder), "--home", home]) == 0
    assert command(["apply", str(folder), "--home", home]) == 0
    assert "late: nothing to change" in capsys.readouterr().out
    (folder / "loopline.yaml").write_text("projct: late\n")
    assert command(["plan", str(folder), "--home", home]) == 2
    assert "did you mean 'project'?" in capsys.readouterr().err
    assert command(["plan", "--schema"]) == 0
    assert '"$schema"' in capsys.readouterr().out


def test_init_refuses_what_would_overwrite(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "file").write_text("mine")
    with pytest.raises(Taken):
        make("x", tmp_path / "x")
    with pytest.raises(Invalid):
        make("a b", tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.journey
def test_init_makes_a_project_that_works_at_once_and_elsewhere(tmp_path: Path) -> None:
    environment = {**os.environ, "LOOPLINE_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}

    def called(*arguments: str, folder: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "loopline run training" in called("loopline", "init", "parcels", "--owner", 'a "b": c', folder=tmp_path)
    assert "version 1" in called("loopline", "run", "training", folder=tmp_path / "parcels")
    assert "3 passed" in called("pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path / "parcels")
    moved = Path(shutil.move(tmp_path / "parcels", tmp_path / "elsewhere"))
    environment["LOOPLINE_HOME"] = str(tmp_path / "second")
    assert "version 1" in called("loopline", "run", "training", folder=moved)


@pytest.mark.parametrize("folder", ["", "relative", "/a\x00b", "/" + "a" * 5000])
def test_a_server_is_told_a_whole_path_or_nothing(folder: str, projects: Projects) -> None:
    verb = next(verb for verb in VERBS if verb.name == "projects.apply")
    with pytest.raises(Invalid, match="no whole path"):
        verb.call(projects, verb.request(config={"project": "x"}, folder=folder), Caller("ada", Role.ADMIN))


def test_a_folder_that_is_not_there_is_not_taken_for_the_one_above(tmp_path):
    (tmp_path / "loopline.yaml").write_text("project: x\n")
    with pytest.raises(NotFound, match=r"There is no folder .*nowhere"):
        found_folder(tmp_path / "nowhere")


def test_code_that_is_too_large_to_be_kept_is_refused_and_not_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("loopline.usecases.projects.folders.LARGEST_FILE", 10)
    (tmp_path / "loopline.yaml").write_text("project: x\n")
    (tmp_path / "notes.md").write_text("n" * 11)
    assert declared(tmp_path).files == {}
    (tmp_path / "large.py").write_text("x = 1\n" * 2)
    with pytest.raises(Invalid, match=r"large\.py has 12 bytes"):
        declared(tmp_path)
