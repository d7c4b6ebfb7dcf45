"""The router's life: take the socket, serve, and on SIGTERM finish what is under way."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.app.surroundings import python_of
from loopline.core.errors import Unavailable
from loopline.kit.durable import write_file
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.forking import Nursery
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.plane import Plane
from loopline.shells.dataplane.protocol import Connection
from loopline.shells.dataplane.takeover import Lock, take_over, warmed
from loopline.usecases.serving.waiting import ADDRESS

if TYPE_CHECKING:
    from loopline.kit.tls import Certificates

TICK_S = 1.0
NURSERY_S = 0.5  # whoever waits for the first answer does not share the processor with it
BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """A listening socket of our own. Unavailable when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Unavailable(f"{host}:{port} cannot be listened on ({error.strerror}).", "Choose another port.") from None
    sock.listen(BACKLOG)
    return sock


def inherited(handle: int) -> socket.socket:
    """The listening socket that the supervisor keeps: connections queue in it while we restart."""
    sock = socket.socket(fileno=handle)
    sock.set_inheritable(False)
    return sock


@dataclass(frozen=True)
class Wanted:
    """How to serve. `replace`: take over from the data plane that runs; `memory`: bytes for models, 0 for a share of the
    machine; `installation` is "module:function" that opens the home folder. With `tls` the socket speaks TLS alone;
    `inner` is a socket for our own processes on this machine, which never does; `nursery` is where models' processes are
    born, perhaps started already."""

    home: Path
    hosts: Hosts
    limits: Limits
    installation: str
    memory: int = 0
    replace: bool = False
    tls: Certificates | None = None
    inner: socket.socket | None = None
    nursery: Nursery | None = None


async def serve(wanted: Wanted, sock: socket.socket, opened: Any, lock: Lock) -> None:
    """Serve until SIGTERM or SIGINT. `opened` is an open installation; its serving part is asked in threads. The lock is
    ours already, unless we shall replace who holds it."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = Application(loop, wanted.home, opened.serving.verify, wanted.hosts, wanted.limits, wanted.installation,
                      wanted.memory)  # fmt: skip
    app.surroundings = partial(python_of, opened)
    app.nursery = wanted.nursery or app.nursery
    plane = Plane(app, opened.serving)
    tasks, server, inner = [loop.create_task(_tick(app))], None, None
    try:
        await plane.first()
        if wanted.replace:
            await warmed(app)
        server = await loop.create_server(lambda: Connection(app), sock=sock, backlog=BACKLOG, **_secured(wanted.tls))
        if wanted.inner is not None:
            inner = await loop.create_unix_server(lambda: Connection(app), sock=wanted.inner, backlog=BACKLOG)
        if wanted.replace:
            await take_over(wanted.home, lock)
        app.truths.begin()
        app.residents.remembering = True
        tasks.append(loop.create_task(plane.run()))
        _announce(wanted.home, sock, "http" if wanted.tls is None else "https")
        if app.endpoints:
            loop.call_later(NURSERY_S, app.nursery.start)  # unless a model needed it before
        gc.collect()
        gc.freeze()  # what is here now stays
        gc.set_threshold(50_000, 20, 100)
        await stopping.wait()
    finally:
        for each in (server, inner):
            if each is not None:
                each.close()
        app.residents.remembering = False
        await drain(app)
        for task in tasks:
            task.cancel()
        await finish(app, plane)


async def drain(app: Application) -> None:
    """Finish what is under way: answers say that the connection closes, idle ones are closed after a moment."""
    app.draining = True
    loop = app.loop
    parent = os.environ.get("LOOPLINE_PARENT")
    orphaned = parent is not None and os.getppid() != int(parent)
    linger = 0.0 if orphaned else app.limits.linger_s  # nobody restarts us: make room for the next start
    start = loop.time()
    while app.connections and loop.time() - start < app.limits.grace_s:
        if loop.time() - start > linger:
            for connection in list(app.connections):
                connection.close_if_idle()
        await asyncio.sleep(0.02)
    for connection in list(app.connections):
        connection.transport.abort()


async def finish(app: Application, plane: Plane) -> None:
    """Flush the logs, tell what is untold, end the models' processes."""
    app.ended = True
    flushed = asyncio.Event()
    app.recorder.flush_now(flushed.set)
    await flushed.wait()
    for revision in list(app.revisions()):
        revision.stop()
    app.nursery.stop()
    await asyncio.sleep(0)
    if app.watch is not None:
        app.watch.close()
    for executor in (app.decoding, app.writing, app.intake, app.asking):
        executor.shutdown(wait=True)
    app.recorder.shut()
    app.truths.shut()
    await plane.close()


async def _tick(app: Application) -> None:
    while True:
        app.tick()
        await asyncio.sleep(TICK_S)


def _secured(tls: Certificates | None) -> dict[str, Any]:
    """How a server is made to speak TLS; who does not finish a handshake is not waited for."""
    return {} if tls is None else {"ssl": tls.context, "ssl_handshake_timeout": 10.0}


def _announce(home: Path, sock: socket.socket, scheme: str) -> None:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}"
    write_file(home / ADDRESS, json.dumps({"url": url, "pid": os.getpid()}).encode(), 0o600)
    print(f"data plane: {url}", file=sys.stderr, flush=True)
