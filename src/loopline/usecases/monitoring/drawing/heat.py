"""A heat map of drift: columns of the data over time, each cell as unusual as its p-value says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

LEVELS = (0.1, 0.03, 0.01, 0.001, 0.0001)
WORDS = ("as always", "slightly unusual", "unusual", "quite unusual", "very unusual", "hardly ever seen", "alarm")
ALARM = 6
UP = ("higher", "wider", "more", "new")
DOWN = ("lower", "narrower", "fewer", "less")
JUDGED = ("p_value", "e_value", "effect")
Cell = Mapping[str, Any]


def level(cell: Cell) -> int:
    """How unusual, from 0 (as always) to 5 (a p-value of at most 0.0001); 6 for an alarm; -1 where nobody can tell."""
    if cell.get("alarm"):
        return ALARM
    value = cell.get("p_value")
    return -1 if value is None or math.isnan(value) else sum(value <= bound for bound in LEVELS)


def glyph(direction: str) -> str:
    """The direction as a sign, so that colour does not stand alone."""
    first = direction.split(" ")[0] if direction else ""
    return "▲" if first in UP else "▼" if first in DOWN else "◆" if first else ""


def said(cell: Cell) -> str:
    """A cell in words, for its title and for who does not see it."""
    known = [WORDS[level(cell)] if level(cell) >= 0 else "not comparable"]
    known += [f"p {cell['p_value']:.2g}"] if cell.get("p_value") is not None else []
    known += [f"e {cell['e_value']:.3g}"] if cell.get("e_value") is not None else []
    known += [cell["change"]] if cell.get("change") else [cell["direction"]] if cell.get("direction") else []
    return ", ".join(known)


def cells_of(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells of a drift history (see `model.drifts.reports.DriftHistory`), the whole reports among them."""
    whole = {"column": "", "kind": "", "unit": "", "directions": (), "changes": (), "effects": ()}
    lines = [whole | {name: matrix[name] for name in ("p_values", "e_values", "alarms")}, *matrix["columns"]]
    made = [
        {
            "start": start,
            "column": line["column"],
            "kind": line["kind"],
            "unit": line["unit"],
            "p_value": _at(line["p_values"], place),
            "e_value": _at(line["e_values"], place),
            "effect": _at(line["effects"], place),
            "direction": _at(line["directions"], place) or "",
            "change": _at(line["changes"], place) or "",
            "alarm": bool(_at(line["alarms"], place)),
        }
        for line in lines
        for place, start in enumerate(matrix["starts"])
    ]
    return [cell for cell in made if not cell["column"] or any(cell[name] is not None for name in JUDGED)]


def heat(cells: Iterable[Cell], most_windows: int = 60, most_rows: int = 60) -> dict[str, Any] | None:
    """Rows (the whole report first, then columns, the most unusual of late first), each with a cell for each window,
    oldest first, None where it was not compared; and the windows by month. None without a cell."""
    by_place = {(str(cell["column"]), str(cell["start"])): cell for cell in cells}
    starts = sorted({start for _, start in by_place})[-most_windows:]
    if not starts:
        return None
    names = sorted({name for name, _ in by_place}, key=lambda name: (name != "", -_late(by_place, name, starts), name))
    rows = [_row(name, [by_place.get((name, start)) for start in starts], starts) for name in names]
    shown = [row for row in rows if any(row["cells"])]
    return {
        "starts": starts,
        "months": [{"text": month, "span": len(list(group))} for month, group in groupby(starts, lambda at: at[:7])],
        "rows": shown[:most_rows],
        "more": max(len(shown) - most_rows, 0),
    }


def _row(name: str, cells: Sequence[Cell | None], starts: Sequence[str]) -> dict[str, Any]:
    made = [
        None
        if cell is None
        else {
            "start": start,
            "level": level(cell),
            "glyph": glyph(cell.get("direction") or "") if level(cell) >= 3 else "",
            "text": said(cell),
        }
        for start, cell in zip(starts, cells, strict=True)
    ]
    kind = next((str(cell.get("kind") or "input") for cell in cells if cell is not None), "input")
    return {"name": name, "kind": kind, "cells": made}


def _late(by_place: Mapping[tuple[str, str], Cell], name: str, starts: Sequence[str]) -> float:
    """How unusual a column was in the newest windows, the newest counting most."""
    found = [by_place.get((name, start)) for start in starts[-8:]]
    return sum(max(level(cell), 0) * (1 + place) for place, cell in enumerate(found) if cell is not None)


def _at(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None
