"""Pages of the registry: all models, and one model with its versions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.pages import Call, Form, Page, attempted
from loopline.core.times import from_text, to_text
from loopline.kit.markup import markdown
from loopline.usecases.registry.card_model import ONE_LINE, SECTIONS
from loopline.usecases.registry.engines_model import SIZES

SIDE_BY_SIDE = 5
PAGE = 50
WIDTH = 1000
HIGHER = ("auc", "accuracy", "f1", "precision", "recall", "r2", "gain")
LOWER = ("loss", "brier", "mae", "mse", "rmse", "error")
LINEAGE = ("trained_from", "trained_until", "snapshots", "code", "release", "label")


def models(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Some of the registered models, as the address asks, with the endpoints that serve them."""
    query = {name: params.get(name, "")[:200] for name in ("text", "tag", "sort", "order")}
    query["sort"] = query["sort"] or "name"
    query["order"] = query["order"] or ("asc" if query["sort"] in ("name", "owner") else "desc")
    page = counted(params.get("page", ""), 1)
    found = call("registry.catalog", **query, first=(page - 1) * PAGE, count=PAGE)
    served: dict[str, list[str]] = {}
    for endpoint in attempted(call, "serving.endpoints") or ():
        served.setdefault(endpoint["model"], []).append(endpoint["name"])
    more = page * PAGE < found["count"]
    return {"found": found, "served": served, "query": query, "page": page, "more": more, "first": (page - 1) * PAGE}


def model(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Versions of one model side by side, newest first (`until` in the address shows older ones); where each alias
    pointed, and (`at`) where it pointed at a time; who uses the model."""
    name = params["model"]
    versions = call("registry.versions", model=name)[::-1]
    until = params.get("until", "")
    eligible = [one for one in versions if one["version"] <= int(until)] if counted(until, 0) else versions
    shown = eligible[:SIDE_BY_SIDE]
    aliases = call("registry.aliases", model=name)
    histories = {alias: call("registry.alias", model=name, alias=alias)["history"] for alias in aliases}
    return {
        "name": name,
        "count": len(versions),
        "every": [one["version"] for one in versions],
        "versions": shown,
        "older": eligible[SIDE_BY_SIDE]["version"] if len(eligible) > SIDE_BY_SIDE else 0,
        "aliases": aliases,
        "histories": {alias: moves[::-1] for alias, moves in histories.items()},
        "bars": bars(histories, now()),
        "then": then(call, name, list(aliases), params.get("at", "")),
        "metrics": metrics(shown),
        "lineage": [key for key in LINEAGE if any(key in one["metadata"] for one in shown)],
        "gates": newest_gates(attempted(call, "promotion.gates", model=name, limit=200) or ()),
        "columns": signature_rows(shown),
        "endpoints": [one for one in attempted(call, "serving.endpoints") or () if one["model"] == name],
        "consumers": attempted(call, "registry.consumers", model=name) or [],
        "model": next(
            (one["model"] for one in call("registry.catalog", text=name, count=500)["models"]
             if one["model"]["name"] == name), {},
        ),
    }  # fmt: skip


def version(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One version: what it is, its card (`revision` in the address: as it was written then), who uses it."""
    name, number = params["model"], counted(params["version"], 0)
    found = call("registry.version", model=name, version=number)
    earlier = [one["version"] for one in call("registry.versions", model=name) if one["version"] < number]
    card = call("registry.card", model=name, version=number, revision=counted(params.get("revision", ""), 0))
    return {
        "one": found,
        "beside": ",".join(map(str, [*sorted(earlier)[-1:], number])),
        "card": card,
        "facts": card["facts"],
        "texts": {key: markdown(text) for key, text in card["texts"].items() if key not in ONE_LINE},
        "sections": SECTIONS,
        "one_line": ONE_LINE,
        "consumers": attempted(call, "registry.consumers", model=name, version=number) or [],
        "engine": (attempted(call, "registry.engine", model=name, version=number) or {}).get("engine"),
        "sizes": SIZES,
        "reliability": reliability([card["facts"].get("calibration")]),
        "description": markdown(found["description"]) if found["description"] else "",
    }


def compare(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Versions side by side: what they are made of, and (once measured) how they do on the same held-out rows."""
    name, text = params["model"], params.get("versions", "")[:200]
    every = [one["version"] for one in call("registry.versions", model=name)[::-1]]
    on = counted(params.get("on", ""), 0)
    chosen = text or ",".join(map(str, every[:2][::-1]))
    found = call("registry.beside", model=name, versions=chosen)
    problem = ""
    known: dict[str, Any] = {"sides": None, "open": False, "problem": ""}
    try:
        known = call("promotion.sides", model=name, versions=chosen, on=on)
    except LooplineError as error:
        problem = str(error)
    sides = known["sides"]
    calibrations = [one["calibration"] for one in sides["sides"]] if sides else []
    return {
        "name": name,
        "every": every,
        "chosen": chosen,
        "numbers": [one["version"] for one in found["versions"]],
        "on": on,
        "found": found,
        "sides": sides,
        "open": known["open"],
        "problem": problem or known["problem"],
        "possible": not problem,
        "rows": measured(sides) if sides else [],
        "reliability": reliability(calibrations),
        "slices": slices(sides) if sides else [],
    }


def measured(sides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each metric, with the score of each version and which is best."""
    found = []
    for name in sides["metrics"]:
        scores = [one["scores"].get(name) or {"value": None, "standard_error": None} for one in sides["sides"]]
        found.append({"key": name, "scores": scores, "best": best(name, [one["value"] for one in scores])})
    errors = [(one["calibration"] or {}).get("error") for one in sides["sides"]]
    if any(error is not None for error in errors):
        scores = [{"value": error, "standard_error": None} for error in errors]
        found.append({"key": "calibration_error", "scores": scores, "best": best("calibration_error", errors)})
    return found


def slices(sides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The slices with the best of each."""
    return [{**one, "best": best(sides["metrics"][0], one["scores"])} for one in sides["slices"]]


def reliability(calibrations: Sequence[Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Reliability curves as points of a drawing of 100 by 100, one for each version (numbered from 1)."""
    found = []
    for place, one in enumerate(calibrations, 1):
        if one:
            points = [
                (round(100 * each["predicted"], 2), round(100 - 100 * each["observed"], 2)) for each in one["bins"]
            ]
            line = " ".join(f"{x},{y}" for x, y in points)
            found.append({"place": place, "points": points, "line": line, "bins": one["bins"], "error": one["error"]})
    return found


def bars(histories: Mapping[str, Sequence[Mapping[str, Any]]], until: float) -> dict[str, Any] | None:
    """Each alias as bars from move to move, on one axis of time in a drawing WIDTH wide; None without a move."""
    moments = [moment(move["moved_at"]) for moves in histories.values() for move in moves]
    if not moments:
        return None
    start, span = min(moments), max(until - min(moments), 1.0)
    rows = []
    for alias, moves in histories.items():
        ends = [*(moment(move["moved_at"]) for move in moves[1:]), until]
        pieces = []
        for move, end in zip(moves, ends, strict=True):
            left = round((moment(move["moved_at"]) - start) / span * WIDTH, 1)
            width = max(2.0, round((end - moment(move["moved_at"])) / span * WIDTH, 1))
            if move["version"] is not None:
                pieces.append({"left": left, "width": width, "move": move, "tone": move["version"] % 6 or 6})
        rows.append({"alias": alias, "pieces": pieces})
    return {"rows": rows, "from": text_of(start), "until": text_of(until), "width": WIDTH}


def then(call: Call, name: str, aliases: Sequence[str], at: str) -> dict[str, Any] | None:
    """Where each alias pointed at a time; None when no time is asked for. Invalid for what is no time."""
    if not at:
        return None
    text = to_text(from_text(at))
    pointed = {alias: call("registry.alias", model=name, alias=alias, at=text)["version"] for alias in aliases}
    return {"at": text, "pointed": pointed}


def counted(text: str, otherwise: int) -> int:
    """A number in an address."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise


def moment(text: str) -> float:
    """A time in seconds."""
    return from_text(text).timestamp()


def text_of(seconds: float) -> str:
    """Seconds as a time."""
    return to_text(datetime.fromtimestamp(seconds, UTC))


def now() -> float:
    """The time in seconds."""
    return datetime.now(UTC).timestamp()


def metrics(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a metric with the value of each version; `best` is the place of the best, where better is known."""
    rows = []
    for key in sorted({key for one in versions for key in one["metrics"]}):
        values = [one["metrics"].get(key) for one in versions]
        rows.append({"key": key, "values": values, "best": best(key, values)})
    return rows


def best(key: str, values: Sequence[Any]) -> Any:
    """The best of several values of a metric, or None when there are fewer than two different ones."""
    numbers = [value for value in values if isinstance(value, int | float)]
    words = key.lower().replace("-", "_").split("_")
    if len(set(numbers)) < 2:
        return None
    if any(word in LOWER for word in words):
        return min(numbers)
    return max(numbers) if any(word in HIGHER for word in words) else None


def newest_gates(gates: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """For each version its newest gate for each alias (the gates come newest first)."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for gate in gates:
        known = found.setdefault(gate["version"], [])
        if all(one["alias"] != gate["alias"] for one in known):
            known.append(gate)
    return found


def signature_rows(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an input column: its type in each version, and whether that differs."""
    types = [{one["name"]: kind(one) for one in version["signature"]["inputs"]} for version in versions]
    names = list(dict.fromkeys(name for known in types for name in known))
    rows = [{"name": name, "types": [known.get(name, "") for known in types]} for name in names]
    outputs = [version["signature"]["output"] for version in versions]
    named = [one["name"] for one in outputs if one["name"]]  # a version may come without a signature
    rows += [{"name": f"→ {named[0]}", "types": [kind(one) if one["name"] else "" for one in outputs]}] if named else []
    return [{**row, "differs": len(set(row["types"])) > 1} for row in rows]


def kind(column: Mapping[str, Any]) -> str:
    """A column's type in words."""
    return f"{column['type']}, may be empty" if column.get("nullable") else str(column["type"])


PAGES = (
    Page("/models", "models.html", models, tab="models"),
    Page("/models/{model}", "model.html", model, tab="models"),
    Page("/models/{model}/compare", "compare.html", compare, tab="models"),
    Page("/models/{model}/versions/{version}", "version.html", version, tab="models"),
)
FORMS = (
    Form("/models/{model}/versions/{version}/card", "registry.write_card", "/models/{model}/versions/{version}#card"),
    Form("/models/{model}/compare", "promotion.ask", "/models/{model}/compare?versions={versions}&on={on}#measured"),
)
