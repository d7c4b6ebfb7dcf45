"""Which bytes an installation still refers to. Whoever clears up asks here, and errs on the side of keeping.

A digest counts as referred to when any use-case names it (`blobs_in_use`), when it stands in any text of the database,
or when a small JSON document that is itself referred to names it. Left out are results of steps, which are what may be
cleared up and answer for themselves; facts, which tell of what was; and the texts of which a use-case says that they
refer to no bytes (`unrelated`), as values of params, of which there are millions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopline.ports.blobs import Blobs
from loopline.ports.database import Database, Transaction

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LEFT_OUT = ("pipelines_results", "ledger_facts", "retention_tombstones", "loopline_schema")
_DOCUMENT_BYTES = 1 << 24
_TEXT = ("TEXT", "CHAR", "CLOB", "JSON")


def in_use(services: Iterable[Any], database: Database, blobs: Blobs, unrelated: Mapping[str, str]) -> set[str]:
    """The digests of all blobs that anything but a step's result refers to."""
    found = {digest for service in services for digest in getattr(service, "blobs_in_use", tuple)()}
    return with_documents(blobs, found | database.read(lambda tx: named_in_rows(tx, unrelated)))


def named_in_rows(tx: Transaction, unrelated: Mapping[str, str] | None = None) -> set[str]:
    """Every digest in any text of the database; `unrelated` maps tables to conditions of rows that are left out."""
    found: set[str] = set()
    for table, column, where in texts(tx, unrelated or {}):
        rows = tx.rows(f'SELECT "{column}" AS text FROM "{table}" WHERE LENGTH("{column}") >= 64{where}')
        for row in rows:
            found.update(DIGEST.findall(str(row["text"])))
    return found


def texts(tx: Transaction, unrelated: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Every column of texts that may refer to bytes: its table, its name, and what more is asked of rows."""
    whole = {table for table, condition in unrelated.items() if not condition}
    tables = tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    for table in (row["name"] for row in tables if row["name"] not in (*LEFT_OUT, *whole)):
        where = f" AND NOT ({unrelated[table]})" if table in unrelated else ""
        for column in tx.rows("SELECT name, type FROM pragma_table_info(:table)", {"table": table}):
            if any(kind in column["type"].upper() for kind in _TEXT):
                yield table, column["name"], where


def with_documents(blobs: Blobs, found: set[str]) -> set[str]:
    """The digests, and those that documents among their blobs name, and so on."""
    known: set[str] = set()
    fresh = found
    while fresh:
        known |= fresh
        fresh = {digest for one in fresh for digest in inside(blobs, one)} - known
    return known


def inside(blobs: Blobs, digest: str) -> list[str]:
    """The digests that a JSON document names; none for other bytes, or when they are lost. (Looking at a blob here is
    not asking for it: what is about to be removed must not look as if it were wanted.)"""
    if blobs.peek(digest, 1) not in (b"{", b"["):
        return []
    content = blobs.peek(digest, _DOCUMENT_BYTES + 1)
    return DIGEST.findall(content.decode()) if len(content) <= _DOCUMENT_BYTES and is_text(content) else []


def is_text(content: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
