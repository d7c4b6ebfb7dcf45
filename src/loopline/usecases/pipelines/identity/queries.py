"""Databases that a step reads: what a query answers, in a form that does not depend on the order of rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, LooplineError, NotFound, Unavailable
from loopline.usecases.pipelines.hashing import digest, digest_all
from loopline.usecases.pipelines.identity.externals import bare, filled, hidden

_AT_ONCE = 1000
_CONNECT_S = 20


def of_query(written: str, query: str, folder: Path) -> str:
    """The digest of a query's answer: names of columns in order, rows in any. Nothing it writes is kept."""
    whole = filled(written, f"the database {bare(written)}")
    scheme = whole.partition("://")[0]
    try:
        if scheme == "sqlite":
            return _sqlite(whole, query, folder)
        if scheme in ("postgresql", "postgres"):
            return _postgresql(whole, query)
    except LooplineError:
        raise
    except Exception as error:  # each driver has errors of its own; all mean that the rows cannot be had
        reason = hidden(str(error), written, whole)
        raise Unavailable(
            f"The query on {bare(written)}, which a step uses, failed: {reason}", "Try the query by hand."
        ) from None
    raise Invalid(
        f"{bare(written)[:200]!r} is no database that a step can use.", "Write sqlite:///FILE or postgresql://…."
    )


def _sqlite(url: str, query: str, folder: Path) -> str:
    name = url.removeprefix("sqlite:///").partition("?")[0]
    path = folder / name
    if not url.startswith("sqlite:///") or not path.is_file():
        raise NotFound(f"There is no SQLite file {name!r}, which a step uses.", "Correct uses=[Query(…)] of the step.")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_CONNECT_S)
    try:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return digest_of(names, cursor)
    finally:
        connection.close()


def _postgresql(url: str, query: str) -> str:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise Unavailable("Reading from a database needs ADBC.", "`pip install 'loopline[sql]'`.") from None
    if "connect_timeout" not in url:
        url += f"{'&' if '?' in url else '?'}connect_timeout={_CONNECT_S}"
    with dbapi.connect(url) as connection, connection.cursor() as cursor:  # closed without a commit
        cursor.execute(query)
        table = cursor.fetch_arrow_table()
        return digest_of(table.column_names, _rows(table))


def _rows(table: Any) -> Iterator[Sequence[Any]]:
    for batch in table.to_batches(max_chunksize=_AT_ONCE):
        columns = [storage_of(column).to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


def storage_of(column: Any) -> Any:
    """The plain values behind a driver's own type."""
    return getattr(column, "storage", column)


def digest_of(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """The digest of an answer: two answers with the same rows in another order are the same."""
    found = sorted(digest(*(part for value in row for part in (type(value).__name__, repr(value)))) for row in rows)
    return digest_all(("rows", *names, "", *found))
