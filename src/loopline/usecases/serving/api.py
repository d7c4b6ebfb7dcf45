"""The verbs of serving for people and programs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.serving import sharing_api
from loopline.usecases.serving.model import Desired, Revision, Served
from loopline.usecases.serving.options import Options
from loopline.usecases.serving.ranging import RANGE_VERBS
from loopline.usecases.serving.records_api import VERBS as RECORD_VERBS
from loopline.usecases.serving.rules.verbs import RULE_VERBS
from loopline.usecases.serving.traffic import Traffic
from loopline.usecases.serving.trying import TRY_VERBS

MOST_RECENT = 1000


class Nothing(msgspec.Struct):
    """Nothing to say."""


class Named(msgspec.Struct):
    """An endpoint."""

    endpoint: str


class Put(msgspec.Struct):
    """An endpoint as it shall be."""

    endpoint: str
    model: str
    alias: str | None = None
    key: str | None = None
    event_time: str | None = None


class Deploy(msgspec.Struct):
    """`version`: number or alias. `model` is needed only where the endpoint does not exist yet.

    Beside what is live: as a canary or a shadow with a share from 0 to 1, or as an `arm` of a test with its `share`. `by`:
    request, key, caller or header:NAME. `steps` and `every_s`: the shares that a canary takes by itself.
    """

    endpoint: str
    version: int | str
    model: str | None = None
    canary: float | None = None
    shadow: float | None = None
    arm: str = ""
    share: float | None = None
    by: str = ""
    steps: list[float] = []
    every_s: float = 0.0


class Numbered(msgspec.Struct):
    """A revision of an endpoint."""

    endpoint: str
    revision: int


class Configure(msgspec.Struct):
    """Options by name; null puts one back to its default."""

    endpoint: str
    options: dict[str, Any]


class Moment(msgspec.Struct):
    """A time as ISO 8601 text."""

    endpoint: str
    at: str


class Recent(msgspec.Struct):
    """How many of the newest predictions."""

    endpoint: str
    limit: int = 50


class Identified(msgspec.Struct):
    """A prediction."""

    prediction: str


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with the revision that answers (`live`) and the one that shall (`wanted`)."""

    name: str
    model: str
    alias: str | None
    key: str | None
    event_time: str | None
    live: Revision | None
    wanted: Revision | None
    created_at: str
    created_by: str
    options: Options
    traffic: Traffic | None


def put(serving: Any, request: Put, caller: Caller) -> EndpointView:
    name = request.endpoint
    serving.put(name, request.model, caller.name, request.alias, request.key, request.event_time)
    return endpoint(serving, Named(name), caller)


def deploy(serving: Any, request: Deploy, caller: Caller) -> Revision:
    name, version, by = request.endpoint, request.version, request.by or None
    ways = [
        way
        for way in (request.canary is not None or bool(request.steps), request.shadow is not None, bool(request.arm))
        if way
    ]
    if len(ways) > 1:
        raise Invalid("A version is deployed as one thing at a time.", "Use canary, shadow or arm.")
    made: Revision
    if request.canary is not None or request.steps:
        share = request.canary or 0.0
        made = serving.canary(name, version, share, caller.name, by, request.steps, request.every_s)
    elif request.shadow is not None:
        made = serving.shadow(name, version, request.shadow, caller.name)
    elif request.arm:
        share = 0.5 if request.share is None else request.share
        made = serving.test_arm(name, version, request.arm, share, caller.name, by)
    else:
        made = serving.deploy(name, version, caller.name, request.model)
    return made


def configure(serving: Any, request: Configure, caller: Caller) -> Options:
    made: Options = serving.configure(request.endpoint, request.options, caller.name)
    return made


def options(serving: Any, request: Named, caller: Caller) -> Options:
    found: Options = serving.options(request.endpoint)
    return found


def route(serving: Any, request: Numbered, caller: Caller) -> Revision:
    target: Revision = serving.route(request.endpoint, request.revision, caller.name)
    return target


def rollback(serving: Any, request: Named, caller: Caller) -> Revision:
    target: Revision = serving.rollback(request.endpoint, caller.name)
    return target


def endpoints(serving: Any, request: Nothing, caller: Caller) -> list[EndpointView]:
    return [_view(each) for each in serving.desired()]


def endpoint(serving: Any, request: Named, caller: Caller) -> EndpointView:
    serving.endpoint(request.endpoint)
    return next(_view(each) for each in serving.desired() if each.endpoint.name == request.endpoint)


def revisions(serving: Any, request: Named, caller: Caller) -> list[Revision]:
    return list(serving.revisions(request.endpoint))


def revision(serving: Any, request: Numbered, caller: Caller) -> Revision:
    found: Revision = serving.revision(request.endpoint, request.revision)
    return found


def history(serving: Any, request: Named, caller: Caller) -> list[Served]:
    return list(serving.history(request.endpoint))


def live_at(serving: Any, request: Moment, caller: Caller) -> Served | None:
    found: Served | None = serving.live_at(request.endpoint, request.at)
    return found


def predictions(serving: Any, request: Recent, caller: Caller) -> list[dict[str, Any]]:
    """The newest logged predictions, newest first."""
    if not 0 < request.limit <= MOST_RECENT:
        raise Invalid(f"{request.limit} predictions cannot be shown.", f"Ask for 1 to {MOST_RECENT}.")
    serving.endpoint(request.endpoint)
    found: list[dict[str, Any]] = serving.recent(request.endpoint, request.limit)
    return found


def prediction(serving: Any, request: Identified, caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = serving.find_prediction(request.prediction)
    return found


def traffic(serving: Any, request: Named, caller: Caller) -> list[dict[str, Any]]:
    serving.endpoint(request.endpoint)
    found: list[dict[str, Any]] = serving.traffic(request.endpoint)
    return found


def address(serving: Any, request: Nothing, caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = serving.address()
    return found


def _view(desired: Desired) -> EndpointView:
    kept = msgspec.structs.asdict(desired.endpoint)
    return EndpointView(**{**kept, "live": desired.live, "wanted": desired.wanted})


ONE = "/serving/endpoints/{endpoint}"
VERBS = (
    Verb("serving.endpoints", "GET", "/serving/endpoints", Role.VIEWER, Nothing, endpoints, "List endpoints"),
    Verb("serving.endpoint", "GET", ONE, Role.VIEWER, Named, endpoint, "Show an endpoint"),
    Verb("serving.put", "PUT", ONE, Role.APPROVER, Put, put, "Make or change an endpoint"),
    Verb("serving.options", "GET", f"{ONE}/options", Role.VIEWER, Named, options, "Show how an endpoint serves"),
    Verb("serving.configure", "PATCH", f"{ONE}/options", Role.APPROVER, Configure, configure, "Change how an endpoint serves"),
    Verb("serving.deploy", "POST", f"{ONE}/deploy", Role.APPROVER, Deploy, deploy, "Deploy a model version"),
    Verb("serving.route", "POST", f"{ONE}/route", Role.APPROVER, Numbered, route, "Send traffic to a revision"),
    Verb("serving.rollback", "POST", f"{ONE}/rollback", Role.APPROVER, Named, rollback, "Go back to what was live"),
    Verb("serving.revisions", "GET", f"{ONE}/revisions", Role.VIEWER, Named, revisions, "List deployments"),
    Verb("serving.revision", "GET", f"{ONE}/revisions/{{revision}}", Role.VIEWER, Numbered, revision, "Show a deployment"),
    Verb("serving.history", "GET", f"{ONE}/history", Role.VIEWER, Named, history, "Show what was live when"),
    Verb("serving.live_at", "GET", f"{ONE}/live", Role.VIEWER, Moment, live_at, "Show what was live at a moment"),
    Verb("serving.traffic", "GET", f"{ONE}/traffic", Role.VIEWER, Named, traffic, "Count predictions by day and revision"),
    Verb("serving.predictions", "GET", f"{ONE}/predictions", Role.VIEWER, Recent, predictions, "Show the newest predictions"),
    Verb("serving.prediction", "GET", "/serving/predictions/{prediction}", Role.VIEWER, Identified, prediction, "Show a prediction"),
    *RECORD_VERBS,
    *RULE_VERBS,
    *RANGE_VERBS,
    *TRY_VERBS,
    Verb("serving.address", "GET", "/serving/address", Role.VIEWER, Nothing, address, "Say where predictions are answered"),
    *sharing_api.VERBS,
)  # fmt: skip
