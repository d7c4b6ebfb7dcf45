"""`loopline.yaml` checked as a whole: every mistake at once, each with its line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path as Folder
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.kit.shapes import Path, Wrong, differences
from loopline.kit.yaml_positions import Document, Place, YamlError, read
from loopline.usecases.projects import checking_environments as environments
from loopline.usecases.projects import checking_monitors as monitors
from loopline.usecases.projects import checking_policies as policies
from loopline.usecases.projects.environments import folders_in, spelt
from loopline.usecases.projects.model import CONFIG_FILE, Config
from loopline.usecases.projects.places import leaves

MOST_SHOWN = 20


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One mistake in the file, at a line and column counted from 1."""

    line: int
    column: int
    message: str


def checked(text: str, folder: Folder | None = None) -> dict[str, Any]:
    """The configuration in `text` as plain data. Invalid lists every mistake with its place; with `folder`, the
    project's, also data that a link leads out of it."""
    try:
        document = read(text)
    except YamlError as error:
        raise refusal([_at(error.place, error.message)]) from None
    found = mistakes(document, folder)
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
    return dict(msgspec.to_builtins(msgspec.convert(spelt(data), Config)))


def mistakes(document: Document, folder: Folder | None = None) -> list[Mistake]:
    """Every mistake, in the order of the file."""
    data = spelt(document.data)
    wrong = differences(data, Config)
    if isinstance(data, dict):
        broken = {each.path[:2] for each in wrong}
        wrong = [policies.cause_named(environments.without_value(each)) for each in wrong]
        wrong += _beyond_types(data, broken)
        wrong += _leaving(data, folder) if folder else ()
        wrong += _unwritable(data)
        wrong += () if wrong else policies.circles(data)
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


def _beyond_types(data: dict[str, Any], broken: set[Path]) -> Iterator[Wrong]:
    """What types cannot say, of the entries whose types are right."""
    for section, check in _CHECKS.items():
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and (section, name) not in broken:
                yield from check(data, (section, name), entry)


def _unwritable(data: Any) -> Iterator[Wrong]:
    """What cannot be kept as it was written: it would differ from itself for ever."""
    waiting: list[tuple[Path, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*path, key), one) for key, one in inner]
        elif isinstance(value, float) and not math.isfinite(value):
            yield Wrong(path, f"expected a number, found {value}")
        elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            yield Wrong(path, "holds half of a character; write it as valid Unicode")


def _leaving(data: dict[str, Any], folder: Folder) -> Iterator[Wrong]:
    """Data that a link inside the project leads out of it: a folder from elsewhere must be named as a whole path."""
    for path, place in folders_in(data):
        if leaves(folder, place):
            yield Wrong(path, f"{place!r} leads out of the project through a link; write where it lies as a whole path")


def _dataset(_: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    yield from environments.source(path, entry, "a dataset")


def _gate(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    address = (entry.get("model"), entry.get("promote_to"))
    for name, other in data["gates"].items():
        if name == path[1]:
            return
        if isinstance(other, dict) and (other.get("model"), other.get("promote_to")) == address:
            yield Wrong(path, f"the gate {name!r} guards {address[0]}@{address[1]} already", at_key=True)


def _channel(_: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    if bool(entry.get("env")) == bool(entry.get("file")):
        yield Wrong(path, "needs either `env` or `file`, where its address stands", at_key=True)


def _retention(_: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    if not (entry.get("keep_best") or entry.get("keep_days") or entry.get("keep_tagged")):
        yield Wrong(path, "says of no run that it is kept; give keep_best, keep_days or keep_tagged", at_key=True)
    if bool(entry.get("keep_best")) != bool(entry.get("by")):
        yield Wrong(path, "needs both keep_best and `by`, the metric that says which are best", at_key=True)


_CHECKS = {
    "environments": environments.environment,
    "datasets": _dataset,
    "gates": _gate,
    "monitors": monitors.monitor,
    "channels": _channel,
    "policies": policies.policy,
    "schedules": policies.schedule,
    "retention": _retention,
}


def schema() -> dict[str, Any]:
    """The JSON schema of `loopline.yaml`, for editors."""
    made = msgspec.json.schema(Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": CONFIG_FILE, **made}
