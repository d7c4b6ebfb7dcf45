"""The page of all runs: a table with filters, sorts, columns and groups, all of which live in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loopline.core.errors import Invalid, LooplineError
from loopline.core.pages import Call, attempted
from loopline.usecases.tracking.filters import Pieces, as_name, named, parsed, quoted

PAGE_SIZE = 50
MOST_COLUMNS = 5
MOST_CHOSEN = 40
MOST_CHOICES = 300
MOST_EXPERIMENTS = 200
STATES = ("active", "archived", "deleted")
STATUSES = ("running", "finished", "failed", "killed", "scheduled")
QUERY = (
    "q",
    "experiment",
    "kind",
    "status",
    "state",
    "filter",
    "sort",
    "order",
    "columns",
    "group",
    "measure",
    "open",
    "page",
)
ENTITIES = ("metrics", "params", "tags")
SHOWN = {"kind": "Kind", "ended_at": "Ended", "experiment": "Experiment"}


class Column(NamedTuple):
    """A column beside the fixed ones: a metric, param, tag or attribute; `name` as filters and the address write it."""

    entity: str
    key: str
    name: str


def runs(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The runs that fit the filters in the address, in the order asked for."""
    query = {name: params.get(name, "")[: 8000 if name in ("filter", "columns") else 1000] for name in QUERY}
    query["sort"] = query["sort"] or "started_at"
    query["state"] = query["state"] if query["state"] in STATES[1:] else ""
    groups, found, mistake = searched(call, query)
    names = attempted(call, "tracking.names", experiment=query["experiment"]) or {entity: [] for entity in ENTITIES}
    experiments = call("tracking.list_experiments", states=[query["state"] or "active"])
    filtered = any(query[name] for name in ("q", "experiment", "kind", "status", "state", "filter", "group"))
    return {
        "query": query,
        "runs": found["runs"],
        "next": found["next"],
        "groups": groups,
        "mistake": mistake,
        "caret": caret(mistake, query["filter"]),
        "columns": columns(found["runs"], query),
        "choices": choices(names),
        "experiments": experiments[:MOST_EXPERIMENTS],
        "hidden_experiments": max(0, len(experiments) - MOST_EXPERIMENTS),
        "views": call("tracking.views"),
        "states": STATES,
        "statuses": STATUSES,
        "filtered": filtered,
        "address": address(query),
    }


def searched(
    call: Call, query: Mapping[str, str]
) -> tuple[list[dict[str, Any]] | None, dict[str, Any], LooplineError | None]:
    """Groups, if any, the runs of a page, and what is wrong with the search: then nothing is found."""
    order = f"{query['sort']} {'asc' if query['order'] == 'asc' else 'desc'}"
    asked: dict[str, Any] = {"experiment": query["experiment"], "states": [query["state"] or "active"]}
    nothing: dict[str, Any] = {"runs": [], "next": ""}
    groups: list[dict[str, Any]] | None = None
    try:
        parsed(query["filter"])  # by itself, so that a place is one in what the person wrote
        text = where(query)
        if query["group"]:
            groups, text = grouped(call, query, asked, text)
        if groups is not None and not query["open"]:
            return groups, nothing, None
        order_by = [] if order == "started_at desc" else [order]
        search = {"filter": text, "order_by": order_by, "page": query["page"], "limit": PAGE_SIZE}
        return groups, call("tracking.search", **search, **asked), None
    except Invalid as error:
        return groups, nothing, error


def where(query: Mapping[str, str]) -> str:
    """The filters as one search."""
    pieces = [query["filter"]] if query["filter"].strip() else []
    pieces += [f"name ILIKE {quoted('%' + query['q'] + '%')}"] if query["q"] else []
    return " and ".join([*pieces, *(f"{name} = {quoted(query[name])}" for name in ("kind", "status") if query[name])])


def grouped(
    call: Call, query: Mapping[str, str], asked: Mapping[str, Any], text: str
) -> tuple[list[dict[str, Any]], str]:
    """The groups of a search, and the search for the runs of the one that is open."""
    found = call("tracking.groups", by=query["group"], filter=text, metric=query["measure"], **asked)
    name = as_name(*named(Pieces(query["group"], "grouping")))
    for group in found:
        group["mark"] = "null" if group["value"] is None else f"={group['value']}"
        group["open"] = group["mark"] == query["open"]
    inside = f"{name} IS NULL" if query["open"] == "null" else f"{name} = {quoted(query['open'][1:])}"
    return found, " and ".join([*([text] if text else []), inside])


def caret(mistake: LooplineError | None, text: str) -> tuple[str, str] | None:
    """What was written and a line beneath it that points at the mistake; None when it is elsewhere."""
    place, length = getattr(mistake, "place", 0), getattr(mistake, "length", 0)
    if not place or place > len(text.rstrip()) + 1 or "filter" not in str(mistake):
        return None
    first = max(0, place - 61)
    shown = text[first : place + 60].replace("\n", " ").replace("\t", " ")
    return shown, " " * (place - 1 - first) + "^" * max(1, min(length, 60))


def columns(found: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> list[Column]:
    """The columns chosen in the address; otherwise those worth one: what most runs have (of params: and differ in), those
    of single steps ("evaluate.auc") last, and always the one sorted by."""
    if query["columns"]:
        names = query["columns"].split(",")[:MOST_CHOSEN]
        return [*dict.fromkeys(column for name in names if (column := column_of(name)) is not None)]
    kept = [Column("metrics", key, as_name("metrics", key)) for key in frequent(run["metrics"] for run in found)]
    texts = (run["params"] for run in found)
    kept += [Column("params", key, as_name("params", key)) for key in frequent(texts, differing=True)]
    sorts = column_of(query["sort"])
    return kept if sorts is None or sorts.entity == "attributes" or sorts in kept else [*kept, sorts]


def column_of(name: str) -> Column | None:
    """The column of a name like metrics.auc; None for one that is no column."""
    try:
        entity, key = named(Pieces(name.strip(), "column"))
    except Invalid:
        return None
    return Column(entity, key, as_name(entity, key)) if entity in ENTITIES or key in SHOWN else None


def frequent(rows: Iterable[Mapping[str, Any]], differing: bool = False) -> list[str]:
    """The names that most rows have, at most MOST_COLUMNS; with `differing` only those whose values do."""
    rows = list(rows)
    counts = Counter(name for row in rows for name in row)
    if differing:
        counts = Counter({name: n for name, n in counts.items() if len({row.get(name) for row in rows}) > 1})
    return sorted(counts, key=lambda name: (-counts[name], "." in name, name))[:MOST_COLUMNS]


def choices(names: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
    """What can be chosen as columns: name in the address and in words, by kind."""
    found = {entity: [(as_name(entity, key), key) for key in names[entity][:MOST_CHOICES]] for entity in ENTITIES}
    return {**found, "attributes": list(SHOWN.items())}


def address(query: Mapping[str, str]) -> str:
    """What the page shows, as it stands behind the question mark of its address."""
    from urllib.parse import urlencode

    return urlencode({key: value for key, value in query.items() if value})
