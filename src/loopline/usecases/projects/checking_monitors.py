"""The rules of `monitors:` in loopline.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from loopline.core.errors import Invalid
from loopline.core.performance import RankingMetric
from loopline.core.times import from_text
from loopline.kit.shapes import Path, Wrong
from loopline.usecases.projects.checking_environments import named

CAUSES = (
    "performance", "estimate", "drift", "data_quality", "latency", "errors", "silence", "truth", "monitor", "schedule",
    "channel", "disk",
)  # fmt: skip


def monitor(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """What is wrong with one monitor beyond its types."""
    yield from named(data, "endpoints", entry.get("endpoint"), (*path, "endpoint"))
    for index, limit in enumerate(entry.get("quality") or ()):
        if isinstance(limit, dict) and limit.get("metric") == "lead" and not limit.get("over"):
            yield Wrong((*path, "quality", index), "the metric lead needs `over`, the input that it is compared with")
    for index, name in enumerate(entry.get("notify") or ()):
        yield from named(data, "channels", name, (*path, "notify", index))
    for place, metric in _metrics(path, entry):
        if metric in get_args(RankingMetric) and not entry.get("group"):
            yield Wrong(place, f"{metric} needs `group`, the input whose rows are ranked together")
        if metric == "cost" and not entry.get("costs"):
            yield Wrong(place, "cost needs `costs`, what right and wrong decisions cost")
    yield from _reference((*path, "drift"), entry.get("drift") or {})


def _metrics(path: Path, entry: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    yield (*path, "metric"), entry.get("metric")
    for index, metric in enumerate(entry.get("metrics") or ()):
        yield (*path, "metrics", index), metric
    for index, limit in enumerate(entry.get("quality") or ()):
        yield (*path, "quality", index), limit.get("metric") if isinstance(limit, dict) else None


def _reference(path: Path, drift: dict[str, Any]) -> Iterator[Wrong]:
    """A fixed reference lies between two times; no other has any."""
    written = [edge for edge in ("start", "end") if drift.get(edge)]
    if drift.get("reference") != "fixed":
        for edge in written:
            yield Wrong((*path, edge), "it has a meaning only beside `reference: fixed`", at_key=True)
        return
    if len(written) < 2:
        yield Wrong((*path, "reference"), "a fixed reference needs `start` and `end`, dates of event time")
        return
    bounds = []
    for edge in written:
        try:
            bounds.append(from_text(drift[edge]))
        except Invalid:
            yield Wrong((*path, edge), f"{drift[edge]!r} is no date; write it as 2013-04-01")
    if len(bounds) == 2 and bounds[0] >= bounds[1]:
        yield Wrong((*path, "end"), "it must be later than start")


def causes(path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """Causes of alerts that a policy waits for, and that there are none of."""
    when = entry.get("when")
    wanted = when.get("cause") if isinstance(when, dict) else None
    for cause in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(cause, str) and cause not in CAUSES:
            near = get_close_matches(cause, CAUSES, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CAUSES)}"
            yield Wrong((*path, "when", "cause"), f"{cause!r} is no cause of alerts; {meant}")
