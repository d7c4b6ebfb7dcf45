"""The verbs of splits: shares, the end of a canary, arms, shadows and what was live when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from loopline.core.times import from_text, to_text
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.serving.arms import Outcome
from loopline.usecases.serving.mirroring import ShadowSummary
from loopline.usecases.serving.model import Count, Moment, Revision, Split, Verdict
from loopline.usecases.serving.traffic import Traffic


class Named(msgspec.Struct):
    """An endpoint."""

    endpoint: str


class Share(msgspec.Struct):
    """Shares from 0 to 1 by the names of arms and shadows, or one `arm` with its `share`. With `steps` and `every_s` a
    canary goes on by itself."""

    endpoint: str
    shares: dict[str, float] = {}
    arm: str = ""
    share: float = 0.0
    steps: list[float] = []
    every_s: float = 0.0


class OfArm(msgspec.Struct):
    """An arm of an endpoint; without a name the only one, or all."""

    endpoint: str
    arm: str = ""


class Compare(msgspec.Struct):
    """`metric`: accuracy, absolute_error, log_loss or truth."""

    endpoint: str
    metric: str = ""


class OfRevision(msgspec.Struct):
    """A revision; 0 for the newest."""

    endpoint: str
    revision: int = 0


class Bake(msgspec.Struct, frozen=True, kw_only=True):
    """The bake period of the live revision: `state` is under way, kept, or not watched to its end; it began with the
    revision and lasts until `until`."""

    revision: int
    until: str
    state: str


class SplitView(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint's requests are shared out just now (`traffic` null: all go to what is live), the revisions beside
    the live one, what was counted, what the data plane decided by itself (newest first), and the bake period."""

    endpoint: str
    live: Revision | None
    traffic: Traffic | None
    beside: list[Revision]
    counts: list[Count]
    verdicts: list[Verdict]
    bake: Bake | None


def split(serving: Any, request: Named, caller: Caller) -> SplitView:
    endpoint = serving.endpoint(request.endpoint)
    traffic = endpoint.traffic
    live = None if endpoint.live is None else serving.revision(endpoint.name, endpoint.live)
    verdicts = serving.verdicts(endpoint.name)
    return SplitView(
        endpoint=endpoint.name,
        live=live,
        traffic=traffic,
        beside=[serving.revision(endpoint.name, number) for number in (traffic.revisions() if traffic else ())],
        counts=serving.counts(endpoint.name) if traffic else [],
        verdicts=verdicts,
        bake=_bake(serving, endpoint, live, verdicts),
    )


def share(serving: Any, request: Share, caller: Caller) -> Traffic:
    wished = request.shares | ({request.arm: request.share} if request.arm else {})
    made: Traffic = serving.share(request.endpoint, wished, caller.name, request.steps, request.every_s)
    return made


def promote(serving: Any, request: OfArm, caller: Caller) -> Revision:
    made: Revision = serving.promote(request.endpoint, caller.name, request.arm or None)
    return made


def stop(serving: Any, request: OfArm, caller: Caller) -> Traffic | None:
    left: Traffic | None = serving.stop(request.endpoint, caller.name, request.arm or None)
    return left


def arms(serving: Any, request: Compare, caller: Caller) -> Outcome:
    found: Outcome = serving.arms(request.endpoint, request.metric)
    return found


def shadow(serving: Any, request: OfRevision, caller: Caller) -> ShadowSummary:
    found: ShadowSummary = serving.shadow_summary(request.endpoint, request.revision or None)
    return found


def timeline(serving: Any, request: Named, caller: Caller) -> list[Moment]:
    found: list[Moment] = serving.timeline(request.endpoint)
    return found


def splits(serving: Any, request: Named, caller: Caller) -> list[Split]:
    found: list[Split] = serving.splits(request.endpoint)
    return found


def _bake(serving: Any, endpoint: Any, live: Revision | None, verdicts: list[Verdict]) -> Bake | None:
    """The bake period of what is live, when it had one."""
    lasts = endpoint.options.bake_s
    if not lasts or live is None or live.live_at is None or live.revision == 1:
        return None
    until = to_text(from_text(live.live_at) + timedelta(seconds=lasts))
    kept = any(each.revision == live.revision and each.verdict == "kept" for each in verdicts)
    state = "kept" if kept else "under way" if to_text(serving.now()) < until else "not watched to its end"
    return Bake(revision=live.revision, until=until, state=state)


ONE = "/serving/endpoints/{endpoint}"
VERBS = (
    Verb("serving.split", "GET", f"{ONE}/split", Role.VIEWER, Named, split, "Show how requests are shared out"),
    Verb("serving.share", "POST", f"{ONE}/split", Role.APPROVER, Share, share, "Change shares"),
    Verb("serving.promote", "POST", f"{ONE}/split/promote", Role.APPROVER, OfArm, promote, "Make an arm live"),
    Verb("serving.stop", "POST", f"{ONE}/split/stop", Role.APPROVER, OfArm, stop, "Take arms off"),
    Verb("serving.splits", "GET", f"{ONE}/splits", Role.VIEWER, Named, splits, "Show how requests were shared out when"),
    Verb("serving.arms", "GET", f"{ONE}/arms", Role.VIEWER, Compare, arms, "Compare the arms of a split"),
    Verb("serving.shadow", "GET", f"{ONE}/shadow", Role.VIEWER, OfRevision, shadow, "Show what a shadow would have answered"),
    Verb("serving.timeline", "GET", f"{ONE}/timeline", Role.VIEWER, Named, timeline, "Show what answered when, with shares"),
)  # fmt: skip
