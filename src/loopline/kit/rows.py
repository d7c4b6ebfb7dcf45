"""Take rows out of tables and put them back, whatever their columns are. `tx` runs SQL (see the port of databases)."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

AT_ONCE = 400


def among(column: str, names: Sequence[Any], mark: str = "n") -> tuple[str, dict[str, Any]]:
    """A condition that `column` is one of the names, with its parameters."""
    marks = ", ".join(f":{mark}{place}" for place in range(len(names)))
    return f"{column} IN ({marks})", {f"{mark}{place}": name for place, name in enumerate(names)}


def among_pairs(columns: tuple[str, str], pairs: Sequence[tuple[Any, Any]]) -> tuple[str, dict[str, Any]]:
    """A condition that two columns together are one of the pairs, with its parameters."""
    marks = ", ".join(f"(:a{place}, :b{place})" for place in range(len(pairs)))
    params = {f"a{place}": pair[0] for place, pair in enumerate(pairs)}
    params |= {f"b{place}": pair[1] for place, pair in enumerate(pairs)}
    return f"({columns[0]}, {columns[1]}) IN (VALUES {marks})", params


def portions(names: Sequence[Any], size: int = AT_ONCE) -> Iterator[Sequence[Any]]:
    """The names, as many at a time as one statement carries."""
    return (names[start : start + size] for start in range(0, len(names), size))


def lifted(tx: Any, table: str, where: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows found, which are gone afterwards, as plain data that JSON can carry."""
    rows = [{name: carried(value) for name, value in row.items()} for row in tx.rows(
        f'SELECT * FROM "{table}" WHERE {where}', params)]  # fmt: skip
    if rows:
        erased(tx, table, where, params)
    return rows


def erased(tx: Any, table: str, where: str, params: Mapping[str, Any]) -> int:
    """Remove the rows found; answers how many."""
    return int(tx.run(f'DELETE FROM "{table}" WHERE {where}', params))


def laid_back(tx: Any, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put lifted rows back. Columns that the table has got since keep their defaults."""
    if not rows:
        return
    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join(f":c{place}" for place in range(len(names)))
    tx.run_many(
        f'INSERT INTO "{table}" ({columns}) VALUES ({marks})',
        [{f"c{place}": given(row[name]) for place, name in enumerate(names)} for row in rows],
    )


def carried(value: Any) -> Any:
    """A value of a row as JSON carries it without loss."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def given(value: Any) -> Any:
    """The value that `carried` carried."""
    if isinstance(value, Mapping):
        return base64.b64decode(value["bytes"]) if "bytes" in value else float(value["float"])
    return value
