"""The rules of `policies:` and `schedules:` in loopline.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from loopline.core.errors import Invalid
from loopline.kit.conditions import wrong_condition
from loopline.kit.shapes import Path, Wrong
from loopline.usecases.projects.checking_environments import named
from loopline.usecases.projects.checking_monitors import causes
from loopline.usecases.projects.starting import Configs, circle

DURATIONS = ("cooldown", "jitter", "repeat")
ACTS = ("roll_back", "hold", "notify")
NOT_BESIDE = ("run", "gate", "environment", "params", "params_from", "promote_to", "model", "when_busy", "concurrency")
_DURATION = re.compile(r"\d+\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\Z")
_ONLY_ON = {"repeat": "alert", "secret": "webhook", "cron": "schedule", "catch_up": "schedule", "jitter": "schedule"}


def policy(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """What is wrong with one policy beyond its types."""
    on = entry.get("on")
    yield from _both(data, path, entry)
    yield from _conditions(path, entry)
    if entry.get("do") in ACTS:
        yield from _act(data, path, entry)
    elif not entry.get("run") and not entry.get("gate"):
        yield Wrong(
            path, "a policy does something: give run, gate or both, or do: roll_back, hold or notify", at_key=True
        )
    elif entry.get("do") == "run" and not entry.get("run"):
        yield Wrong((*path, "do"), "name the pipeline under run", at_key=True)
    elif entry.get("notify"):
        yield Wrong((*path, "notify"), "it has a meaning only beside `do: notify`", at_key=True)
    if on == "schedule" and not (entry.get("cron") or (entry.get("when") or {}).get("cron")):
        yield Wrong(path, "a policy on schedule needs cron", at_key=True)
    for field, cause in _ONLY_ON.items():
        if entry.get(field) is not None and on != cause:
            yield Wrong((*path, field), f"it has a meaning only beside `on: {cause}`", at_key=True)
    if on == "webhook":
        yield from _secret(path, entry)
    if on == "alert":
        yield from causes(path, entry)
    if entry.get("params_from") and on == "schedule":
        yield Wrong((*path, "params_from"), "a schedule gives no values; write them under params", at_key=True)


def _act(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """What answers an alert otherwise than by running a pipeline."""
    do = entry["do"]
    if entry.get("on") != "alert":
        yield Wrong((*path, "do"), f"{do} has a meaning only beside `on: alert`", at_key=True)
    for field in NOT_BESIDE:
        if entry.get(field):
            yield Wrong((*path, field), f"it has no meaning beside `do: {do}`; write a policy of its own", at_key=True)
    if do == "notify" and not entry.get("notify"):
        yield Wrong(path, "do: notify needs the channels under notify", at_key=True)
    if do != "notify" and entry.get("notify"):
        yield Wrong((*path, "notify"), "it has a meaning only beside `do: notify`", at_key=True)
    for index, name in enumerate(entry.get("notify") or ()):
        yield from named(data, "channels", name, (*path, "notify", index))


def cause_named(wrong: Wrong) -> Wrong:
    """A mistake about `on` in words in place of a pattern."""
    if wrong.path[:1] != ("policies",) or wrong.path[2:] != ("on",) or "not written as" not in wrong.message:
        return wrong
    told = wrong.message.partition(" is not written")[0]
    return Wrong(wrong.path, f"{told} is no cause; write alert, schedule, webhook, or a kind of fact, as run.finished")


def schedule(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """What is wrong with one schedule beyond its types."""
    yield from _both(data, path, entry)
    if path[1] in (data.get("policies") or {}):
        yield Wrong(path, f"a policy has the name {path[1]!r} too", at_key=True)


def circles(data: dict[str, Any]) -> Iterator[Wrong]:
    """Policies of this file that would set each other off for ever."""
    found = circle({str(data.get("project") or ""): data})
    if found:
        section = "policies" if found[0] in (data.get("policies") or {}) else "schedules"
        yield Wrong((section, found[0]), said(found), at_key=True)


def refuse_circles(project: str, configs: Configs) -> None:
    """Invalid when the policies of several projects would set each other off for ever."""
    found = circle(configs)
    if found:
        raise Invalid(
            f"Applying {project!r} would close a circle: {said(found)}.",
            "Narrow `when` of one of them, or set `paused: true`.",
        )


def said(found: tuple[str, ...]) -> str:
    """A circle in words, with its path."""
    return f"policies that set each other off for ever: {' → '.join(found)}"


def _both(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    yield from named(data, "pipelines", entry.get("run"), (*path, "run"))
    yield from named(data, "gates", entry.get("gate"), (*path, "gate"))
    yield from named(data, "environments", entry.get("environment"), (*path, "environment"))
    when = entry.get("when") if isinstance(entry.get("when"), dict) else {}
    for place, found in (((*path,), entry), ((*path, "when"), when or {})):
        yield from _time(place, found)
    for name in DURATIONS:
        value = entry.get(name)
        if isinstance(value, str) and not _DURATION.match(value.strip()):
            yield Wrong((*path, name), f"{value!r} is no duration; write 36h, 7d or 2w")


def _time(path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    cron, zone = entry.get("cron"), entry.get("timezone")
    if isinstance(cron, str):
        from datetime import UTC, datetime

        from cronsim import CronSim, CronSimError

        try:
            if len(cron.split()) != 5:
                raise CronSimError(f"it has {len(cron.split())} fields")
            next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            why = str(error) or "it never comes"
            yield Wrong((*path, "cron"), f"{cron!r} is no schedule ({why}); write five fields, as in 0 6 * * 1")
    if isinstance(zone, str):
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(zone)
        except (KeyError, OSError, ValueError):
            yield Wrong((*path, "timezone"), f"{zone!r} is no time zone; write one as Europe/Paris")


def _conditions(path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    when = entry.get("when")
    for name, wanted in when.items() if isinstance(when, dict) else ():
        text = wrong_condition(wanted)
        if text:
            yield Wrong((*path, "when", name), text)


def _secret(path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    secret = entry.get("secret")
    if not isinstance(secret, dict):
        yield Wrong(path, "a policy on webhook needs its secret: {env: NAME} or {file: path}", at_key=True)
    elif bool(secret.get("env")) == bool(secret.get("file")):
        yield Wrong((*path, "secret"), "a secret has one place: give either env or file", at_key=True)
