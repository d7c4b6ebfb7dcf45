"""What the data plane answers: routes, who may use them, and what each endpoint serves just now."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane.answers import TEXT, Fault, json_answer, unavailable
from loopline.shells.dataplane.bodies import WANTED, unpack
from loopline.shells.dataplane.doors import fixed, routes
from loopline.shells.dataplane.exchange import Exchange
from loopline.shells.dataplane.forking import Nursery
from loopline.shells.dataplane.gauges import gauges
from loopline.shells.dataplane.heads import Heads
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.keys import within
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.link import Link
from loopline.shells.dataplane.metrics import Metrics
from loopline.shells.dataplane.protocol import Connection
from loopline.shells.dataplane.rates import Rates
from loopline.shells.dataplane.recorder import Recorder
from loopline.shells.dataplane.residents import Residents
from loopline.shells.dataplane.revision import COLD, READY, Revision
from loopline.shells.dataplane.served import Served
from loopline.shells.dataplane.tokens import Tokens
from loopline.shells.dataplane.truths import Truths
from loopline.shells.dataplane.watch import TRACEPARENT, Watch, watch_of
from loopline.usecases.serving.records.ids import Ids

VERSION: str = import_module("loopline").__version__
Route = tuple[str, Role, Callable[..., None], tuple[Any, ...]]


class Application:
    """Everything that connections share. All of it lives on the loop."""

    def __init__(
        self, loop: Any, home: Path, verify: Callable[[str], Caller | None], hosts: Hosts, limits: Limits,
        installation: str, memory: int = 0,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.home = home
        self.limits = limits
        self.installation = installation
        self.now: float = loop.time()
        self.runs_inline = True  # a shadow's may not: the router's time is its callers'
        self.draining = False
        self.ended = False
        self.buffered = 0  # bytes of bodies that are not whole yet
        self.aside = 0  # bytes of bodies that are being decoded in the thread for that
        self.wanted_headers: set[bytes] = set(WANTED)
        self.metrics = Metrics()
        self.ids = Ids()
        self.anyone = Caller("anyone", Role.VIEWER)
        self.connections: set[Connection] = set()
        self.endpoints: dict[str, Served] = {}
        self.leaving: list[Revision] = []
        self.awake: set[Revision] = set()  # those that have processes
        self.writing = ThreadPoolExecutor(1, "predictions")
        self.intake = ThreadPoolExecutor(1, "truth")
        self.asking = ThreadPoolExecutor(1, "tokens")
        self.decoding = ThreadPoolExecutor(1, "decoding")
        self.tokens = Tokens(verify, loop, self.asking)
        self.heads = Heads()
        self.rates = Rates()
        self.recorder = Recorder(home, loop, self.writing, self.metrics, limits.flush_s, limits.unflushed_rows)
        self.truths = Truths(home, loop, self.intake, self.ids.writer)
        self.surroundings: Callable[[str, int], str] | None = None  # which interpreter a revision runs in
        self.nursery = Nursery(installation)
        self.residents = Residents(self, memory)
        self.check_host = hosts.check
        self.watch: Watch | None = watch_of(loop, self.asking)
        if self.watch is not None:
            self.want_header(TRACEPARENT)
        self._dying: list[Link] = []
        self._running: set[Any] = set()
        self._routes: dict[bytes, dict[bytes, Route]] = dict(self._fixed())

    # Connections ask these

    def joined(self, connection: Connection) -> bool:
        """Take a new connection; False when there are too many."""
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections

    def left(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)

    def want_header(self, name: bytes) -> None:
        """Have exchanges carry one more header, in lower case; heads that were read without it are read again."""
        if name not in self.wanted_headers:
            self.wanted_headers.add(name)
            self.heads = Heads()

    def is_open(self, path: bytes) -> bool:
        """Whether anybody may ask."""
        return path == b"/health"

    def dispatch(self, exchange: Exchange) -> None:
        """Answer a request that is whole and whose caller is known, now or later."""
        try:
            caller = exchange.caller
            if caller is None or caller.endpoints is None:
                role, call, arguments = self._found(exchange)
            else:
                role, call, arguments = within(caller.endpoints, exchange.path, lambda: self._found(exchange))
            if caller is None or caller.role < role:
                raise Fault(403, f"This needs the role {role.name.lower()}.", "Use a token that has it.")
            if arguments and arguments[0].options.rate and role is Role.VIEWER and exchange.method == b"POST":
                self.rates.check(exchange, arguments[0], self.loop.time())
            if b"content-encoding" in exchange.headers and exchange.body:
                unpack(self, exchange, lambda: call(exchange, *arguments))
            else:
                call(exchange, *arguments)
        except Exception as error:
            self.failed(exchange, error)

    def attempt(self, exchange: Exchange, work: Callable[[], None]) -> None:
        """Go on with a request whose body has been decoded aside."""
        try:
            work()
        except Exception as error:
            self.failed(exchange, error)

    def failed(self, exchange: Exchange, error: Exception) -> None:
        """Answer a Fault; of a fault of ours the client learns its number, the log the rest."""
        if isinstance(error, Fault):
            exchange.refuse(error)
            return
        number = self.complain(error)
        exchange.refuse(Fault(400, "The request cannot be understood.", f"The server's log has it as {number}."))

    def complain(self, error: Exception) -> str:
        """Write a fault of ours to the log; answers the number under which it is found there."""
        number = self.ids.next(False)
        told = "".join(traceback.format_exception(error))
        print(f"request {number} failed:\n{told}", file=sys.stderr, flush=True)
        return number

    # Revisions ask these

    def is_live(self, revision: Revision) -> bool:
        """Whether requests go to it: all, or those of an arm."""
        served = self.endpoints.get(revision.endpoint)
        if served is None:
            return False
        return served.live is revision or served.beside.get(revision.number) is revision

    def revisions(self) -> Iterator[Revision]:
        """All that may have processes."""
        for served in self.endpoints.values():
            for revision in (
                served.live,
                served.starting,
                served.warm,
                *served.beside.values(),
                *served.coming.values(),
            ):
                if revision is not None:
                    yield revision
        yield from self.leaving

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it is kept from the garbage collector until it ends."""
        running = self.loop.create_task(work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    def bury(self, link: Link) -> None:
        """Wait for the end of a process, in the background."""
        self._dying.append(link)

    # Routes

    def route(self, name: str) -> Served:
        """The endpoint of that name, which gets its routes at first."""
        if name not in self.endpoints:
            served = self.endpoints[name] = Served(name)
            for path, methods in self._of(served):
                self._routes[path] = methods
        return self.endpoints[name]

    def seen_by(self, caller: Caller | None) -> list[Served]:
        """The endpoints that are there for a caller: a token may be limited to some."""
        names = caller.endpoints if caller else None
        return [served for served in self.endpoints.values() if names is None or served.name in names]

    def drop(self, name: str) -> None:
        """An endpoint was retired: its routes go, and its revisions as soon as they have answered."""
        served = self.endpoints.pop(name)
        for path, _ in self._of(served):
            self._routes.pop(path, None)
        found = (served.live, served.warm, *served.beside.values(), *served.coming.values())
        self.leaving += [revision for revision in found if revision is not None]

    def tick(self) -> None:
        """Once a second: time, slow connections, waiting and leaving revisions."""
        self.now = self.loop.time()
        for connection in list(self.connections):
            connection.expired(self.now)
        for served in self.endpoints.values():
            if served.warm is not None and self.now > served.warm_until and served.warm.idle():
                served.warm.stop()
                served.warm = None
        for revision in list(self.awake):
            revision.watch(self.now)
        for revision in [each for each in self.leaving if each.idle()]:
            revision.stop()
            self.leaving.remove(revision)
        self._dying = [link for link in self._dying if not link.ended()]
        self.nursery.bury_orphans()
        self.residents.tick(self.now)
        self.recorder.rotate()
        self.truths.rotate()

    def _found(self, exchange: Exchange) -> tuple[Role, Callable[..., None], tuple[Any, ...]]:
        methods = self._routes.get(exchange.path)
        if methods is None:
            path = exchange.path.split(b"?", 1)[0]
            if path.startswith((b"http://", b"https://")):
                path = b"/" + path.split(b"/", 3)[-1] if path.count(b"/") > 2 else b"/"
            methods = self._routes.get(path) or self._alone(path, exchange.caller) or self._versioned(path)
        if methods is None:
            raise Fault(404, f"There is nothing at {_shown(exchange.path)}.", self._hint(exchange.path))
        route = methods.get(b"GET" if exchange.method == b"HEAD" else exchange.method)
        if route is None:
            allowed = b", ".join(methods)
            raise Fault(
                405,
                f"{_shown(exchange.path)} takes {allowed.decode()}.",
                "Use that method.",
                b"allow: %b\r\n" % allowed,
            )
        return route[1], route[2], route[3]

    def _alone(self, path: bytes, caller: Caller | None) -> dict[bytes, Route] | None:
        """`/invocations` of the only endpoint that the caller may ask."""
        if path != b"/invocations":
            return None
        names = [served.name for served in self.seen_by(caller)]
        if len(names) != 1:
            raise Fault(404, f"/invocations needs exactly one endpoint; there are {len(names)}.",
                        "Ask /endpoints/{endpoint}/invocations.")  # fmt: skip
        return self._routes[b"/endpoints/%b/invocations" % names[0].encode()]

    def _versioned(self, path: bytes) -> dict[bytes, Route] | None:
        """`/v2/models/{endpoint}/versions/{version}/…` for the version that is live."""
        parts = path.split(b"/")
        if len(parts) not in (6, 7) or parts[:3] != [b"", b"v2", b"models"] or parts[4] != b"versions":
            return None
        served = self.endpoints.get(parts[3].decode("ascii", "replace"))
        if served is None:
            return None
        live = served.live
        if live is None or str(live.version).encode() != parts[5]:
            raise Fault(404, f"Endpoint {served.name!r} does not serve version {_shown(parts[5])} now.",
                        f"It serves version {live.version}." if live else "It serves none yet.")  # fmt: skip
        return self._routes.get(b"/".join(parts[:4] + parts[6:]))

    def _hint(self, path: bytes) -> str:
        if b"/v1/endpoints/" in path or b"/v2/models/" in path:
            known = ", ".join(sorted(self.endpoints)[:20]) or "none yet"
            return f"Endpoints are: {known}."
        return "Predictions are at /v1/endpoints/{endpoint}/predict and /v2/models/{endpoint}/infer."

    def _fixed(self) -> list[tuple[bytes, dict[bytes, Route]]]:
        def get(call: Callable[..., None]) -> dict[bytes, Route]:
            return {b"GET": ("GET", Role.VIEWER, call, ())}

        return [
            (b"/health", get(lambda exchange: json_answer(exchange, {"status": "ok"}))),
            (b"/metrics", get(self._metrics)),
            (b"/v2", get(self._described)),
            (b"/v2/health/live", get(lambda exchange: json_answer(exchange, {"live": True}))),
            (b"/v2/health/ready", get(self._ready)),
            *((path, get(partial(call, self))) for path, call in fixed()),
        ]

    def _of(self, served: Served) -> list[tuple[bytes, dict[bytes, Route]]]:
        found: dict[bytes, dict[bytes, Route]] = {}
        for path, method, role, call in routes(served.name.encode()):
            found.setdefault(path, {})[method] = (method.decode(), role, partial(call, self), (served,))
        return list(found.items())

    # Answers

    def _described(self, exchange: Exchange) -> None:
        json_answer(exchange, {"name": "loopline", "version": VERSION, "extensions": ["binary_tensor_data"]})

    def _ready(self, exchange: Exchange) -> None:
        asked = self.seen_by(exchange.caller)
        late = [served.name for served in asked if served.live and served.live.state not in (READY, COLD)]
        if late:
            raise unavailable(f"Not ready yet: {', '.join(late)}.")
        json_answer(exchange, {"ready": True})

    def _metrics(self, exchange: Exchange) -> None:
        exchange.reply(200, self.metrics.text(gauges(self)).encode(), kind=TEXT)


def _shown(path: bytes) -> str:
    return path[:100].decode("ascii", "replace")
