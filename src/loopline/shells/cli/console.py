"""What commands print: JSON for programs, tables and plain lines for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Columns = Sequence[tuple[str, str]]
# A name may hold what a terminal would obey: control characters are drawn, not sent.
SHOWN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def show(data: Any, as_json: bool, table: Columns | None, text: str | None, title: str | None) -> None:
    """Print `data` in the form asked for."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False, default=str))
    elif text is not None:
        print(text.translate(SHOWN))
    elif table is not None:
        print_table(data, table, title)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            print(f"{key}: {plain(value)}")
    elif data is not None:
        print(plain(data))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Columns, title: str | None) -> None:
    """A table on a terminal; lines of tabs when the output goes to a program."""
    if not rows:
        print(f"No {title.lower()} yet." if title else "Nothing yet.")
        return
    if not sys.stdout.isatty():
        print("\t".join(heading for heading, _ in columns))
        for row in rows:
            print("\t".join(plain(row.get(key)) for _, key in columns))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading, _ in columns:
        drawn.add_column(heading)
    for row in rows:
        drawn.add_row(*(Text(plain(row.get(key))) for _, key in columns))
    Console().print(drawn)


def plain(value: Any) -> str:
    """A value as one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).translate(SHOWN | {ord("\t"): " ", ord("\n"): " "})


def complain(message: str, hint: str) -> None:
    """One sentence about what is wrong and one about the way out, on stderr."""
    red, bold, end = ("\x1b[31m", "\x1b[1m", "\x1b[0m") if sys.stderr.isatty() else ("", "", "")
    print(f"{red}{bold}error:{end} {message}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
