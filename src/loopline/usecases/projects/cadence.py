"""Monitors that ask for performance more often than truth can arrive, or name columns that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from loopline.ports.database import Transaction
from loopline.usecases.projects.needs import Arrivals, Monitoring
from loopline.usecases.projects.plans import Note

WINDOW, LABELS = "week", 200  # what a monitor is that says nothing else
HOURS = {"hour": 1, "day": 24, "week": 168, "month": 720}
ALWAYS = {
    "group": ("key",),
    "slices": ("caller", "arm", "version"),
    "drift.columns": ("prediction", "label", "latency_ms"),
    "drift.tolerance": ("prediction", "label", "latency_ms"),
}
ARTICLES = {"hour": "an hour", "day": "a day", "week": "a week", "month": "a month"}


def flagged(tx: Transaction, config: Mapping[str, Any], monitoring: Monitoring | None) -> Iterator[Note]:
    """A note for each monitor whose windows are over before their truth can have come, or too short to hold as many labels
    as it judges by; with the shortest window that is not. Nothing of a monitor of which neither delay nor labels are known."""
    for name, entry in (config.get("monitors") or {}).items():
        seen = None if monitoring is None else monitoring.arrivals_in(tx, entry["endpoint"])
        texts = (asked_too_often(entry, seen), *not_there(entry, () if seen is None else seen.inputs))
        yield from (Note(kind="monitor", name=name, text=text) for text in texts if text)


def not_there(entry: Mapping[str, Any], inputs: tuple[str, ...]) -> Iterator[str]:
    """What a monitor names that the version in use does not take; nothing while its inputs are not known."""
    for field, name in named(entry) if inputs else ():
        if name not in (*inputs, *ALWAYS.get(field, ())):
            near = get_close_matches(name, inputs, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(inputs[:8])}"
            yield f"{field} names {name!r}, which is no input of the version in use; {meant}"


def named(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each column that a monitor names, with the field that does."""
    drift = entry.get("drift") or {}
    lists = {field: entry.get(field) or () for field in ("slices", "protected")}
    lists |= {f"drift.{field}": drift.get(field) or () for field in ("columns", "tolerance")}
    lists["group"] = [entry["group"]] if entry.get("group") else []
    lists["quality.over"] = [limit["over"] for limit in entry.get("quality") or () if limit.get("over")]
    yield from ((field, name) for field, names in lists.items() for name in names)


def asked_too_often(entry: Mapping[str, Any], seen: Arrivals | None) -> str:
    """What is wrong with the window of a monitor, and the shortest that would do; '' when nothing is."""
    window, least = entry.get("window") or WINDOW, entry.get("minimum_labels") or LABELS
    written = entry.get("label_delay_hours")
    wait = written if written is not None else seen.wait_hours if seen is not None else None
    rate = None if seen is None else seen.labels_per_hour
    late = wait is not None and wait > HOURS[window]
    scarce = rate is not None and rate * HOURS[window] < least
    if not late and not scarce:
        return ""
    why = [f"truth takes {wait:.3g} h"] if late else []
    why += [_come(rate)] if rate is not None and scarce else []
    return f"asks for {window}s, but {' and '.join(why)}: {_shortest(wait, rate, least, late, scarce)}"


def _come(rate: float) -> str:
    if rate <= 0:
        return "no labels come"
    if rate < 1:
        return f"{rate * 24:.3g} labels a day come"
    return f"{rate:.3g} labels an hour come"


def _shortest(wait: float | None, rate: float | None, least: int, late: bool, scarce: bool) -> str:
    """The first window that is not over before its truth comes, and in which labels enough come."""
    for window, hours in HOURS.items():
        if (wait is None or wait <= hours) and (rate is None or rate * hours >= least):
            asked = ["waits for it"] * late + [f"has {least} labels"] * scarce
            return f"{ARTICLES[window]} is the shortest window that {' and '.join(asked)}"
    return f"not even a month has {least} labels" if rate is not None else "not even a month waits for it"
