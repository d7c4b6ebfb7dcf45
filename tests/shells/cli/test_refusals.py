"""Whatever a home folder holds, a command says one sentence and the way out, and never shows a traceback."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from pathlib import Path

import click
import pytest

from loopline.app.wiring import open_home
from loopline.core.errors import Unavailable
from loopline.shells.cli import run
from loopline.shells.cli.group import root
from loopline.shells.cli.up import server
from loopline.shells.supervisor.service import Child

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new installation, made once."""
    home = tmp_path_factory.mktemp("fresh") / "home"
    open_home(home).close()
    return home


@pytest.fixture
def home(fresh: Path, tmp_path: Path) -> Path:
    shutil.copytree(fresh, tmp_path / "home")
    return tmp_path / "home"


def damaged(home: Path) -> None:
    (home / "loopline.db").write_bytes(b"no database" * 1000)


def half(home: Path) -> None:
    os.truncate(home / "loopline.db", 20_000)


def newer(home: Path) -> None:
    with sqlite3.connect(home / "loopline.db") as db:
        db.execute("UPDATE loopline_schema SET version_num = '0999_later'")
    db.close()


def folder(home: Path) -> None:
    (home / "loopline.db").unlink()
    (home / "loopline.db").mkdir()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (damaged, 5, "The database is damaged"),
        (half, 5, "The database is damaged"),
        (newer, 2, "was written by a newer Loopline"),
        (folder, 2, "is not a file"),
    ],
)
@pytest.mark.parametrize("command", ["models", "up"])
def test_what_is_wrong_with_a_home_is_said(
    home: Path, spoil: object, code: int, says: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(home)  # type: ignore[operator]
    more = ["--port", "0", "--serving-port", "0", "--no-browser"] if command == "up" else []
    assert run([command, "--home", str(home), *more]) == code
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert not told.out


def test_a_home_below_a_file_is_refused_by_the_files_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert run(["models", "--home", str(tmp_path / "file" / "below")]) == 2
    assert f"{tmp_path / 'file'} is a file" in capsys.readouterr().err


def test_folders_that_went_missing_are_made_again(home: Path) -> None:
    (home / "run" / "schema.lock").unlink()
    (home / "run").rmdir()
    (home / "loopline.db").write_bytes(b"")
    assert run(["models", "--home", str(home)]) == 0


def test_the_database_is_for_its_owner_even_in_a_folder_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    with open_home(tmp_path / "home") as opened:
        opened.access.new("me", "editor", "test")
        assert {path.stat().st_mode & 0o077 for path in (tmp_path / "home").glob("loopline.db*")} == {0}


def test_what_nobody_foresaw_is_one_sentence_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: click.Context) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(root, "invoke", fails)
    assert run(["models", "--home", str(home)]) == 70
    assert capsys.readouterr().err.startswith(
        "error: Something went wrong inside (ZeroDivisionError: division by zero)"
    )
    monkeypatch.setenv("LOOPLINE_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(["models", "--home", str(home)])


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token"]) == 2
    assert capsys.readouterr().err.startswith("Usage: loopline token")


def test_a_killed_servers_address_is_not_believed(home: Path) -> None:
    (home / "run" / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1"}))
    with pytest.raises(Unavailable, match="No server runs"):
        server(home)
    with open(home / "run" / "up.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert server(home)["url"] == "http://127.0.0.1:1"


def test_an_unknown_models_alias_is_not_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alias", "nope", "production", "--home", str(home)]) == 3
    assert "nope" in capsys.readouterr().err


def test_a_terminal_gets_no_control_characters_from_names(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_home(home) as opened:
        opened.tracking.start(name="\x1b]0;owned\x07\tx", actor="test")
    assert run(["runs", "--home", str(home)]) == 0
    told = capsys.readouterr().out
    assert "]0;owned" in told
    assert not set("\x1b\x07") & set(told)
    assert len(told.splitlines()[1].split("\t")) == len(told.splitlines()[0].split("\t"))


@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        ("nonsense", "x", "not the address of a server"),
        ("http://127.0.0.1:99999", "x", "not the address of a server"),
        ("http://127.0.0.1:abc", "x", "not the address of a server"),
        ("http://[::1", "x", "not the address of a server"),
        ("http://127.0.0.1:1", "secret\nsecret", "characters that no token has"),
        ("http://127.0.0.1:1", "x", "No server answers"),
    ],
)
def test_the_servers_address_goes_before_a_home_in_the_environment(
    home: Path,
    url: str,
    token: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(home))
    monkeypatch.setenv("LOOPLINE_URL", url)
    monkeypatch.setenv("LOOPLINE_TOKEN", token)
    assert run(["models"]) in (2, 5)
    told = capsys.readouterr().err
    assert says in told
    assert "secret" not in told
    assert run(["models", "--home", str(home)]) == 0


@pytest.mark.parametrize("process", ["http", "dataplane", "worker"])
def test_no_process_of_the_server_imports_what_lies_in_the_folder_it_was_started_in(
    tmp_path: Path, process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("html", "queue", "token", "argparse"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    child = Child(process, [f"loopline.shells.{process}", "--help"], ())
    with open(tmp_path / "log", "wb") as log:
        child.start(log)
    assert child.process is not None
    assert child.process.wait(30) == 0, (tmp_path / "log").read_text()
