"""Policies as loopline.yaml writes them, read into values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.automation.model import KINDS, Policy

AS_WRITTEN = ("environment", "catch_up", "concurrency", "when_busy", "paused", "secret")
_DURATION = re.compile(r"(\d+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def policies_in(project: str, config: Mapping[str, Any], code: str) -> Iterator[Policy]:
    """The policies that a project's loopline.yaml declares; Invalid names the one that is wrong."""
    declared = config.get("policies") or {}
    named = declared.items() if isinstance(declared, Mapping) else ((each.get("name", ""), each) for each in declared)
    for name, written in named:
        try:
            yield policy_from(project, str(name), written, config, code)
        except (msgspec.ValidationError, TypeError, AttributeError) as error:
            raise Invalid(
                f"The policy {name!r} of {project!r} is wrong: {error}.", "Mend it in loopline.yaml."
            ) from None


def policy_from(project: str, name: str, written: Mapping[str, Any], config: Mapping[str, Any], code: str) -> Policy:
    """One policy, with what its gate says about model and alias filled in."""
    gates = config.get("gates") or {}
    gate = gates.get(written.get("gate")) or {}
    pipeline = (config.get("pipelines") or {}).get(written.get("run")) or {}
    fields = {
        "project": project,
        "name": str(written.get("name") or name),
        "on": KINDS.get(str(written.get("on")), written.get("on")),
        "when": {**schedule_of(written), **(written.get("when") or {})},
        "do": written.get("do") or "run",
        "notify": written.get("notify") or (),
        "run": written.get("run") or "",
        "file": pipeline.get("file") or "pipeline.py",
        "function": pipeline.get("function") or written.get("run") or "",
        "params": {**(pipeline.get("params") or {}), **(written.get("params") or {})},
        "gate": written.get("gate") or "",
        "model": written.get("model") or pipeline.get("registers") or gate.get("model") or "",
        "promote_to": written.get("promote_to") or gate.get("promote_to") or "",
        "deploy": written.get("deploy") or "after_approval",
        "params_from": written.get("params_from") or {},
        **{name: duration(written.get(name) or 0) for name in ("cooldown", "jitter", "repeat")},
        **{name: written[name] for name in AS_WRITTEN if written.get(name) is not None},
        "code": code,
    }
    return msgspec.convert(fields, Policy)


def schedule_of(written: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule may stand beside `on` instead of under `when`."""
    found = {"cron": written.get("cron") or written.get("schedule"), "timezone": written.get("timezone")}
    return {key: value for key, value in found.items() if value}


def duration(text: str | float) -> float:
    """Seconds for "7d", "36h", "15 min" or a number of seconds; Invalid for anything else."""
    if isinstance(text, int | float) and text >= 0:
        return float(text)
    match = _DURATION.match(str(text).strip())
    if match is None:
        raise Invalid(f"{text!r} is no duration.", 'Write it as "7d", "36h" or "15m".')
    return float(int(match[1]) * _SECONDS[match[2][0]])


def shown(seconds: float) -> str:
    """A duration as people write it."""
    for letter in ("w", "d", "h", "m"):
        if seconds and seconds % _SECONDS[letter] == 0:
            return f"{int(seconds / _SECONDS[letter])}{letter}"
    return f"{seconds:g}s"
