"""Making what is served agree with what the database wants: start beside, warm, replace one reference, drain."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from loopline.core.errors import LooplineError, Unavailable
from loopline.core.times import to_text
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.courses import Courses, is_up
from loopline.shells.dataplane.residents import wanted_at_start
from loopline.shells.dataplane.revision import COLD, READY, STOPPED, Revision, fields_of
from loopline.shells.dataplane.served import Served
from loopline.shells.dataplane.unfinished import unfinished
from loopline.usecases.serving.model import Desired
from loopline.usecases.serving.model import Revision as Deployment

ACTOR = "data plane"
POLL_S = 0.1
AFTER_ERROR_S = 1.0


class Plane:
    """Follows the database in one thread of its own; everything else happens on the loop."""

    def __init__(self, app: Application, serving: Any) -> None:
        self._app = app
        self._serving = serving
        self._thread = ThreadPoolExecutor(1, "state")
        self._seen: int | None = None
        self._known: dict[str, Any] = {}
        self._names: set[str] = set()
        self._untold: list[Callable[[], Any]] = []
        self._complained = ""
        self.courses = Courses(app, serving, self._tell)

    async def run(self) -> None:
        """Until cancelled: look for changes ten times a second."""
        loop = self._app.loop
        self._app.spawn(self.courses.run(self._put_back))
        while True:
            try:
                desired = await loop.run_in_executor(self._thread, self._look)
                if desired is not None:
                    self._follow(desired)
                self._complained = ""
            except Exception as error:  # whatever it is: who stops looking serves what is old for ever
                self._complain(error)
                await asyncio.sleep(AFTER_ERROR_S)
            await asyncio.sleep(POLL_S)

    async def first(self) -> None:
        """Look once, before anybody is answered."""
        desired = await self._app.loop.run_in_executor(self._thread, self._look) or []
        for each in desired:
            self._agree(self._app.route(each.endpoint.name), each)
        await self._go_on(desired)
        for name in wanted_at_start(self._app.home, list(self._app.endpoints)):
            live = self._app.endpoints[name].live
            if live is not None:
                live.wake()

    async def _go_on(self, desired: list[Desired]) -> None:
        """Bake periods that the data plane before had begun: the revision before what is live is warm again."""
        wanted = {each.endpoint.name: each for each in desired}
        for kept in unfinished(self._app.home, time.time()):
            each = wanted.get(kept.endpoint)
            served = self._app.endpoints.get(kept.endpoint)
            if each is None or served is None or served.live is None or served.live.number != kept.revision:
                continue
            try:
                old = await self._app.loop.run_in_executor(
                    self._thread, self._serving.revision, kept.endpoint, kept.old
                )
            except LooplineError as error:
                self._complain(error)
                continue
            served.warm = Revision(self._app, each, old)
            served.warm.wake()
            self.courses.resumed(served, served.warm, kept)

    async def close(self) -> None:
        """Tell what is untold; the next start sees the rest by itself."""
        await self.courses.close()
        try:
            await self._app.loop.run_in_executor(self._thread, self._tell_all)
        except Exception as error:
            self._complain(error)
        self._thread.shutdown(wait=True)

    # In the thread

    def _look(self) -> list[Desired] | None:
        self._tell_all()
        number = self._serving.changed()
        if number == self._seen:
            return None
        self._serving.follow()
        known = dict(self._known)  # what is read counts once it has been read as a whole
        desired, self._names = self._serving.changes(known)
        self._known, self._seen = known, number
        found: list[Desired] = desired
        return found

    def _tell_all(self) -> None:
        """What the database refuses for good (an endpoint that was removed meanwhile) must not keep back the rest."""
        while self._untold:
            try:
                self._untold[0]()
            except Unavailable:
                raise
            except LooplineError as error:
                self._complain(error)
            self._untold.pop(0)

    def _tell(self, call: Callable[[], Any]) -> None:
        """Have the database told at the next look; again and again until it takes it."""
        self._untold.append(call)

    # On the loop

    def _follow(self, desired: list[Desired]) -> None:
        """Agree with everything that changed; what goes wrong at one endpoint is tried again, and holds up no other."""
        self._app.tokens.forget()
        wrong: Exception | None = None
        for each in desired:
            try:
                self._agree(self._app.route(each.endpoint.name), each)
            except Exception as error:
                self._seen, wrong = None, error
                self._known.pop(each.endpoint.name, None)
                self._cannot(each, error)
        for name in self._app.endpoints.keys() - self._names:
            self._call_off(self._app.endpoints[name])
            self._app.drop(name)
            self.courses.dropped(name)
        if wrong is not None:
            raise wrong

    def _cannot(self, desired: Desired, error: Exception) -> None:
        """A revision that cannot even be begun has failed; what the system refuses (files, memory) may pass."""
        wanted, live = desired.wanted, desired.live
        if wanted is None or isinstance(error, OSError | MemoryError) or (live and live.revision == wanted.revision):
            return
        name, number, reason = desired.endpoint.name, wanted.revision, f"It cannot be made ready ({error!r})."
        self._tell(lambda: self._serving.went_wrong(name, number, reason[:500], ACTOR))

    def _agree(self, served: Served, desired: Desired) -> None:
        served.has_key = desired.endpoint.key is not None
        served.options = desired.endpoint.options
        for revision in (served.live, served.warm, served.starting, *served.beside.values(), *served.coming.values()):
            if revision is not None and revision.fields == fields_of(desired.endpoint):
                revision.adopt(desired.endpoint.options)
        if served.live is None and desired.live is not None:
            served.live = Revision(self._app, desired, desired.live)  # the first request, or `first`, wakes it
        self._agree_beside(served, desired)
        self.courses.agree(served, desired.endpoint.traffic)
        target = desired.wanted or desired.live
        if target is not None:
            self._agree_target(served, desired, target)

    def _agree_target(self, served: Served, desired: Desired, target: Deployment) -> None:
        """The revision that shall answer does, or is on its way."""
        wish = (target.revision, fields_of(desired.endpoint))
        if _is(served.live, wish):
            self._call_off(served)
            return
        if _is(served.starting, wish) or target.revision == served.refused:
            return
        self._call_off(served)
        for known in (served.warm, served.beside.get(target.revision)):
            if known is not None and _is(known, wish) and known.state == READY and known.app is self._app:
                self._swap(served, known)
                return
        revision = Revision(self._app, desired, target)
        if served.live is not None and served.live.state == COLD and served.live.number == target.revision:
            self._app.leaving.append(served.live)  # nobody uses it: nothing needs to be loaded
            served.live = revision
            return
        served.starting = revision
        revision.wake()
        self._app.spawn(self._bring_up(served, revision))

    def _agree_beside(self, served: Served, desired: Desired) -> None:
        """The revisions of arms and shadows are up, or on their way; those that have no part any more leave."""
        wanted = {each.revision: each for each in desired.beside}
        fields = fields_of(desired.endpoint)
        for held in (served.beside, served.coming):
            for number in [number for number in held if number not in wanted]:
                gone = held.pop(number)
                if gone is not served.live:
                    self._app.leaving.append(gone)
        for number, deployment in wanted.items():
            wish = (number, fields)
            if _is(served.beside.get(number), wish) or _is(served.coming.get(number), wish):
                continue
            warm = served.warm
            if warm is not None and _is(warm, wish) and warm.state == READY:
                served.beside[number], served.warm = warm, None
            elif not _is(served.live, wish):
                self._bring_beside(served, Revision(self.courses.app_for(desired, number), desired, deployment))

    def _bring_beside(self, served: Served, revision: Revision) -> None:
        old = served.coming.pop(revision.number, None)
        if old is not None:
            self._app.leaving.append(old)
        served.coming[revision.number] = revision
        revision.wake()
        self._app.spawn(self._put_beside(served, revision))

    async def _put_beside(self, served: Served, revision: Revision) -> None:
        await revision.changed.wait()
        if served.coming.get(revision.number) is not revision or revision.state == STOPPED:
            return
        del served.coming[revision.number]
        if revision.state == READY:
            old = served.beside.get(revision.number)
            served.beside[revision.number] = revision
            if old is not None and old is not served.live:
                self._app.leaving.append(old)
            self.courses.beside_up(served, revision)
            return
        name, number, reason = served.name, revision.number, revision.reason
        self._app.leaving.append(revision)
        self._tell(lambda: self._serving.went_wrong(name, number, reason, ACTOR))

    async def _bring_up(self, served: Served, revision: Revision) -> None:
        await revision.changed.wait()
        if served.starting is not revision or revision.state == STOPPED:  # at our own end: the next start goes on
            return
        if revision.state == READY:
            self._swap(served, revision)
            return
        served.starting = None
        name, number, reason = served.name, revision.number, revision.reason
        revision.stop()
        if served.live is None or served.live.number != number:
            self._tell(lambda: self._serving.went_wrong(name, number, reason, ACTOR))

    def _swap(self, served: Served, revision: Revision) -> None:
        """The one moment: requests read from now on go to the new revision."""
        old, at = self._replace(served, revision), to_text(datetime.now(UTC))
        name, number = served.name, revision.number
        self._tell(lambda: self._serving.went_live(name, number, at, ACTOR))
        self.courses.swapped(served, old)

    def _replace(self, served: Served, revision: Revision) -> Revision | None:
        """Replace the one reference; the revision before stays warm for a while, and is answered."""
        self.courses.swapping(served)
        before, served.live, served.starting = served.live, revision, None
        served.beside.pop(revision.number, None)
        if served.warm is not None and served.warm is not revision:
            self._app.leaving.append(served.warm)
        old = None if before is not None and before.number in served.beside else before  # an arm goes on with it
        served.warm, served.warm_until = old, self._app.loop.time() + self._app.limits.warm_s
        self._app.metrics.add("swaps")
        return before

    def _put_back(self, served: Served, old: Revision, why: str, evidence: dict[str, Any], at: str) -> None:
        """What is live is worse than what was before it: go back at once, then tell. Until that is told, what the
        database wants is not heeded."""
        name, to = served.name, old.number
        bad = served.present().number
        if old is not served.warm or not is_up(old):
            self._tell(lambda: self._serving.route(name, to, ACTOR))
            return
        served.refused = bad
        self._replace(served, old)

        def told() -> None:
            self._serving.was_rolled_back(name, bad, to, why, evidence, at, ACTOR)
            self._app.loop.call_soon_threadsafe(setattr, served, "refused", None)

        self._tell(told)

    def _call_off(self, served: Served) -> None:
        if served.starting is not None:
            served.starting.stop()
            served.starting = None

    def _complain(self, error: Exception) -> None:
        """Once, however often it is tried again."""
        if str(error) == self._complained:
            return
        self._complained = str(error)
        if isinstance(error, LooplineError | OSError):
            print(f"data plane: {error}", file=sys.stderr, flush=True)
        else:
            self._app.complain(error)


def _is(revision: Revision | None, wish: tuple[int, tuple[Any, ...]]) -> bool:
    """Whether it is that revision, built with those fields."""
    return revision is not None and (revision.number, revision.fields) == wish
