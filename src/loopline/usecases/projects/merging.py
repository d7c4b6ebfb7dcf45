"""Three-way merges of a project with its template, made by copier in scratch repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Unavailable
from loopline.usecases.projects.template import installed

MARKER = b"<<<<<<< before updating"
RECORD = ".copier-answers.yml"
PATIENCE_S = 120.0
AUTHOR = ("-c", "user.name=loopline", "-c", "user.email=loopline@localhost", "-c", "commit.gpgsign=false")


def merged(
    base: Mapping[str, bytes], mine: Mapping[str, bytes], answers: Mapping[str, Any], skeleton: Path
) -> dict[str, bytes]:
    """The project's files `mine` after copier's update from what the template gave once (`base`) to what `skeleton`
    gives now for `answers`; a conflict is marked in its file. Unavailable when copier cannot, or would lose
    a line that was added here.

    copier updates from one version of a template's git repository to another, in a project that is a git repository.
    Both are made here for the occasion, so neither the template nor the project needs to be one.
    """
    with tempfile.TemporaryDirectory(prefix="loopline-update-") as name:
        scratch = Path(name)
        template, project = scratch / "template", scratch / "project"
        _template(template, base, skeleton)
        _project(project, mine, template, answers)
        _called([sys.executable, "-m", "copier", *_update(project)], project)
        found = {each: (project / each).read_bytes() for each in mine}
    for each, text in found.items():
        _checked_kept(each, base.get(each, b""), mine[each], text)
    return found


def _checked_kept(name: str, base: bytes, mine: bytes, found: bytes) -> None:
    """Every line that was added in the project stands in the outcome: whatever else goes wrong, nobody's work is lost."""
    if set(mine.splitlines()) - set(base.splitlines()) - set(found.splitlines()):
        raise Unavailable(f"The template could not be merged: lines of {name} would be lost.", "Nothing was changed.")


def _update(project: Path) -> list[str]:
    return [
        "update",
        "--defaults",
        "--quiet",
        "--conflict=inline",
        f"--answers-file={RECORD}",
        "--vcs-ref=v2",
        str(project),
    ]


def _template(folder: Path, base: Mapping[str, bytes], skeleton: Path) -> None:
    """A repository of two versions: first the files as they were given, word for word, then the template."""
    shutil.copytree(skeleton, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(folder / "project")
    _fill(folder / "project", base)
    _git(folder, "init", "-q")
    _commit(folder, "v1")
    shutil.rmtree(folder / "project")
    shutil.copytree(skeleton, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    _commit(folder, "v2")


def _project(folder: Path, mine: Mapping[str, bytes], template: Path, answers: Mapping[str, Any]) -> None:
    import yaml

    said = {key: value for key, value in answers.items() if not key.startswith("_")} | {"loopline": installed()}
    record = yaml.safe_dump({"_src_path": str(template), "_commit": "v1", **said})
    _fill(folder, {**mine, RECORD: record.encode()})
    _git(folder, "init", "-q")
    _commit(folder, "v1")


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _commit(folder: Path, tag: str) -> None:
    _git(folder, "add", "--all", "--force", ".")
    _git(folder, *AUTHOR, "commit", "-q", "--allow-empty", "--no-verify", "-m", tag)
    _git(folder, "tag", tag)


def _git(folder: Path, *words: str) -> None:
    _called(["git", *words], folder)


def _called(command: list[str], folder: Path) -> None:
    """Run without the settings of the person or of a surrounding repository: they could change what is merged."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COPIER_", "PYTHON"))}
    home = {name: str(folder.parent) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    environment = {**kept, **home, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{Path(command[0]).name} took more than two minutes to merge.", "Try again.") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise Unavailable(f"The template could not be merged: {last[0][:300]}.", "Nothing was changed.")
