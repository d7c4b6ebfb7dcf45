"""Facts as people read them: in words, with the page that tells more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

from loopline.shells.http.filters import number, seconds, words

Body = Mapping[str, Any]
GOOD = (
    "gate.decided passed",
    "run.finished finished",
    "deployment.live",
    "deployment.baked",
    "canary.promoted",
    "alert.resolved",
    "dataset.snapshot_taken",
)
BAD = (
    "gate.decided failed",
    "run.finished failed",
    "deployment.failed",
    "deployment.rolled_back",
    "canary.stopped",
    "alert.opened",
    "dataset.batch_refused",
)
WARN = (
    "alert.acknowledged",
    "run.finished killed",
    "gate.decided not_run",
    "policy.fired",
    "policy.failed",
    "token.revoked",
)
LIVE = ("alias.moved", "model.version_registered", "deployment.requested", "approval.given")
TONES = {name: tone for tone, names in (("good", GOOD), ("bad", BAD), ("warn", WARN), ("live", LIVE)) for name in names}
NAMES = {
    "dataset.snapshot_taken": "Snapshot taken",
    "dataset.batch_refused": "Batch refused",
    "model.version_registered": "Version registered",
    "predictions.sealed": "Predictions sealed",
    "truth.sealed": "Ground truth sealed",
    "project.applied": "Project applied",
}


def shown(fact: Mapping[str, Any]) -> dict[str, Any]:
    """A fact with its name in words, a detail, a tone and the address of the thing."""
    kind, body = fact["kind"], fact["body"]
    outcome = body.get("verdict") or body.get("status") or ""
    return {
        **fact,
        "name": f"Run {outcome}"
        if kind == "run.finished"
        else NAMES.get(kind, words(kind.replace(".", " ")).capitalize()),
        "detail": detail(kind, str(fact["subject"]), body),
        "tone": TONES.get(f"{kind} {outcome}", TONES.get(kind, "")),
        "place": place(kind, str(fact["subject"]), body),
        "title": title(kind, str(fact["subject"]), body),
    }


def by_day(facts: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Facts under their days, in the order given."""
    return [(day, list(group)) for day, group in groupby(map(shown, facts), key=lambda fact: fact["at"][:10])]


def title(kind: str, subject: str, body: Body) -> str:
    """What to call the thing that a fact is about."""
    if kind.startswith("run."):
        return str(body.get("name") or subject[:12])
    thing, _, name = subject.partition(":")
    return name if name and thing.isalpha() else subject


def place(kind: str, subject: str, body: Body) -> str:
    """The page of the thing that a fact is about, or ''."""
    thing = kind.partition(".")[0]
    find = PLACES.get(thing)
    return find(subject.partition(":")[2] or subject, body) if find else ""


def _path(folder: str, name: Any) -> str:
    return f"/{folder}/{quote(str(name), safe='')}" if name else ""


def _model(subject: str, body: Body) -> str:
    return _path("models", body.get("model") or subject.partition("@")[0].partition("/")[0])


PLACES: dict[str, Callable[[str, Body], str]] = {
    "run": lambda subject, body: _path("runs", subject),
    "dataset": lambda subject, body: _path("datasets", body.get("dataset") or subject),
    "model": _model,
    "alias": _model,
    "card": lambda subject, body: f"{_model(subject, body)}/versions/{body.get('version', '')}",
    "gate": lambda subject, body: _path("gates", body.get("gate")),
    "approval": lambda subject, body: _path("gates", body.get("gate")),
    "endpoint": lambda subject, body: _path("endpoints", body.get("endpoint") or subject),
    "deployment": lambda subject, body: _path("endpoints", body.get("endpoint") or subject),
    "predictions": lambda subject, body: _path("endpoints", body.get("endpoint")),
    "truth": lambda subject, body: _path("endpoints", body.get("endpoint")),
    "alert": lambda subject, body: _path("monitors", body.get("endpoint")),
    "policy": lambda subject, body: _path("firings", body.get("firing")),
}


def detail(kind: str, subject: str, body: Body) -> str:
    """The rest of the sentence, from what the body holds."""
    if kind == "alias.moved":
        before = f"version {body['from']} → " if body.get("from") else "to version "
        return " · ".join(filter(None, (f"{before}{body.get('to')}", body.get("reason"))))
    pieces = [words(body[key]) for key in ("verdict", "metric", "severity", "role") if isinstance(body.get(key), str)]
    pieces += [
        f"{key} {body[key]}"
        for key in ("version", "revision")
        if body.get(key) and not subject.endswith(f"/{body[key]}")
    ]
    pieces += [f"for {body['alias']}"] if kind.startswith(("gate", "approval")) and body.get("alias") else []
    pieces += [f"{number(body['rows'])} rows"] if isinstance(body.get("rows"), int) else []
    pieces += [f"in {seconds(body['seconds'])}"] if isinstance(body.get("seconds"), int | float) else []
    pieces += [str(body[key])[:200] for key in ("cause", "reason", "message", "error", "note") if body.get(key)]
    return " · ".join(pieces)
