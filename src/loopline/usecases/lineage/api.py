"""The verbs of lineage as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.lineage.model import Walk


class Prediction(msgspec.Struct):
    prediction: str


class Snapshot(msgspec.Struct):
    """The digest of a snapshot or batch, or its beginning."""

    snapshot: str


def trace(lineage: Any, request: Prediction, caller: Caller) -> Walk:
    walk: Walk = lineage.trace(request.prediction)
    return walk


def impact(lineage: Any, request: Snapshot, caller: Caller) -> Walk:
    walk: Walk = lineage.impact(request.snapshot)
    return walk


VERBS: tuple[Verb, ...] = (
    Verb("lineage.trace", "GET", "/trace/{prediction}", Role.VIEWER, Prediction, trace, "Walk from a prediction back"),
    Verb("lineage.impact", "GET", "/impact/{snapshot}", Role.VIEWER, Snapshot, impact, "Walk from a snapshot on"),
)
