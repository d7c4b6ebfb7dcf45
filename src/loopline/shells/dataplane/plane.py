"""Making what is served agree with what the database wants: start beside, warm, replace one reference, drain."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.times import to_text
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.revision import READY, STOPPED, Revision, fields_of
from loopline.shells.dataplane.served import Served
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
        self._untold: list[Callable[[], Any]] = []
        self._complained = ""

    async def run(self) -> None:
        """Until cancelled: look for changes ten times a second."""
        loop = self._app.loop
        while True:
            try:
                desired = await loop.run_in_executor(self._thread, self._look)
                if desired is not None:
                    self._app.tokens.forget()
                    for each in desired:
                        self._agree(self._app.route(each.endpoint.name), each)
                    for name in self._app.endpoints.keys() - {each.endpoint.name for each in desired}:
                        self._call_off(self._app.endpoints[name])
                        self._app.drop(name)
                self._complained = ""
            except (LooplineError, OSError) as error:
                self._complain(str(error))
                await asyncio.sleep(AFTER_ERROR_S)
            await asyncio.sleep(POLL_S)

    async def first(self) -> None:
        """Look once, before anybody is answered."""
        for each in await self._app.loop.run_in_executor(self._thread, self._look) or []:
            self._agree(self._app.route(each.endpoint.name), each)

    async def close(self) -> None:
        """Tell what is untold; the next start sees the rest by itself."""
        with contextlib.suppress(LooplineError, OSError):
            await self._app.loop.run_in_executor(self._thread, self._tell_all)
        self._thread.shutdown(wait=True)

    # In the thread

    def _look(self) -> list[Desired] | None:
        self._tell_all()
        number = self._serving.changed()
        if number == self._seen:
            return None
        self._serving.follow()
        desired: list[Desired] = self._serving.desired()
        self._seen = number
        return desired

    def _tell_all(self) -> None:
        while self._untold:
            self._untold[0]()
            self._untold.pop(0)

    def _tell(self, call: Callable[[], Any]) -> None:
        """Have the database told at the next look; again and again until it takes it."""
        self._untold.append(call)

    # On the loop

    def _agree(self, served: Served, desired: Desired) -> None:
        served.has_key = desired.endpoint.key is not None
        served.options = desired.endpoint.options
        fields = fields_of(desired.endpoint)
        if served.live is None and desired.live is not None:
            served.live = self._started(desired, desired.live)  # requests wait for it
        target = desired.wanted or desired.live
        if target is None:
            return
        if served.live is not None and (served.live.number, served.live.fields) == (target.revision, fields):
            self._call_off(served)
        elif served.starting is None or (served.starting.number, served.starting.fields) != (target.revision, fields):
            self._call_off(served)
            warm = served.warm
            if warm is not None and (warm.number, warm.fields, warm.state) == (target.revision, fields, READY):
                self._swap(served, warm)
            else:
                served.starting = self._started(desired, target)
                self._app.spawn(self._bring_up(served, served.starting))

    def _started(self, desired: Desired, deployment: Deployment) -> Revision:
        revision = Revision(self._app, desired, deployment)
        self._app.spawn(revision.start())
        return revision

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
        old, served.live, served.starting = served.live, revision, None
        at = to_text(datetime.now(UTC))
        if served.warm is not None and served.warm is not revision:
            self._app.leaving.append(served.warm)
        served.warm, served.warm_until = old, self._app.loop.time() + self._app.limits.warm_s
        self._app.metrics.add("swaps")
        name, number = served.name, revision.number
        self._tell(lambda: self._serving.went_live(name, number, at, ACTOR))

    def _call_off(self, served: Served) -> None:
        if served.starting is not None:
            served.starting.stop()
            served.starting = None

    def _complain(self, text: str) -> None:
        if text != self._complained:
            self._complained = text
            print(f"data plane: {text}", file=sys.stderr, flush=True)
