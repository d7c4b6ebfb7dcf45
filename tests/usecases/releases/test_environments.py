"""The locked environment is built whole or not at all, once, and is what the lock says."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from loopline.core.errors import Unavailable
from loopline.usecases.releases import environments, locking, resolving
from loopline.usecases.releases.locking import Pin

HASH = "sha256:" + "0" * 64


@pytest.fixture
def lock():
    asked = locking.Declared(("nowhere-installed==1.0",), ())
    return locking.parsed(locking.written(asked, [Pin("nowhere-installed", "1.0", (HASH,))]))


class Builder:
    """Stands for the tools that make an environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        self.commands: list[list[str]] = []
        self.fails: Exception | None = None
        self.version = version
        monkeypatch.setattr(environments, "run", self.run)

    def run(self, command: list[str]) -> None:
        self.commands.append(command)
        folder = Path(command[-1])
        if "venv" in command:
            (folder / "lib" / f"python{self.version}" / "site-packages").mkdir(parents=True)
            (folder / "bin").mkdir()
        elif self.fails is not None:
            raise self.fails


@pytest.fixture
def builder(monkeypatch, lock):
    return Builder(monkeypatch, lock.python)


@pytest.mark.unit
def test_it_is_built_once_and_finds_this_loopline(lock, builder, tmp_path):
    took = []
    python = environments.python_for(lock, tmp_path, took.append)
    folder = tmp_path / lock.sha256[:32]
    assert python == str(folder / "bin" / "python")
    assert "--require-hashes" in builder.commands[1]
    link = folder / "lib" / f"python{lock.python}" / "site-packages" / "loopline"
    assert (link / "kit" / "signing.py").is_file()
    link.unlink()
    link.symlink_to(tmp_path / "moved-away")
    assert environments.python_for(lock, tmp_path, took.append) == python
    assert (link / "kit" / "signing.py").is_file()
    assert (len(builder.commands), len(took)) == (2, 1)


@pytest.mark.unit
def test_a_failed_or_killed_build_leaves_nothing_that_is_used(lock, builder, tmp_path):
    folder = tmp_path / lock.sha256[:32]
    builder.fails = Unavailable("no index")
    with pytest.raises(Unavailable):
        environments.python_for(lock, tmp_path, lambda seconds: None)
    assert not folder.exists()
    (folder / "bin").mkdir(parents=True)  # what a kill leaves: files and no marker
    (folder / "bin" / "half").write_text("")
    builder.fails = None
    environments.python_for(lock, tmp_path, lambda seconds: None)
    assert not (folder / "bin" / "half").exists()


@pytest.mark.unit
def test_one_whose_distributions_were_changed_is_built_anew(lock, builder, tmp_path):
    environments.python_for(lock, tmp_path, lambda seconds: None)
    place = environments.packages(tmp_path / lock.sha256[:32], lock.python)
    (place / "__pycache__").mkdir()
    environments.python_for(lock, tmp_path, lambda seconds: None)
    assert len(builder.commands) == 2
    (place / "added-1.0.dist-info").mkdir()
    environments.python_for(lock, tmp_path, lambda seconds: None)
    assert len(builder.commands) == 4
    assert not (place / "added-1.0.dist-info").exists()


@pytest.mark.unit
def test_several_at_once_build_it_once(lock, builder, tmp_path):
    threads = [
        threading.Thread(target=environments.python_for, args=(lock, tmp_path, lambda seconds: None)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builder.commands) == 2


@pytest.mark.unit
def test_a_python_that_is_not_here_is_named(lock, tmp_path):
    import msgspec

    with pytest.raises(Unavailable, match=r"Python 3\.77"):
        environments.python_for(msgspec.structs.replace(lock, python="3.77"), tmp_path, lambda seconds: None)


@pytest.mark.integration
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_archives_whose_hash_is_another_are_refused(tool, lock, monkeypatch, tmp_path):
    if tool == "pip":
        monkeypatch.setattr(environments, "found_uv", lambda: "")
    asked = locking.Declared(("iniconfig==2.0.0",), ())
    forged = locking.parsed(locking.written(asked, [Pin("iniconfig", "2.0.0", (HASH,))]))
    with pytest.raises(Unavailable, match=r"(?i)hash"):
        environments.python_for(forged, tmp_path, lambda seconds: None)
    assert not (tmp_path / forged.sha256[:32]).exists()


@pytest.mark.integration
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_it_holds_what_the_lock_names_and_nothing_else(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(resolving, "TOOLS", ())
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(()))
    if tool == "pip":
        monkeypatch.setattr(environments, "found_uv", lambda: "")
        monkeypatch.setattr(resolving, "found_uv", lambda: "")
    asked = locking.Declared(("iniconfig==2.0.0",), ())
    made = locking.parsed(locking.written(asked, resolving.resolved(asked, None)))
    told = []
    python = environments.python_for(made, tmp_path, lambda seconds: None, told.append)
    code = (
        "import importlib.metadata as m, loopline.kit.installed as i\n"
        "print(sorted(one.name for one in m.distributions()), m.version('iniconfig'), i.__file__)"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("['iniconfig'] 2.0.0 ")
    assert str(tmp_path) in done.stdout
    assert told == ["building the environment of 1 distributions that the lock names"]
