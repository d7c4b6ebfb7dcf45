"""What runs its course at an endpoint: splits, bake periods and canaries, watched by counts twenty times a second.

A revision that is worse is put back, or taken off, here and at once; the database is told afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopline.core.times import to_text
from loopline.shells.dataplane.answers import NO_MODEL
from loopline.shells.dataplane.choosing import Split
from loopline.shells.dataplane.metrics import FINE_NS
from loopline.shells.dataplane.recorder import Recorder
from loopline.shells.dataplane.revision import COLD, READY
from loopline.shells.dataplane.shadows import Shadow, ShadowApp, humble
from loopline.shells.dataplane.unfinished import Unfinished, keep
from loopline.usecases.serving.baking import LEAST_BEFORE, LEAST_IN_STEP, Limits, Tally, Watch
from loopline.usecases.serving.model import Count, Desired
from loopline.usecases.serving.records.writing import SHADOWS
from loopline.usecases.serving.traffic import CANARY, LIVE, Arm, Traffic

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.revision import Revision
    from loopline.shells.dataplane.served import Served

ACTOR = "data plane"
LOOK_S = 0.05
INTERVAL_S = 0.25  # in which latencies are compared
COUNT_S = 2.0
BEFORE_S = 60.0
LONGER_S = 5.0  # the revision before stays warm for this much longer than the bake period


class Bake:
    """A revision that has just become live, and the one before it."""

    def __init__(self, served: Served, old: Revision, before: Tally, until: float) -> None:
        options = served.options
        self.revision = served.present()
        self.old = old
        self.until = until
        self.start = tally(self.revision)
        self.watch = Watch(Limits(options.bake_errors, options.bake_latency), FINE_NS, before)


class Step:
    """An arm with its present share."""

    def __init__(self, served: Served, arm: Arm, revision: Revision, traffic: Traffic, now: float) -> None:
        options = served.options
        self.arm = arm
        self.revision = revision
        self.live = served.present()
        self.since = traffic.since
        self.until = now + traffic.every_s if traffic.steps and traffic.kind == CANARY else None
        self.starts = tally(revision), tally(self.live)
        latency = options.bake_latency if traffic.kind == CANARY else float("inf")
        rest = 1 - sum(each.share for each in traffic.arms)
        share = arm.share / (arm.share + rest) if arm.share + rest > 0 else 1.0
        self.watch = Watch(Limits(options.bake_errors, latency), FINE_NS, Tally(), share)


class Courses:
    """All of it lives on the loop. `tell` has the database told in time; `swap(served, revision)` replaces what is live."""

    def __init__(self, app: Application, serving: Any, tell: Callable[[Callable[[], Any]], None]) -> None:
        self._app = app
        self._serving = serving
        self._tell = tell
        self._bakes: dict[str, Bake] = {}
        self._kept: list[Bake] = []
        self._steps: dict[tuple[str, str], Step] = {}
        self._before: dict[str, tuple[int, Tally, Tally, float]] = {}
        self._counted: dict[tuple[str, int, str], tuple[int, int, int]] = {}
        self._count_at = 0.0
        self._interval_at = 0.0
        self._interval = False
        self._recorder: Recorder | None = None
        self._writing: ThreadPoolExecutor | None = None

    # The plane calls these

    def app_for(self, desired: Desired, number: int) -> Any:
        """The application as the revision of that number shall see it."""
        traffic = desired.endpoint.traffic
        if traffic is None or number not in [arm.revision for arm in traffic.shadows]:
            return self._app
        return ShadowApp(self._app, self._notes())

    def beside_up(self, served: Served, revision: Revision) -> None:
        """A revision of an arm or a shadow has its model."""
        name, number = served.name, revision.number
        self._tell(lambda: self._serving.went_beside(name, number, ACTOR))

    def agree(self, served: Served, traffic: Traffic | None) -> None:
        """Share the requests out as the database wants it."""
        if traffic == (served.split.traffic if served.split is not None else None):
            return
        self._count(served)
        if traffic is None:
            served.split = None
            return
        if traffic.by.startswith("header:"):
            self._app.want_header(traffic.by.removeprefix("header:").encode())
        known = {shadow.arm.revision: shadow for shadow in (served.split.shadows if served.split is not None else ())}
        shadows = [known.get(arm.revision) or Shadow(self._app, arm, served.beside) for arm in traffic.shadows]
        for shadow, arm in zip(shadows, traffic.shadows, strict=True):
            shadow.arm = arm
        if served.split is None:
            self._count_from(served)
        served.split = Split(traffic, served.beside, shadows)

    def swapping(self, served: Served) -> None:
        """Another revision will be live: what its arms were asked until now is theirs."""
        self._count(served)

    def swapped(self, served: Served, old: Revision | None) -> None:
        """Another revision is live: watch it, when it is a newer one."""
        self._count_from(served)
        self._bakes.pop(served.name, None)
        new, options = served.present(), served.options
        if old is None or not options.bake_s or new.number <= old.number:
            return
        self._bake(served, old, self._lately(served.name, old), options.bake_s)

    def resumed(self, served: Served, old: Revision, kept: Unfinished) -> None:
        """Go on with a bake period that the data plane before this one had begun."""
        self._bake(served, old, kept.before, min(served.options.bake_s, kept.until - time.time()))

    def dropped(self, name: str) -> None:
        """An endpoint was retired."""
        self._bakes.pop(name, None)
        self._before.pop(name, None)

    async def run(self, put_back: Callable[[Served, Revision, str, dict[str, Any], str], None]) -> None:
        """Until the end: look. `put_back` rolls back: (served, revision, why, evidence, when)."""
        while not self._app.ended:
            watched = self._bakes or any(served.split is not None for served in self._app.endpoints.values())
            await asyncio.sleep(LOOK_S if watched else INTERVAL_S)
            try:
                if not self._app.ended:
                    self._look(put_back)
            except Exception as error:  # a fault of ours must not end the watch
                self._app.complain(error)

    async def close(self) -> None:
        """Count for the last time and end the log of shadows; nothing is copied any more."""
        for served in self._app.endpoints.values():
            self._count(served)
            served.split = None
        if self._recorder is not None and self._writing is not None:
            flushed = asyncio.Event()
            self._recorder.flush_now(flushed.set)
            await flushed.wait()
            self._writing.shutdown(wait=True)
            self._recorder.shut()

    # Looking

    def _bake(self, served: Served, old: Revision, before: Tally, seconds: float) -> None:
        until = self._app.loop.time() + seconds
        served.warm_until = max(served.warm_until, until + LONGER_S)
        self._bakes[served.name] = Bake(served, old, before, until)

    def _keep(self) -> None:
        """Have the next data plane know which bake periods go on."""
        if list(self._bakes.values()) != self._kept:
            self._kept = list(self._bakes.values())
            ahead = time.time() - self._app.loop.time()
            found = [
                Unfinished(name, bake.revision.number, bake.old.number, bake.until + ahead, bake.watch.before)
                for name, bake in self._bakes.items()
            ]
            self._app.intake.submit(keep, self._app.home, found)

    def _look(self, put_back: Callable[..., None]) -> None:
        now = self._app.loop.time()
        self._interval = now - self._interval_at >= INTERVAL_S
        if self._interval:
            self._interval_at = now
        for name in list(self._bakes):
            self._look_at_bake(name, now, put_back)
        self._keep()
        for served in [each for each in self._app.endpoints.values() if each.split is not None]:
            self._look_at_split(served, now)
        for key in [key for key in self._steps if key[0] not in self._app.endpoints]:
            del self._steps[key]
        if now - self._count_at >= COUNT_S:
            self._count_at = now
            for served in self._app.endpoints.values():
                self._remember(served, now)
                if served.split is not None:
                    self._count(served)
                    self._humble(served)
            if self._recorder is not None:
                self._recorder.rotate()

    def _look_at_bake(self, name: str, now: float, put_back: Callable[..., None]) -> None:
        bake, served = self._bakes[name], self._app.endpoints.get(name)
        if served is None or served.live is not bake.revision:
            del self._bakes[name]
            return
        why = bake.watch.look(tally(bake.revision).since(bake.start), interval=self._interval)
        if not why and now < bake.until:
            return
        del self._bakes[name]
        evidence, at, number = bake.watch.evidence(), _now(), bake.revision.number
        if why:
            put_back(served, bake.old, why, evidence, at)
        else:
            self._tell(lambda: self._serving.was_baked(name, number, evidence, at, ACTOR))

    def _look_at_split(self, served: Served, now: float) -> None:
        split = served.split
        if split is None or served.live is None:
            return
        for arm in split.traffic.arms:
            revision = served.beside.get(arm.revision)
            key = (served.name, arm.name)
            if revision is None or not split.has(arm.name):
                self._steps.pop(key, None)
                continue
            step = self._steps.get(key)
            if step is None or (step.revision, step.live, step.since) != (revision, served.live, split.traffic.since):
                self._steps[key] = Step(served, arm, revision, split.traffic, now)
                continue
            self._look_at_step(served, step, now)

    def _look_at_step(self, served: Served, step: Step, now: float) -> None:
        mine, live = tally(step.revision).since(step.starts[0]), tally(step.live).since(step.starts[1])
        why = step.watch.look(mine, live, self._interval)
        over = step.until is not None and now >= step.until and mine.answered >= LEAST_IN_STEP
        if not why and not over:
            return
        if why and served.split is not None:
            served.split.drop(step.arm.name)
        step.until = None
        evidence, at = {**step.watch.evidence(), "share": step.arm.share}, _now()
        name, number = served.name, step.revision.number
        self._tell(lambda: self._serving.canary_went(name, number, not why, why, evidence, at, ACTOR))

    def _humble(self, served: Served) -> None:
        """Have the processes of shadows work only when others do not want to."""
        for revision in (*served.beside.values(), *served.coming.values()):
            if revision.app is not self._app:
                for worker in revision.workers:
                    humble(worker.pid)

    def _remember(self, served: Served, now: float) -> None:
        """Keep what was counted a minute or two ago, for a bake period that may come."""
        live = served.live
        if live is None or not served.options.bake_s:
            return
        number, _, newer, at = self._before.get(served.name, (0, Tally(), Tally(), 0.0))
        if number != live.number:
            self._before[served.name] = (live.number, Tally(), Tally(), now)
        elif now - at >= BEFORE_S:
            self._before[served.name] = (number, newer, tally(live), now)

    def _lately(self, name: str, old: Revision) -> Tally:
        """What was counted of the revision before in its last minutes; since its start where that is too little."""
        number, older, _, _ = self._before.get(name, (0, Tally(), Tally(), 0.0))
        whole = tally(old)
        late = whole.since(older) if number == old.number else whole
        return late if late.requests >= LEAST_BEFORE else whole

    # Counting

    def _count(self, served: Served) -> None:
        """Have the database add what was counted of arms and shadows since the last time."""
        found = []
        for number, arm, new in self._counts(served):
            key = (served.name, number, arm)
            old = self._counted.get(key, (0, 0, 0))
            if new != old:
                self._counted[key] = new
                answered, failed, dropped = (mine - before for mine, before in zip(new, old, strict=True))
                found.append(
                    Count(
                        endpoint=served.name,
                        revision=number,
                        arm=arm,
                        answered=answered,
                        failed=failed,
                        dropped=dropped,
                    )
                )
                if dropped:
                    self._app.metrics.add("shadow_copies_dropped", dropped, endpoint=served.name)
        if found:
            self._tell(lambda: self._serving.counted(found))

    def _count_from(self, served: Served) -> None:
        """Of what is live, only what comes from now on counts."""
        if served.live is not None:
            counts = tally(served.live)
            self._counted[served.name, served.live.number, LIVE] = (counts.answered, counts.failed, 0)

    def _counts(self, served: Served) -> Iterator[tuple[int, str, tuple[int, int, int]]]:
        split = served.split
        if split is None:
            return
        named = {arm.revision: arm.name for arm in split.traffic.arms}
        shared = [*served.beside.values(), *([served.live] if served.live is not None else [])]
        for revision in shared:
            if revision is served.live or revision.number in named:
                counts = tally(revision)
                arm = LIVE if revision is served.live else named[revision.number]
                yield revision.number, arm, (counts.answered, counts.failed, 0)
        for shadow in split.shadows:
            yield shadow.arm.revision, shadow.arm.name, (shadow.answered, shadow.failed, shadow.dropped)

    def _notes(self) -> Recorder:
        if self._recorder is None:
            app, limits = self._app, self._app.limits
            self._writing = ThreadPoolExecutor(1, "shadows")
            self._recorder = Recorder(
                app.home / SHADOWS, app.loop, self._writing, app.metrics, limits.flush_s, limits.unflushed_rows
            )
        return self._recorder


def tally(revision: Revision) -> Tally:
    """What was counted of a revision since it was made."""
    statuses = revision.series.statuses
    failed = sum(number for status, number in statuses.items() if status == NO_MODEL or status >= 500)
    return Tally(statuses.get(200, 0), failed, revision.deaths, tuple(revision.series.buckets))


def is_up(revision: Revision) -> bool:
    """Whether it answers, perhaps once it is awake."""
    return revision.state in (READY, COLD)


def _now() -> str:
    return to_text(datetime.now(UTC))
