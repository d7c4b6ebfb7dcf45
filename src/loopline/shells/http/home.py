"""The home page: the loop with its state, and the timeline of facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.pages import Call, Page
from loopline.shells.http.facts import by_day
from loopline.shells.http.filters import ago, number, percent

PAGE_SIZE = 40
FILTERS = ("kind", "actor", "subject")
WIDTH, HEIGHT, GAP = 162, 78, 26
State = tuple[str, ...]
"""What the stop shows, its tone, and where known a note in place of the last event."""


def data(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the home page shows: one bad stop does not hide the others."""
    query = {name: params.get(name, "")[:200] for name in FILTERS}
    before = params.get("before", "")
    asked = {**query, "before": int(before) if before.isdecimal() and len(before) < 19 else 0}
    facts = call("ledger.facts", newest=True, limit=PAGE_SIZE + 1, **asked)
    kinds = call("ledger.kinds")
    return {
        "stops": stops(call, {kind["kind"]: kind for kind in kinds}),
        "days": by_day(facts[:PAGE_SIZE]),
        "older": facts[PAGE_SIZE - 1]["seq"] if len(facts) > PAGE_SIZE else 0,
        "kinds": [kind["kind"] for kind in kinds],
        "total": sum(kind["count"] for kind in kinds),
        "query": query,
        "paged": bool(before),
    }


def stops(call: Call, kinds: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The stops of the loop, each with its place in the drawing, its state and its last event."""
    found = []
    for name, address, column, row, facts, ask in STOPS:
        last = max((kinds[kind]["at"] for kind in facts if kind in kinds), default="")
        state, tone, *note = asked(ask, call, kinds)
        place = {"x": 14 + column * (WIDTH + GAP), "y": 12 + row * (HEIGHT + 62)}
        found.append(
            {
                "name": name,
                "address": address,
                "state": state,
                "tone": tone,
                "last": note[0] if note else ago(last) or "nothing yet",
                **place,
            }
        )
    return found


def asked(ask: Callable[[Call, Mapping[str, Any]], State], call: Call, kinds: Mapping[str, Any]) -> State:
    """The state of one stop, or a dash when its part cannot answer just now."""
    try:
        return ask(call, kinds)
    except LooplineError:
        return "not available", ""


def counted(count: int, thing: str, plural: str = "") -> str:
    return f"{number(count)} {thing if count == 1 else plural or thing + 's'}"


def times(kinds: Mapping[str, Any], kind: str) -> int:
    """How many facts of a kind there are."""
    return int(kinds[kind]["count"]) if kind in kinds else 0


def experiments(call: Call, kinds: Mapping[str, Any]) -> State:
    found = call("tracking.experiments")
    return counted(len(found), "experiment"), ""


def runs(call: Call, kinds: Mapping[str, Any]) -> State:
    count, ended = times(kinds, "run.started"), times(kinds, "run.finished")
    return (f"{count - ended} running, {number(count)} runs", "live") if count > ended else (counted(count, "run"), "")


def registry(call: Call, kinds: Mapping[str, Any]) -> State:
    versions = sum(model["versions"] for model in call("registry.models"))
    return counted(versions, "version"), ""


def gates(call: Call, kinds: Mapping[str, Any]) -> State:
    found = call("promotion.gates", limit=1)
    if not found:
        return "none yet", ""
    verdict = found[0]["verdict"]
    tone = {"passed": "good", "not_run": "warn"}.get(verdict, "warn")
    return f"{number(times(kinds, 'gate.decided'))} · last {verdict.replace('_', ' ')}", tone


def endpoints(call: Call, kinds: Mapping[str, Any]) -> State:
    found = call("serving.endpoints")
    live = sum(1 for endpoint in found if endpoint.get("live"))
    return (f"{live} of {len(found)} live", "good" if live == len(found) else "warn") if found else ("none yet", "")


def predictions(call: Call, kinds: Mapping[str, Any]) -> State:
    found = call("monitoring.monitors")
    if not found:
        return "none yet", ""
    until = max(one["watermark"] for one in found)
    return f"{number(sum(one['predictions'] for one in found))} logged", "", f"event clock {until[:10]}"


def truth(call: Call, kinds: Mapping[str, Any]) -> State:
    found = call("monitoring.monitors")
    logged, known = sum(one["predictions"] for one in found), sum(one["labelled"] for one in found)
    if not known:
        return "none yet", ""
    return (
        f"known for {percent(known / logged, 0)}",
        "",
        f"{number(sum(one['truth_records'] for one in found))} records",
    )


def monitors(call: Call, kinds: Mapping[str, Any]) -> State:
    fleet = call("monitoring.fleet", size=1)
    needy, near = fleet["counts"]["alert"], fleet["counts"]["near_limit"]
    if needy:
        return f"{number(needy)} of {number(fleet['total'])} {'needs' if needy == 1 else 'need'} a look", "warn"
    if near:
        return f"{number(near)} of {number(fleet['total'])} near {'its limit' if near == 1 else 'limits'}", "warn"
    return counted(fleet["total"], "monitor"), "good" if fleet["counts"]["fine"] else ""


def alerts(call: Call, kinds: Mapping[str, Any]) -> State:
    opened = times(kinds, "alert.opened") - times(kinds, "alert.resolved")
    if opened > 0:
        return f"{opened} open", "bad"
    return (f"{times(kinds, 'alert.opened')} resolved", "good") if times(kinds, "alert.opened") else ("none", "")


def policies(call: Call, kinds: Mapping[str, Any]) -> State:
    return f"fired {counted(times(kinds, 'policy.fired'), 'time')}", ""


def retrained(call: Call, kinds: Mapping[str, Any]) -> State:
    states = [firing["state"] for firing in call("automation.firings", limit=200) if firing["rules"]["run"]]
    under_way, failed = sum(state in ("requested", "running") for state in states), states.count("failed")
    if under_way:
        return f"{under_way} under way", "live"
    shown = counted(states.count("done"), "run")
    return (f"{shown}, {failed} failed", "warn") if failed else (shown, "")


STOPS: tuple[tuple[str, str, int, int, tuple[str, ...], Callable[[Call, Mapping[str, Any]], State]], ...] = (
    ("Experiment", "/runs", 0, 0, ("run.started",), experiments),
    ("Pipeline", "/pipelines", 1, 0, ("run.started", "run.finished"), runs),
    ("Registry", "/models", 2, 0, ("model.version_registered", "alias.moved"), registry),
    ("Gate", "/gates", 3, 0, ("gate.decided", "approval.given"), gates),
    ("Endpoint", "/endpoints", 4, 0, ("deployment.live", "endpoint.changed"), endpoints),
    ("Predictions", "/endpoints", 5, 0, ("predictions.sealed",), predictions),
    ("Ground truth", "/endpoints", 5, 1, ("truth.sealed",), truth),
    ("Monitor", "/monitors", 4, 1, ("monitor.observed", "alert.opened", "alert.resolved"), monitors),
    ("Alert", "/monitors", 3, 1, ("alert.opened", "alert.acknowledged", "alert.resolved"), alerts),
    ("Policy", "/policies", 2, 1, ("policy.fired",), policies),
    ("Retrain", "/policies", 1, 1, ("policy.finished", "policy.failed"), retrained),
)
PAGES = (Page("/", "home.html", data, tab="home"),)
