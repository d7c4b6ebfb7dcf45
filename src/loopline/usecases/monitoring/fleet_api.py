"""The list of all models, as the outside calls it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.fleet import Fleet


class FleetOf(msgspec.Struct):
    """`q`: words that all must stand in a row's names. `state`: alert, acknowledged, near_limit, silent, provisional or fine;
    '' for all. `endpoint`: only this one. `page` counts from 1, `size` is at most 100."""

    q: str = ""
    state: str = ""
    endpoint: str = ""
    page: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100


def fleet(monitoring: Any, request: FleetOf, caller: Caller) -> Fleet:
    found: Fleet = monitoring.fleet(request.q, request.state, request.page, request.size, request.endpoint)
    return found


VERBS: tuple[Verb, ...] = (
    Verb("monitoring.fleet", "GET", "/fleet", Role.VIEWER, FleetOf, fleet, "List all models, who needs a look first"),
)
