"""`loopline.yaml` checked as a whole: every mistake at once, each with its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.kit.shapes import Path, Wrong, differences, unknown
from loopline.kit.yaml_positions import Document, Place, YamlError, read
from loopline.usecases.projects.model import CONFIG_FILE, Config

MOST_SHOWN = 20
_DURATION = re.compile(r"\d+\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\Z")


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One mistake in the file, at a line and column counted from 1."""

    line: int
    column: int
    message: str


def checked(text: str) -> dict[str, Any]:
    """The configuration in `text` as plain data. Invalid lists every mistake with its place."""
    try:
        document = read(text)
    except YamlError as error:
        raise refusal([_at(error.place, error.message)]) from None
    found = mistakes(document)
    if found:
        raise refusal(found)
    return plain(document.data)


def checked_data(data: Any) -> dict[str, Any]:
    """The same for data that came from elsewhere; places are left out."""
    found = mistakes(Document(data))
    if found:
        lines = [each.message for each in found[:MOST_SHOWN]]
        raise Invalid("\n".join(lines), "Send what `loopline plan` accepts.")
    return plain(data)


def plain(data: Any) -> dict[str, Any]:
    """A correct configuration with only what differs from the defaults."""
    return dict(msgspec.to_builtins(msgspec.convert(data, Config)))


def mistakes(document: Document) -> list[Mistake]:
    """Every mistake, in the order of the file."""
    data = document.data
    wrong = differences(data, Config)
    if isinstance(data, dict):
        broken = {each.path[:2] for each in wrong}
        wrong += [each for each in _beyond_types(data) if each.path[:2] not in broken]
    places = [(document.place(each.path, each.at_key), each) for each in wrong]
    return sorted({_at(place, _message(each)) for place, each in places})


def refusal(found: list[Mistake]) -> Invalid:
    """The mistakes as one error."""
    lines = [f"{CONFIG_FILE}:{each.line}:{each.column}: {each.message}" for each in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        lines.append(f"and {len(found) - MOST_SHOWN} more")
    return Invalid("\n".join(lines), "Mend the file; `loopline plan` checks it again.")


def _at(place: Place, message: str) -> Mistake:
    return Mistake(place.line, place.column, message)


def _message(wrong: Wrong) -> str:
    where = ".".join(str(part) for part in wrong.path if not isinstance(part, int))
    return wrong.message if wrong.at_key or not where else f"{where}: {wrong.message}"


def _beyond_types(data: dict[str, Any]) -> Iterator[Wrong]:
    for section, check in _CHECKS.items():
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield from check(data, (section, name), entry)


def _dataset(_: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    if bool(entry.get("folder")) == bool(entry.get("query")):
        yield Wrong(path, "a dataset has one source: give either folder, or query and url", at_key=True)
    elif entry.get("query") and not entry.get("url"):
        yield Wrong((*path, "query"), "a query needs the url of its database beside it", at_key=True)
    url = entry.get("url")
    if isinstance(url, str) and re.search(r"://[^/@]*:(?!\$\{)[^/@]+@", url):
        yield Wrong((*path, "url"), "write no password here; write ${NAME} and set NAME in the environment")


def _gate(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    address = (entry.get("model"), entry.get("promote_to"))
    for name, other in data["gates"].items():
        if name == path[1]:
            return
        if isinstance(other, dict) and (other.get("model"), other.get("promote_to")) == address:
            yield Wrong(path, f"the gate {name!r} guards {address[0]}@{address[1]} already", at_key=True)


def _monitor(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    yield from _named(data, "endpoints", entry.get("endpoint"), (*path, "endpoint"))
    for index, limit in enumerate(entry.get("quality") or ()):
        if isinstance(limit, dict) and limit.get("metric") == "lead" and not limit.get("over"):
            yield Wrong((*path, "quality", index), "the metric lead needs `over`, the input that it is compared with")


def _policy(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    yield from _named(data, "pipelines", entry.get("run"), (*path, "run"))
    yield from _named(data, "gates", entry.get("gate"), (*path, "gate"))
    yield from _when(entry, path)
    if not entry.get("run") and not entry.get("gate"):
        yield Wrong(path, "a policy does something: give run, gate or both", at_key=True)
    if entry.get("on") == "schedule" and not (entry.get("cron") or (entry.get("when") or {}).get("cron")):
        yield Wrong(path, "a policy on schedule needs cron", at_key=True)
    cooldown = entry.get("cooldown")
    if isinstance(cooldown, str) and not _DURATION.match(cooldown.strip()):
        yield Wrong((*path, "cooldown"), f"{cooldown!r} is no duration; write 36h, 7d or 2w")


def _schedule(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    yield from _named(data, "pipelines", entry.get("run"), (*path, "run"))
    yield from _named(data, "gates", entry.get("gate"), (*path, "gate"))
    yield from _when(entry, path)
    if path[1] in (data.get("policies") or {}):
        yield Wrong(path, f"a policy has the name {path[1]!r} too", at_key=True)


def _when(entry: dict[str, Any], path: Path) -> Iterator[Wrong]:
    cron, zone = entry.get("cron"), entry.get("timezone")
    if isinstance(cron, str):
        from datetime import UTC, datetime

        from cronsim import CronSim, CronSimError

        try:
            CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            yield Wrong((*path, "cron"), f"{cron!r} is no schedule ({error}); write five fields, as in 0 6 * * 1")
    if isinstance(zone, str):
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(zone)
        except (KeyError, OSError, ValueError):
            yield Wrong((*path, "timezone"), f"{zone!r} is no time zone; write one as Europe/Paris")


def _named(data: dict[str, Any], section: str, name: Any, path: Path) -> Iterator[Wrong]:
    declared = data.get(section) or {}
    if isinstance(name, str) and isinstance(declared, dict) and name not in declared:
        known = list(declared)
        message = unknown(name, known) if known else f"{name!r} is not known here; declare it under {section}"
        yield Wrong(path, message)


_CHECKS = {
    "datasets": _dataset,
    "gates": _gate,
    "monitors": _monitor,
    "policies": _policy,
    "schedules": _schedule,
}


def schema() -> dict[str, Any]:
    """The JSON schema of `loopline.yaml`, for editors."""
    made = msgspec.json.schema(Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": CONFIG_FILE, **made}
