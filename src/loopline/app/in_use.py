"""Which bytes an installation still refers to. Whoever clears up asks here, and errs on the side of keeping.

A digest counts as referred to when any use-case names it (`blobs_in_use`), when it stands in any text of the database,
or when a small JSON document that is itself referred to names it. Only results of steps are left out: they are what may
be cleared up, and answer for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from loopline.core.errors import NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.database import Database, Transaction

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LEFT_OUT = ("pipelines_results",)
_DOCUMENT_BYTES = 1 << 24
_TEXT = ("TEXT", "CHAR", "CLOB", "JSON")


def in_use(services: Iterable[Any], database: Database, blobs: Blobs) -> set[str]:
    """The digests of all blobs that anything but a step's result refers to."""
    found = {digest for service in services for digest in getattr(service, "blobs_in_use", tuple)()}
    return with_documents(blobs, found | database.read(named_in_rows))


def named_in_rows(tx: Transaction) -> set[str]:
    """Every digest in any text of the database."""
    found: set[str] = set()
    for table, column in texts(tx):
        rows = tx.rows(f'SELECT "{column}" AS text FROM "{table}" WHERE LENGTH("{column}") >= 64')
        for row in rows:
            found.update(DIGEST.findall(str(row["text"])))
    return found


def texts(tx: Transaction) -> Iterator[tuple[str, str]]:
    """Every column of texts, with its table."""
    tables = tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    for table in (row["name"] for row in tables if row["name"] not in LEFT_OUT):
        for column in tx.rows("SELECT name, type FROM pragma_table_info(:table)", {"table": table}):
            if any(kind in column["type"].upper() for kind in _TEXT):
                yield table, column["name"]


def with_documents(blobs: Blobs, found: set[str]) -> set[str]:
    """The digests, and those that documents among their blobs name, and so on."""
    known: set[str] = set()
    fresh = found
    while fresh:
        known |= fresh
        fresh = {digest for one in fresh for digest in inside(blobs, one)} - known
    return known


def inside(blobs: Blobs, digest: str) -> list[str]:
    """The digests that a JSON document names; none for other bytes, or when they are lost."""
    try:
        if blobs.size(digest) > _DOCUMENT_BYTES:
            return []
        content = blobs.get(digest)
    except NotFound:
        return []
    return DIGEST.findall(content.decode()) if content[:1] in (b"{", b"[") and is_text(content) else []


def is_text(content: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
