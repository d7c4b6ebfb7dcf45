"""A fresh project passes its own CI: the files of GitHub Actions, GitLab and Jenkins are read, and what they say is done.

What cannot run here is the installation alone: Loopline is tested before any index has it. Its script runs with a `python`
that notes what it was asked; that everything asked for is there is read from the metadata of this environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from loopline.kit.installed import installed
from loopline.usecases.releases.locking import Pin, declared_in, written

pytestmark = pytest.mark.journey

GITHUB_STEP = {"name", "uses", "with", "run", "if"}
GITLAB_JOB = {"stage", "script", "rules", "timeout"}
INSTALL, CHECK, RELEASE = "sh ci/install.sh", "sh ci/check.sh", "sh ci/release.sh"
NEST = re.compile(r"^\s*(?:(\w+)(?:\('([^']+)'\))? \{|(\})|sh '([^']+)'|(\w+)(?: .*|\(.*\)))\s*(?://.*)?$")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init")
    done = called([sys.executable, "-m", "loopline", "init", "late", "--owner", "@team/late"], folder)
    assert "loopline run training" in done
    return folder / "late"


def called(command: list[str], folder: Path, **variables: str) -> str:
    environment = {**os.environ, "LOOPLINE_HOME": str(folder.parent / "home"), **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def github(text: str) -> Iterator[tuple[str, str]]:
    """The commands of the workflow and on which branch each runs ("" for every one); fails when it is none."""
    said = yaml.safe_load(text)
    assert set(said) == {"name", True, "permissions", "jobs"}  # YAML 1.1 reads the key `on` as a truth value
    assert set(said[True]) == {"push", "pull_request"}
    for job in said["jobs"].values():
        assert set(job) <= {"runs-on", "timeout-minutes", "steps", "needs", "if"}
        assert job["runs-on"]
        for step in job["steps"]:
            assert set(step) <= GITHUB_STEP
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
                continue
            branch = re.fullmatch(r"github\.ref == 'refs/heads/(\w+)'", step.get("if", ""))
            assert branch or "if" not in step
            yield step["run"], branch[1] if branch else ""


def gitlab(text: str) -> Iterator[tuple[str, str]]:
    said = yaml.safe_load(text)
    jobs = {name: job for name, job in said.items() if name not in ("image", "stages", "default")}
    assert list(jobs) == ["check", "release"]
    for command in said["default"]["before_script"]:
        yield command, ""
    for job in jobs.values():
        assert set(job) <= GITLAB_JOB
        assert job["stage"] in said["stages"]
        rules = job.get("rules", [])
        assert rules in ([], [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}])
        for command in job["script"]:
            yield command, "main" if rules else ""


def jenkins(text: str) -> Iterator[tuple[str, str]]:
    """Declarative: pipeline { agent; options; stages { stage('…') { when { branch '…' } steps { sh '…' } } } }."""
    path: list[tuple[str, str | None]] = []
    branch, top = "", set()
    for line in text.splitlines():
        found = NEST.match(line)
        assert found, line
        block, title, end, command, word = found.groups()
        if block:
            path.append((block, title))
            branch = "" if block == "stage" else branch
        elif end:
            path.pop()
        elif command:
            assert [name for name, _ in path] == ["pipeline", "stages", "stage", "steps"], line
            assert path[2][1]
            yield command, branch
        else:
            top.add(word)
            if word == "branch":
                assert [name for name, _ in path][-2:] == ["stage", "when"]
                branch = line.split("'")[1]
    assert not path
    assert top == {"agent", "timeout", "branch"}


FILES: dict[str, Any] = {".github/workflows/ci.yml": github, ".gitlab-ci.yml": gitlab, "Jenkinsfile": jenkins}


@pytest.mark.parametrize("file", FILES)
def test_every_ci_installs_checks_and_releases_from_main_only(file: str, project: Path) -> None:
    text = (project / file).read_text()
    assert list(FILES[file](text)) == [(INSTALL, ""), (CHECK, ""), (RELEASE, "main")]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert python in text or file == "Jenkinsfile"


def test_what_ci_says_is_green_at_once(project: Path) -> None:
    """The lock stands for what `loopline lock` would write here: the same names and versions, without asking an index."""
    bin_folder = Path(sys.executable).parent
    path = f"{bin_folder}:{os.environ['PATH']}"
    pins = [Pin(name, number, (f"sha256:{'0' * 64}",)) for name, number in installed().items() if name != "loopline"]
    (project / "requirements.lock").write_bytes(written(declared_in(project), pins))
    said = called([*CHECK.split()], project, PATH=path, VIRTUAL_ENV=sys.prefix)
    assert "All checks passed!" in said
    assert re.search(r"\b[3-9] passed", said)
    assert re.search(r"\+ gate +late", said)
    assert f"{len(pins)} distributions, up to date" in said
    assert "late/training" in called([*RELEASE.split()], project, PATH=path, VIRTUAL_ENV=sys.prefix)


@pytest.mark.parametrize("locked", [False, True])
def test_the_installation_asks_for_what_the_project_names(locked: bool, project: Path, tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "install.sh").write_bytes((project / "ci" / "install.sh").read_bytes())
    noting = tmp_path / "bin" / "python"
    noting.parent.mkdir()
    noting.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    noting.chmod(0o755)
    if locked:
        (tmp_path / "requirements.lock").write_text("# made from: x\n# loopline: 1.2.3\nx==1 --hash=sha256:0\n")
    called([*INSTALL.split()], tmp_path, PATH=f"{noting.parent}:{os.environ['PATH']}", VIRTUAL_ENV="here")
    lock = ["-m pip install --require-hashes -r requirements.lock", "-m pip install loopline==1.2.3"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["-m pip install pip>=25.1", *(lock if locked else []), "-m pip install . --group dev"]


def test_what_is_installed_is_enough(project: Path) -> None:
    said = tomllib.loads((project / "pyproject.toml").read_text())
    groups = said["dependency-groups"]
    assert groups["dev"][0] == {"include-group": "test"}
    for text in [*said["project"]["dependencies"], *groups["test"], *groups["dev"][1:]]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(version(wanted.name)), text
