"""Bring a database's schema up to date. Alembic is imported only when it is old."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path
from typing import Any

from loopline.adapters.databases.sqlite import translated
from loopline.app.migrations import fresh
from loopline.core.errors import Conflict, Invalid, Unavailable

VERSIONS = Path(__file__).parent / "versions"
NEWEST = max(path.stem.removeprefix("m") for path in VERSIONS.glob("m[0-9]*.py"))


def bring_up_to_date(home: Path) -> None:
    """Apply the revisions that are missing, all or nothing; one process at a time."""
    if stored(home) == NEWEST:
        return
    with open(home / "run" / "schema.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found_schema(home) != NEWEST:
            try:
                build(home / "loopline.db")
            except Exception as error:
                raise Unavailable(
                    f"The schema of {home / 'loopline.db'} cannot be brought up to date ({first_line(error)}).",
                    "Nothing was changed. Free disk, or restore the installation from a copy.",
                ) from error


def found_schema(home: Path) -> str | None:
    """`stored`, or Conflict for an installation that only a newer Loopline understands."""
    found = stored(home)
    if found is not None and found > NEWEST:
        raise Conflict(
            f"The installation in {home} was written by a newer Loopline (schema {found}).",
            "Upgrade Loopline, or open another home.",
        )
    return found


def stored(home: Path) -> str | None:
    """The revision that the database stands at; None for a new one. Unavailable for one that is damaged."""
    path = home / "loopline.db"
    if not path.exists():
        return None
    if not path.is_file():
        raise Invalid(f"{path} is not a file.", "Name an installation's folder with --home.")
    with_schema = "SELECT version_num FROM loopline_schema"
    with translated():
        db = sqlite3.connect(path, timeout=20)
        try:
            return str(db.execute(with_schema).fetchone()[0])
        except (sqlite3.OperationalError, TypeError) as error:
            if "no such table" in str(error) or isinstance(error, TypeError):
                return None
            raise
        finally:
            db.close()


def first_line(error: BaseException) -> str:
    """What an error says, without the statement that SQLAlchemy adds."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def build(path: Path) -> None:
    """Bring a database to the newest schema: a new one at once, an older one revision by revision."""
    statements = fresh.recorded()
    if statements is not None and fresh.is_empty(path):
        fresh.create(path, statements)
    else:
        apply(path)


def apply(path: Path) -> None:
    """Run Alembic up to the newest revision in one transaction."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import URL, create_engine, event

    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": 20})

    @event.listens_for(engine, "connect")
    def connected(db: Any, _: Any) -> None:
        db.isolation_level = None
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # heard by a new database alone
        db.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
