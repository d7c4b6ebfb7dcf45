"""The schema of a new database in one piece, so that a new installation need not walk through every revision.

`python -m loopline.app.migrations.fresh` writes `schema.sql` from what the revisions make. It carries the digest of their
files: with any other revisions than these it is not used.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"
SCHEMA = Path(__file__).parent / "schema.sql"
_MARK = "-- Made from the revisions by `make schema`; of revisions "


def revisions_digest() -> str:
    """Names the contents of all revisions."""
    digest = hashlib.sha256()
    for path in sorted(VERSIONS.glob("m[0-9]*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def recorded() -> str | None:
    """The statements that make the newest schema, or None when those at hand are of other revisions."""
    try:
        text = SCHEMA.read_text()
    except OSError:
        return None
    return text if text.startswith(f"{_MARK}{revisions_digest()}\n") else None


def create(path: Path, statements: str) -> None:
    """Make an empty file a database of that schema, all or nothing."""
    db = sqlite3.connect(path, timeout=20, isolation_level=None)
    try:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # heard by a new database alone
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(statements)
    finally:
        db.close()


def is_empty(path: Path) -> bool:
    """Whether a file holds no table yet."""
    db = sqlite3.connect(path, timeout=20)
    try:
        return not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        db.close()


def dumped(path: Path) -> str:
    """The statements that make a database like this one, as one transaction."""
    db = sqlite3.connect(path)
    try:
        lines = ["BEGIN IMMEDIATE;" if line == "BEGIN TRANSACTION;" else line for line in db.iterdump()]
    finally:
        db.close()
    return "\n".join(lines) + "\n"


def main() -> None:
    from loopline.app.migrations.runner import apply

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loopline.db"
        apply(path)
        SCHEMA.write_text(f"{_MARK}{revisions_digest()}\n{dumped(path)}")


if __name__ == "__main__":
    main()
