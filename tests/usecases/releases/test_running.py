"""Releases run for real: the same digests as the working copy, and the versions that the lock says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loopline.core.errors import CheckFailed, NotFound
from loopline.kit.installed import installed
from loopline.usecases.pipelines.values.writing import text
from loopline.usecases.releases import locking, resolving

pytestmark = pytest.mark.integration

PIPELINE = """import iniconfig
from importlib.metadata import version

from loopline import pipeline, step


@step
def told(name: str) -> str:
    assert iniconfig.IniConfig
    return version(name)


@pipeline
def versions(name: str = "iniconfig"):
    return told(name)
"""
TESTS = """from importlib.metadata import version


def test_the_locked_version():
    assert version("iniconfig") == "2.0.0"
"""


def test_one_step_runs_in_an_environment_of_its_own(home, tmp_path, monkeypatch):
    few = ("msgspec", "blake3", "packaging")
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(few))
    folder, old = tmp_path / "mixed", tmp_path / "mixed" / "locks" / "old"
    old.mkdir(parents=True)
    (old / "pyproject.toml").write_text('[project]\ndependencies = ["loopline", "iniconfig==2.0.0"]\n')
    asked = '@step(lock="locks/old/requirements.lock")'
    code = PIPELINE.replace("@step", asked).replace("def told", "def then") + "\n\n" + PIPELINE.partition("step\n")[2]
    code = code.replace("return told(name)\n", "return then(name)\n", 1)
    code = code.replace("    return told(name)\n", "    return then(name), told(name)\n")
    (folder / "pipeline.py").write_text(code)
    with pytest.raises(NotFound, match=r"locks/old/requirements\.lock, which is not there"):
        home.pipelines.run(folder, "versions", actor="ada")
    home.releases.lock(old)
    run = home.pipelines.run(folder, "versions", actor="ada")
    assert run.error == ""
    assert [step.status for step in run.steps] == ["ran", "ran"]
    assert run.outputs == (text("2.0.0").digest, text(installed()["iniconfig"]).digest)
    lock = old / "requirements.lock"
    lock.write_text(lock.read_text() + "# another line\n")
    again = home.pipelines.run(folder, "versions", actor="ada")
    assert [step.status for step in again.steps] == ["ran", "hit"]
    assert "lock locks/old/requirements.lock" in home.pipelines.why(again.run_id, "then").sentence
    (lock).write_text("nonsense ==\n")
    assert home.pipelines.run(folder, "versions", actor="ada").status == "failed"


def test_a_release_takes_what_the_working_copy_made_and_the_other_way_round(home, project, sealed):
    declared = home.projects.pipeline(project, "totals", "ada")
    copy = home.pipelines.run(project, actor="ada", **declared)
    release = sealed()
    done = home.releases.run(release.digest, actor="ada")
    assert [step.status for step in done.steps] == ["hit", "hit"]
    assert done.outputs == copy.outputs
    assert (done.release, done.status) == (release.digest, "finished")
    home.releases.run(release.digest, params={"factor": 5}, actor="ada")
    again = home.pipelines.run(project, params={"factor": 5}, actor="ada", **declared)
    assert [step.status for step in again.steps] == ["hit", "hit"]


def test_new_data_are_taken_in_and_tests_can_be_run_again(home, project, sealed, tmp_path):
    release = sealed()
    home.projects.apply(project, "ada")
    first = home.releases.run(release.digest, actor="ada")
    (tmp_path / "data" / "tuesday.csv").write_text("grams\n1\n")
    second = home.releases.run(release.digest, actor="ada")
    assert first.outputs != second.outputs
    verified = home.releases.verify(release.digest, run=True, actor="ada")
    assert verified.sound
    assert verified.tests == release.manifest.tests


def test_failing_tests_seal_nothing_and_say_which(home, project, sealed):
    (project / "tests" / "test_scale.py").write_text(
        "from scale import heavier\ndef test_x():\n    assert heavier(1, 1) == 3\n"
    )
    with pytest.raises(CheckFailed, match=r"test_scale\.py::test_x.*assert 1 == 3"):
        sealed()
    (project / "tests" / "test_scale.py").write_text("import nowhere\n")
    with pytest.raises(CheckFailed, match="nowhere"):
        sealed()
    (project / "tests" / "test_scale.py").write_text("import os\nos._exit(7)\n")
    with pytest.raises(CheckFailed, match="could not be run: pytest ended with exit code 7"):
        sealed()
    assert not home.releases.releases()
    assert not list((home.home / "work").glob("tests-*"))


def test_a_mistake_in_the_pipeline_does_not_wait_for_the_tests(home, project, sealed):
    (project / "tests" / "test_scale.py").write_text("import time\ndef test_slow():\n    time.sleep(600)\n")
    (project / "pipeline.py").write_text("import nowhere_installed\n")
    with pytest.raises(Exception, match="nowhere_installed"):
        sealed()


def test_a_step_sees_the_version_that_the_lock_pins(home, tmp_path, monkeypatch):
    """Another version of a distribution than the one installed here: an environment is built from the lock, the
    tests and the steps run there."""
    assert installed()["iniconfig"] != "2.0.0"
    few = ("msgspec", "blake3", "packaging")
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(few))  # the rest takes a minute to install
    folder = tmp_path / "old"
    (folder / "tests").mkdir(parents=True)
    (folder / "loopline.yaml").write_text("project: old\npipelines:\n  versions: {}\n")
    (folder / "pyproject.toml").write_text('[project]\ndependencies = ["loopline", "iniconfig==2.0.0"]\n')
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "tests" / "test_versions.py").write_text(TESTS)
    lock, changed = home.releases.lock(folder)
    assert changed
    assert lock.versions["iniconfig"] == "2.0.0"
    assert home.releases.check_lock(folder) == lock
    assert home.releases.lock(folder) == (lock, False)
    release = home.releases.seal(folder, "versions", actor="ada")
    home.projects.apply(folder, "ada")
    done = home.releases.run(release.digest, actor="ada")
    assert done.status == "finished", done.error
    assert release.manifest.graph.codes[release.manifest.graph.steps[0].code].distributions["iniconfig"] == "2.0.0"
    here = home.pipelines.run(folder, "versions", actor="ada", project="old")
    assert here.outputs != done.outputs
    assert [fact.body["distributions"] for fact in home.ledger.since(0, kind="environment.built")] == [len(lock.pins)]
    built = list((home.home / "environments").glob("*/bin/python"))
    assert [Path(one).exists() for one in built] == [True]
    assert locking.parsed(lock.text) == lock


SHOP = """from pathlib import Path

import pyarrow as pa

from loopline import File, branch, command, pipeline, step

shout = command(
    "shout",
    run='sh scripts/loud.sh < "$LOOPLINE_INPUTS/words.csv" > "$LOOPLINE_OUTPUTS/loud.csv"',
    shell=True,
    files=["scripts/loud.sh"],
    inputs={"words": "csv"},
    outputs={"loud": "csv"},
)


@step(uses=[File("rates")])
def rate(name: str) -> float:
    return float((Path("rates") / name).read_text())


@step
def rates(found: list[float]) -> float:
    return sum(found)


@step
def much(value: float) -> bool:
    return value > 5


@step
def words(value: float) -> pa.Table:
    return pa.table({"word": [f"sum {value:g}"]})


@step
def nothing() -> pa.Table:
    return pa.table({"word": ["nothing"]})


@step
def misfit(depth: int) -> float:
    return float((depth - 3) ** 2)


@pipeline
def shop(names: tuple[str, ...] = ("east", "west")):
    value = rates(rate.map(over="name", name=list(names)))
    return shout(words=branch(much(value), lambda: words(value), lambda: nothing()))


@pipeline
def tuning(trials: int = 3):
    return misfit.search(space={"depth": [2, 3, 4]}, trials=trials, sampler="grid")
"""


def test_maps_branches_searches_programs_and_files_are_sealed_and_run(home, project):
    for folder in ("scripts", "rates"):
        (project / folder).mkdir()
    (project / "scripts" / "loud.sh").write_text("tr a-z A-Z\n")
    (project / "rates" / "east").write_text("2.5")
    (project / "rates" / "west").write_text("3.5")
    (project / "rates" / ".hidden").write_text("no")
    (project / "shop.py").write_text(SHOP)
    config = (project / "loopline.yaml").read_text()
    pipelines = "pipelines:\n  shop: {file: shop.py}\n  tuning: {file: shop.py}\n"
    (project / "loopline.yaml").write_text(config.replace("pipelines:\n", pipelines))
    home.projects.apply(project, "ada")
    for name in ("shop", "tuning"):
        release = home.releases.seal(project, name, actor="ada")
        (project / "rates" / "east").write_text("1000")  # a release reads what was sealed
        done = home.releases.run(release.digest, actor="ada")
        assert done.status == "finished", done.error
        (project / "rates" / "east").write_text("2.5")
        copy = home.pipelines.run(project, name, actor="ada", file="shop.py", project="parcels")
        assert done.outputs == copy.outputs
        assert {step.status for step in copy.steps} <= {"hit", "skipped"}, copy.steps
        files = release.manifest.files
        assert ({"rates/east", "rates/west"} <= set(files)) == (name == "shop")
        assert "rates/.hidden" not in files


def test_a_killed_seal_leaves_no_release_and_no_process(home, project, tmp_path):
    """Killed while its tests run: they end with it, nothing is sealed, and the next one seals."""
    began = tmp_path / "began"
    path = project / "tests" / "test_scale.py"
    good = path.read_text()
    path.write_text(
        f"import os, time\ndef test_slow():\n    open({str(began)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-m", "loopline", "release", "totals", "--home", str(home.home)]
    owner = subprocess.Popen(command, cwd=project, stderr=subprocess.DEVNULL)
    pid = int(waited_for(lambda: began.exists() and began.read_text()))
    owner.kill()
    owner.wait()
    assert waited_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
    assert not home.releases.releases()
    path.write_text(good)
    assert home.releases.verify(home.releases.seal(project, "totals", actor="ada").digest).sound


def waited_for(answer):
    """What `answer` gives as soon as that is something; nothing after 30 seconds."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := answer():
            return found
        time.sleep(0.05)
    return None
