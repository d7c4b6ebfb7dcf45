"""The database's file gets smaller, also one that was not made for it, while others write."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from loopline.adapters.databases import shrinking
from loopline.adapters.databases.sqlite import SQLite
from loopline.app.wiring import Loopline
from loopline.core.errors import Unavailable

pytestmark = pytest.mark.integration
TABLE = "CREATE TABLE IF NOT EXISTS texts (id INTEGER PRIMARY KEY, value TEXT)"


def filled(path: Path, rows: int = 20_000) -> SQLite:
    database = SQLite(path)
    database.write(lambda tx: tx.run(TABLE))
    database.write(lambda tx: tx.run_many("INSERT INTO texts (value) VALUES (:v)", [{"v": "x" * 200}] * rows))
    return database


def old(path: Path) -> None:
    """A database as installations made them before."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(TABLE)
    db.commit()
    db.close()


def emptied(database: SQLite) -> int:
    database.write(lambda tx: tx.run("DELETE FROM texts WHERE id % 50 <> 0"))
    return database.shrink()


@pytest.mark.parametrize("before", [False, True], ids=["new", "old"])
def test_room_is_given_back(tmp_path: Path, before: bool) -> None:
    path = tmp_path / "loopline.db"
    if before:
        old(path)
    database = filled(path)
    assert emptied(database) > 3_000_000
    assert shrinking.size(path) < 400_000
    assert database.row("SELECT COUNT(*) AS n FROM texts") == {"n": 400}
    assert database.row("PRAGMA auto_vacuum") == {"auto_vacuum": 2}
    assert database.row("PRAGMA integrity_check") == {"integrity_check": "ok"}
    assert database.shrink() == 0
    database.close()
    with pytest.raises(Unavailable):
        database.shrink()


def test_an_old_database_is_not_built_anew_without_room_for_a_copy_or_when_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loopline.db"
    old(path)
    database = filled(path)
    database.write(lambda tx: tx.run("DELETE FROM texts WHERE id % 50 <> 0"))
    with monkeypatch.context() as patch:
        patch.setattr(shrinking.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        database.shrink(whole=True)
    with monkeypatch.context() as patch:
        patch.setattr(shrinking, "SMALL", 1000)
        database.shrink()
    assert path.stat().st_size > 3_000_000
    assert database.shrink(whole=True) > 3_000_000
    database.close()


def test_writes_go_on_meanwhile(tmp_path: Path) -> None:
    database = filled(tmp_path / "loopline.db", 60_000)
    database.write(lambda tx: tx.run("DELETE FROM texts WHERE id % 2 = 0"))
    ended, written = threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            written.append(database.write(lambda tx: tx.run("INSERT INTO texts (value) VALUES ('new')")))

    writer = threading.Thread(target=write)
    writer.start()
    database.shrink()
    ended.set()
    writer.join()
    found: Any = database.row("SELECT COUNT(*) AS n FROM texts WHERE value = 'new'")
    assert found["n"] == len(written) > 0
    database.close()


def test_a_new_installation_is_made_for_it(loopline: Loopline) -> None:
    assert loopline.database.row("PRAGMA auto_vacuum") == {"auto_vacuum": 2}
