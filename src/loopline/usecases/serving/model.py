"""What an endpoint, a revision and their history are, and the rules that need nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.facts import Fact
from loopline.core.ids import checked_name
from loopline.core.tables import Signature
from loopline.usecases.serving.options import DEFAULTS, Options
from loopline.usecases.serving.rules.model import RULES_PUT
from loopline.usecases.serving.traffic import Traffic

REQUESTED, LIVE, BESIDE, RETIRED, FAILED = "requested", "live", "beside", "retired", "failed"
KEPT, ROLLED_BACK, ADVANCED, STOPPED, PROMOTED = "kept", "rolled back", "advanced", "stopped", "promoted"
TRAFFIC_CHANGED = "traffic.changed"
ENDPOINT_RETIRED = "endpoint.retired"
WISH = ("model", "alias", "key", "event_time")
LATER = ("arm", "caller", "rules", "sample", "explanation", "explanation_base", "day")
RESERVED = (
    "id", "endpoint", "revision", "model", "version", "at", "event_time", "key", "prediction", "latency_us", *LATER
)  # fmt: skip


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address that serves one registered model.

    `key` and `event_time` name fields of a row that are accepted beyond the signature, logged, and not given to the
    model. With `alias`, each move of that alias deploys the version it then points to. `live` is the revision that
    answers, `wanted` the one that shall; they differ while a deployment is under way.
    """

    name: str
    model: str
    alias: str | None
    key: str | None
    event_time: str | None
    live: int | None
    wanted: int | None
    created_at: str
    created_by: str
    options: Options = DEFAULTS
    traffic: Traffic | None = None


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment of a model version on an endpoint, numbered from 1. `status`: requested, live, beside (it runs as an
    arm or a shadow), retired, failed. `rules` (NAME/NUMBER) stand around the model, and `signature` is the one that they make."""

    endpoint: str
    revision: int
    model: str
    version: int
    digest: str
    signature: Signature
    status: str
    reason: str
    requested_at: str
    requested_by: str
    live_at: str | None
    ended_at: str | None
    rules: str | None = None


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when (None = still) a revision was live. `traffic`: how requests were shared out beside it at the
    moment that was asked for."""

    endpoint: str
    revision: int
    model: str
    version: int
    from_at: str
    until_at: str | None
    actor: str
    traffic: Traffic | None = None


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when (None = still) requests were shared out so, and why it began."""

    endpoint: str
    traffic: Traffic
    from_at: str
    until_at: str | None
    actor: str
    why: str


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when (None = still) exactly this answered: a revision, and how requests were shared out beside it.
    `why` and `actor` tell what began it."""

    endpoint: str
    from_at: str
    until_at: str | None
    revision: int
    model: str
    version: int
    traffic: Traffic | None
    actor: str
    why: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the data plane decided about a revision by itself. `verdict`: kept or rolled back after a bake period;
    advanced, stopped or promoted as a canary. `evidence`: counts, quantiles and what they were held against."""

    endpoint: str
    revision: int
    arm: str
    verdict: str
    reason: str
    evidence: dict[str, Any]
    at: str


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one arm of one revision: answered, failed (the model could not, or was not there), dropped (copies that
    a shadow had no room for)."""

    endpoint: str
    revision: int
    arm: str
    answered: int
    failed: int
    dropped: int


class Desired(msgspec.Struct, frozen=True):
    """What the data plane shall serve on one endpoint: `beside` are the revisions of its arms and shadows."""

    endpoint: Endpoint
    live: Revision | None
    wanted: Revision | None
    beside: tuple[Revision, ...] = ()


def moments(served: Sequence[Served], splits: Sequence[Split]) -> list[Moment]:
    """Both histories as one, newest first."""
    found = []
    for one in served:
        within = [each for each in splits if _overlap(one.from_at, one.until_at, each.from_at, each.until_at)]
        starts = {one.from_at, *(max(one.from_at, each.from_at) for each in within)}
        starts |= {each.until_at for each in within if each.until_at and _within(each.until_at, one)}
        ordered = sorted(starts)
        for start, end in zip(ordered, [*ordered[1:], one.until_at], strict=True):
            split = next((each for each in within if _covers(each, start)), None)
            began = split is not None and split.from_at == start
            ended = next((each for each in within if each.until_at == start), None)
            why = (
                split.why
                if split is not None and began
                else "the split ended"
                if ended and start != one.from_at
                else ""
            )
            actor = split.actor if split is not None and began else one.actor
            found.append(
                Moment(
                    endpoint=one.endpoint, from_at=start, until_at=end, revision=one.revision, model=one.model,
                    version=one.version, traffic=split.traffic if split is not None else None, actor=actor, why=why,
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: each.from_at, reverse=True)


def _overlap(start: str, end: str | None, other: str, other_end: str | None) -> bool:
    return (other_end is None or other_end > start) and (end is None or other < end)


def _within(at: str, one: Served) -> bool:
    return one.from_at < at and (one.until_at is None or at < one.until_at)


def _covers(split: Split, at: str) -> bool:
    return split.from_at <= at and (split.until_at is None or at < split.until_at)


def subject(endpoint: str) -> str:
    """The name under which the facts of an endpoint stand in the ledger."""
    return f"endpoint:{endpoint}"


def checked_fields(key: str | None, event_time: str | None) -> None:
    """Invalid when the fields that an endpoint takes beyond the signature cannot be told apart."""
    for name in (key, event_time):
        if name is not None:
            checked_name("field", name)
    if key is not None and key == event_time:
        raise Invalid(f"The endpoint cannot use {key!r} both as key and as event time.", "Name two fields.")


def column_name(name: str) -> str:
    """The column of the prediction log that holds the input `name`."""
    return f"input.{name}" if name in RESERVED else name


def replayed(facts: Iterable[Fact]) -> dict[str, Any]:
    """The live revision of each endpoint that the facts add up to, and how its requests are shared out; and the
    digests of rules."""
    live: dict[str, Any] = {}
    shared: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    for fact in facts:
        if fact.kind == "deployment.live":
            live[fact.body["endpoint"]] = {"revision": fact.body["revision"], "version": fact.body["version"]}
        elif fact.kind == TRAFFIC_CHANGED:
            shared[fact.body["endpoint"]] = fact.body["traffic"]
        elif fact.kind == ENDPOINT_RETIRED:
            live.pop(fact.body["endpoint"], None)
            shared.pop(fact.body["endpoint"], None)
        elif fact.kind == RULES_PUT:
            rules[f"rules {fact.body['rules']}"] = fact.body["digest"]
    return standing(live, {name: traffic for name, traffic in shared.items() if traffic}) | rules


def standing(live: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """What an audit compares: endpoint to its live revision and version, with its traffic where that is shared out."""
    found = {name: {**each, "traffic": shared[name]} if name in shared else dict(each) for name, each in live.items()}
    return found | {name: {"traffic": traffic} for name, traffic in shared.items() if name not in live}
