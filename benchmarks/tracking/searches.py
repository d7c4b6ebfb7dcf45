"""How long searches take: `searches.py HOME [--plans]`, on an installation that `search_data.py` made.

For each search: the engine (numbers of the runs of a page, in order), the next page, `find` (whole runs), and the whole
page `/runs` of 50 runs as it leaves the server. The least of some repetitions, in milliseconds of CPU time, which a busy machine distorts less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from loopline.app.wiring import open_home
from loopline.shells.http.control import application, host_names
from loopline.usecases.tracking import search
from loopline.usecases.tracking.filters import ordered, parsed

SEARCHES: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("", "metrics.m01 DESC"),
    ("", "metrics.m03"),
    ("", "metrics.m05"),
    ("metrics.m02 > 0.2", "metrics.m01 DESC"),
    ("metrics.m02 > 0.99", "metrics.m01 DESC"),
    ("metrics.m01 > 0.5", "metrics.m01"),
    ("metrics.m02 > 0.9999 and metrics.m04 < 0.5", "metrics.m01 DESC"),
    ("metrics.m02 > 0.2 and metrics.m04 < 0.5", ""),
    ("params.model = 'tree' and metrics.m02 > 0.5", "metrics.m01 DESC"),
    ("params.seed LIKE '%77%'", "metrics.m01"),
    ("tags.team != 'team 3'", "metrics.m01"),
    ("status = 'FAILED'", "metrics.m01 DESC"),
    ("name ILIKE '%TREE 99%'", ""),
    ("metrics.m05 IS NULL", ""),
    ("", "params.model"),
    ("", "params.seed DESC"),
    ("", "name"),
    ("", "end_time"),
    ("", "status, metrics.m01 DESC"),
)
REPEATED = 5
TOKEN = "loop_first_token_of_the_search_bench"


def least(work: Callable[[], Any], times: int = REPEATED) -> float:
    """Milliseconds of CPU time that the quickest of some repetitions takes."""
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return round(1000 * min(took), 1)


def measured(loopline: Any, app: Any, where: str, order: str, plans: bool) -> dict[str, Any]:
    """The figures of one search."""
    database, tracking = loopline.get("database"), loopline.tracking
    orders = [one for one in order.split(", ") if one]
    asked = search.Search(parsed(where), ordered(orders), None, ("active",))

    def engine(after: Any = None) -> Any:
        return database.read(lambda tx: search.found(Plans(tx) if plans and after is None else tx, asked, 101, after))

    first = engine()
    plans = False
    row = {
        "filter": where,
        "order": order,
        "found": min(len(first), 100),
        "engine": least(engine),
        "next": least(lambda: engine(first[99].place)) if len(first) > 100 else None,
        "find": least(lambda: tracking.find(where, orders, limit=100)),
    }
    sort, _, way = (orders[0] if orders else "started_at desc").partition(" ")
    query = {"filter": where, "sort": sort, "order": way.lower() or "asc"}
    return row | {"page": least(lambda: drawn(app, urlencode(query)), 3)}


class Plans:
    """A transaction that prints how the database answers."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx

    def row(self, statement: str, params: Any = None) -> Any:
        return self._tx.row(statement, params)

    def rows(self, statement: str, params: Any = None) -> Any:
        if "ORDER BY t0" in statement:
            for row in self._tx.rows(f"EXPLAIN QUERY PLAN {statement}", params):
                print("   ", row["detail"])
        return self._tx.rows(statement, params)


def drawn(app: Any, query: str) -> int:
    """Ask for the page as a browser does; answers its size."""
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/runs",
        "query_string": query.encode(),
        "headers": headers,
        "scheme": "http",
        "raw_path": b"/runs",
        "root_path": "",
        "http_version": "1.1",
        "client": ("127.0.0.1", 5),
    }
    size = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        nonlocal size
        if message.get("status", 200) != 200:
            raise SystemExit(f"the page answered {message['status']}")
        size += len(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--plans", action="store_true", help="print how the database answers each search")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    given = parser.parse_args()
    with open_home(given.home) as loopline:
        loopline.access.first(TOKEN)
        app = application(loopline, host_names("127.0.0.1", 80))
        rows = []
        print(f"load {os.getloadavg()[0]:.1f}\n{'filter':46}{'order':26}{'engine':>8}{'next':>8}{'find':>8}{'page':>8}")
        for where, order in SEARCHES:
            row = measured(loopline, app, where, order, given.plans)
            rows.append(row)
            print(
                f"{where:46}{order:26}"
                + "".join(f"{row[name] or '':>8}" for name in ("engine", "next", "find", "page"))
            )
        for by, metric in (("status", ""), ("params.model", ""), ("params.model", "m01")):
            took = least(lambda by=by, metric=metric: loopline.tracking.groups(by, metric=metric), 3)  # type: ignore[misc]
            rows.append({"group": by, "metric": metric, "took": took})
            print(f"group by {by} {metric:60}{took:>8}")
        print(f"load {os.getloadavg()[0]:.1f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
