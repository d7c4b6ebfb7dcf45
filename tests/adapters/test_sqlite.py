"""SQLite keeps the port's promises, also when disk, locks and processes fail."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.adapters.databases import sqlite
from loopline.adapters.databases.sqlite import SQLite
from loopline.core.errors import Unavailable
from loopline.ports.database import Transaction
from loopline.testing.contracts.databases import TABLE, DatabaseContract, add, names

pytestmark = pytest.mark.integration

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from loopline.adapters.databases.sqlite import SQLite
from loopline.core.errors import Unavailable
from loopline.testing.contracts.databases import add, names
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = SQLite(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 1_000_000))
written = 0
try:
    while True:
        database.write(add(f"{written:06}", note="x" * 5000))
        written += 1
except Unavailable as error:
    print(error.message)
assert len(names(database)) == written
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
database.write(add("healed"))
assert len(names(database)) == written + 1
print("healed")
"""

WRITER = """
import sys
from pathlib import Path
from loopline.adapters.databases.sqlite import SQLite
from loopline.testing.contracts.databases import add
database = SQLite(Path(sys.argv[1]))
n = 0
while True:
    database.write(add(f"{sys.argv[2]} {n}"))
    print(f"{sys.argv[2]} {n}", flush=True)
    n += 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "a #1 100% ? ü.db"
    db = sqlite3.connect(place)
    db.execute(TABLE)
    db.close()
    return place


class TestSQLite(DatabaseContract):
    @pytest.fixture
    def database(self, path: Path) -> Iterator[SQLite]:
        opened = SQLite(path)
        yield opened
        opened.close()

    @pytest.fixture
    def again(self, path: Path) -> Iterator[SQLite]:
        opened = SQLite(path)
        yield opened
        opened.close()

    def test_the_path_is_taken_literally(self, database: SQLite, path: Path) -> None:
        database.write(add("a"))
        assert {one.name.removeprefix(path.name) for one in path.parent.iterdir()} <= {"", "-wal", "-shm"}

    def test_every_commit_is_synced(self, database: SQLite) -> None:
        def level(tx: Transaction) -> tuple[int, str]:
            synchronous = tx.row("PRAGMA synchronous")
            journal = tx.row("PRAGMA journal_mode")
            assert synchronous
            assert journal
            return synchronous["synchronous"], journal["journal_mode"]

        assert database.write(level) == (2, "wal")

    def test_a_lock_held_too_long_is_unavailable_and_heals(
        self, database: SQLite, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "LOCK_WAIT_S", 0.1)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            database.write(add("a"))
        holder.execute("ROLLBACK")
        holder.close()
        database.write(add("b"))
        assert names(database) == ["b"]

    def test_a_full_database_is_unavailable_and_heals(self, database: SQLite) -> None:
        def limit(pages: int) -> None:
            database.write(lambda tx: tx.row(f"PRAGMA max_page_count = {pages}"))

        limit(10)
        with pytest.raises(Unavailable, match="full"):
            database.write(add("a", note="x" * 200_000))
        database.write(add("small"))
        limit(100_000)
        database.write(add("a", note="x" * 200_000))
        assert names(database) == ["a", "small"]

    def test_a_full_disk_is_unavailable_and_heals(self, path: Path) -> None:
        done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "cannot do that just now" in done.stdout
        assert done.stdout.endswith("healed\n")

    def test_a_file_that_is_no_database_is_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "bad.db").write_bytes(b"this is no database, just a long enough text" * 100)
        with pytest.raises(Unavailable, match="damaged"):
            SQLite(tmp_path / "bad.db")

    def test_a_folder_that_is_gone_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable):
            SQLite(tmp_path / "gone" / "loopline.db")

    def test_a_missing_table_is_unavailable(self, database: SQLite) -> None:
        with pytest.raises(Unavailable, match="no such table"):
            database.read(lambda tx: tx.rows("SELECT * FROM absent"))

    @pytest.mark.parametrize("wait_s", [0.15, 0.4])
    def test_processes_killed_while_they_write_lose_nothing(self, path: Path, tmp_path: Path, wait_s: float) -> None:
        told = [tmp_path / f"told-{n}" for n in range(2)]
        writers = []
        for n, place in enumerate(told):
            with open(place, "wb") as out:
                writers.append(subprocess.Popen([sys.executable, "-c", WRITER, path, str(n)], stdout=out))
        while not all(place.stat().st_size for place in told):
            time.sleep(0.01)
        time.sleep(wait_s)
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        acknowledged = {line for place in told for line in place.read_text().splitlines(keepends=True)}
        opened = SQLite(path)
        assert {line.strip() for line in acknowledged if line.endswith("\n")} <= set(names(opened))
        opened.close()
