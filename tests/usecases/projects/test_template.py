"""What `loopline init` makes: the same as copier would, clean, for any name that may be."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopline.core.errors import Invalid, LooplineError, Taken, Unavailable
from loopline.shells.cli import run as command
from loopline.usecases.projects import template
from loopline.usecases.projects.checking import checked
from loopline.usecases.projects.template import ANSWERS, PRISTINE, SCHEMA, SKELETON, make, packed, rendered

pytestmark = pytest.mark.integration

NAMES = ["late", "Late-Arrival.v2", "123", "0x1F", "1e3", "2026-01-01", "true", "No", "null", "1.0", "x.", "a" * 100]
OWNERS = ["", "ada", "@team/models", "ada@example.org", 'a "b": c', "<é> & 'x' # {{ name }}", "- [", "~", "3"]
MADE = {
    ANSWERS,
    "README.md",
    "pipeline.py",
    "features.py",
    "contract.py",
    "batches.py",
    "loopline.yaml",
    "pyproject.toml",
}
MADE |= {
    "tests/test_pipeline.py",
    "notebooks/explore.ipynb",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CONTRIBUTING.md",
}
MADE |= {"CODEOWNERS", ".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile"}
MADE |= {"ci/install.sh", "ci/check.sh", "ci/release.sh"}


@pytest.mark.parametrize(("name", "owner"), [("late", ""), *zip(NAMES[2:], OWNERS[1:], strict=False)])
def test_any_name_and_owner_give_a_project_that_says_them(name: str, owner: str) -> None:
    files = {file: content.decode() for file, content in rendered({"name": name, "owner": owner}).items()}
    config = checked(files["loopline.yaml"])
    assert (config["project"], config.get("owner", "")) == (name, owner)
    assert config["gates"][name]["model"] == config["endpoints"][name]["model"] == name
    assert list(config["environments"]) == ["dev", "prod"]
    assert config["critical_metrics"] == ["auc"]
    said = yaml.safe_load(files[ANSWERS])
    assert (said["name"], said["owner"], said["_loopline"]) == (name, owner, version("loopline"))
    assert re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*-model", tomllib.loads(files["pyproject.toml"])["project"]["name"])
    assert ("\n* " + owner + "\n" in files["CODEOWNERS"]) == ("@" in owner)
    for file, text in files.items():
        assert text.endswith("\n"), file
        assert not re.search(r"[ \t]$|\{\{ (?!name)|\{%|\n\n\n\n", text, re.M), file
        assert "/work/" not in text, file


@pytest.mark.parametrize(("name", "owner"), [("late", ""), ("123", OWNERS[5]), ("true", "ada@example.org")])
def test_copier_gives_the_same_bytes(name: str, owner: str, tmp_path: Path) -> None:
    import copier

    answers = {"name": name, "owner": owner, "python": template.PYTHON, "loopline": version("loopline")}
    copier.run_copy(str(SKELETON), tmp_path / "it", data=answers, defaults=True, quiet=True)
    found = {path.relative_to(tmp_path / "it").as_posix(): path for path in (tmp_path / "it").rglob("*")}
    given = {file: path.read_bytes() for file, path in found.items() if path.is_file()}
    assert given == rendered({"name": name, "owner": owner})
    assert set(given) == MADE


def test_what_was_given_is_recorded(tmp_path: Path) -> None:
    files = make("late", tmp_path / "late", owner="ada")
    data = {f"data/parcels/2026-0{month}.csv" for month in (1, 2, 3)}
    assert set(files) == MADE | {SCHEMA, PRISTINE} | data
    given = rendered({"name": "late", "owner": "ada"})
    with zipfile.ZipFile(tmp_path / "late" / PRISTINE) as archive:
        assert {file: archive.read(file) for file in archive.namelist()} == given
    assert packed(given) == packed(dict(reversed(given.items()))) == (tmp_path / "late" / PRISTINE).read_bytes()
    ignored = (tmp_path / "late" / ".gitignore").read_text().split()
    assert {"data/", SCHEMA, ".loopline/"} <= set(ignored)


def test_the_code_is_clean_and_ruff_is_pinned_everywhere_alike(tmp_path: Path) -> None:
    make("late", tmp_path / "late")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
            cwd=tmp_path / "late",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    pin = f"ruff=={version('ruff')}"
    groups = tomllib.loads((tmp_path / "late" / "pyproject.toml").read_text())["dependency-groups"]
    assert pin in groups["dev"]
    hooks = yaml.safe_load((tmp_path / "late" / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repo["repo"] for repo in hooks} == {"local"}
    assert [hook["additional_dependencies"] for hook in hooks[0]["hooks"]] == [[pin], [pin]]


def test_the_notebook_runs(tmp_path: Path) -> None:
    make("late", tmp_path / "late")
    cells = json.loads((tmp_path / "late" / "notebooks" / "explore.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\nassert model.metrics['auc'] > 0.65"],
        cwd=tmp_path / "late" / "notebooks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "owner", "kind"),
    [
        ("", "", Invalid),
        ("a b", "", Invalid),
        ("../x", "", Invalid),
        ("-x", "", Invalid),
        ("x" * 101, "", Invalid),
        ("é", "", Invalid),
        ("x", "two\nlines", Invalid),
        ("x", "\x1b[31m", Invalid),
        ("x", "o" * 201, Invalid),
    ],
)
def test_a_name_or_owner_that_cannot_be_is_refused(
    name: str, owner: str, kind: type[LooplineError], tmp_path: Path
) -> None:
    with pytest.raises(kind) as refused:
        make(name, tmp_path / "it", owner)
    assert refused.value.hint
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(Taken, match="holds something"):
            make("x", folder)
    with pytest.raises(Unavailable, match="cannot be made"):
        make("x", tmp_path / "file" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_folder_is_filled_also_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert "loopline.yaml" in make("x", Path())
    assert Path("loopline.yaml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_a_project_appears_whole_or_not_at_all(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(folder: Path, *_: Any) -> None:
        (folder / "half").write_text("")
        raise error

    monkeypatch.setattr(template, "_fill", broken)
    assert command(["init", "x", "--into", str(tmp_path / "x")]) == 5
    assert str(error.strerror) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_data_that_cannot_be_made_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template.sys, "executable", "false")
    with pytest.raises(Invalid, match="data could not be made"):
        make("x", tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_an_installation_of_its_own_is_made_on_demand(tmp_path: Path) -> None:
    make("x", tmp_path / "x", local=True)
    assert (tmp_path / "x" / ".loopline").is_dir()
    assert stat_of(tmp_path / "x") == 0o755


def stat_of(path: Path) -> int:
    return os.stat(path).st_mode & 0o777


def test_an_archive_is_read_by_any_tool() -> None:
    with zipfile.ZipFile(io.BytesIO(packed({"b/c.txt": b"1", "a.txt": b""}))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.txt", "b/c.txt"]
