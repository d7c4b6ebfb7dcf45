"""The page of all runs: a table with filters, sorts and columns, all of which live in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from loopline.core.errors import Invalid, LooplineError
from loopline.core.pages import Call

PAGE_SIZE = 50
MOST_COLUMNS = 5
SORTS = ("started_at", "name", "status", "created_by")
QUERY = ("q", "experiment", "kind", "status", "filter", "sort", "order", "page")


def runs(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The runs that fit the filters in the address, in the order asked for."""
    query = {name: params.get(name, "")[:1000] for name in QUERY}
    query["sort"] = query["sort"] or "started_at"
    found, mistake = searched(call, query)
    return {
        "query": query,
        "runs": found["runs"],
        "next": found["next"],
        "mistake": mistake,
        "metrics": columns((run["metrics"] for run in found["runs"]), query["sort"], "metrics."),
        "params_shown": columns((run["params"] for run in found["runs"]), query["sort"], "params.", differing=True),
        "experiments": call("tracking.experiments"),
        "filtered": any(query[name] for name in ("q", "experiment", "kind", "status", "filter")),
    }


def searched(call: Call, query: Mapping[str, str]) -> tuple[dict[str, Any], LooplineError | None]:
    """What the search finds; a filter that is written wrongly finds nothing and says why."""
    order = f"{query['sort']} {'asc' if query['order'] == 'asc' else 'desc'}"
    order_by = [] if order == "started_at desc" else [order]
    asked = {"filter": where(query), "experiment": query["experiment"], "order_by": order_by, "page": query["page"]}
    try:
        found: dict[str, Any] = call("tracking.search", limit=PAGE_SIZE, **asked)
    except Invalid as error:
        return {"runs": [], "next": ""}, error
    return found, None


def where(query: Mapping[str, str]) -> str:
    """The filters as one search."""
    pieces = [f"name ILIKE {quoted('%' + query['q'] + '%')}"] if query["q"] else []
    pieces += [f"{name} = {quoted(query[name])}" for name in ("kind", "status") if query[name]]
    return " and ".join([*pieces, *([query["filter"]] if query["filter"].strip() else [])])


def quoted(text: str) -> str:
    """A text as the search language writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def columns(rows: Iterable[Mapping[str, Any]], sort: str, prefix: str, differing: bool = False) -> list[str]:
    """The names worth a column: those that most runs have (and differ in), those of single steps ("evaluate.auc") last,
    and always the one sorted by."""
    rows = list(rows)
    counts = Counter(name for row in rows for name in row)
    if differing:
        counts = Counter({name: n for name, n in counts.items() if len({row.get(name) for row in rows}) > 1})
    names = sorted(counts, key=lambda name: (-counts[name], "." in name, name))[:MOST_COLUMNS]
    wanted = sort.removeprefix(prefix) if sort.startswith(prefix) else ""
    return [*names, *([wanted] if wanted and wanted not in names else [])]
