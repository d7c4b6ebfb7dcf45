"""The router's life: take the socket, serve, and on SIGTERM finish what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from loopline.core.errors import Unavailable
from loopline.kit.durable import write_file
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.plane import Plane
from loopline.shells.dataplane.protocol import Connection
from loopline.usecases.serving.waiting import ADDRESS, LOCK

TICK_S = 1.0
LOCK_WAIT_S = 30.0
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


@contextlib.contextmanager
def only_one(home: Path) -> Any:
    """Hold the installation's lock; a predecessor that is still draining is waited for. Unavailable when it stays."""
    (home / LOCK).parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"Another data plane serves {home}.", "Stop it first.") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


async def serve(home: Path, sock: socket.socket, opened: Any, hosts: Hosts, limits: Limits, installation: str) -> None:
    """Serve until SIGTERM or SIGINT. `opened` is an open installation; its serving part is asked in threads."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = Application(loop, home, opened.serving.verify, hosts, limits, installation)
    plane = Plane(app, opened.serving)
    await plane.first()
    following = loop.create_task(plane.run())
    ticking = loop.create_task(_tick(app))
    server = await loop.create_server(lambda: Connection(app), sock=sock, backlog=BACKLOG)
    _announce(home, sock)
    gc.collect()
    gc.freeze()  # what is here now stays
    gc.set_threshold(50_000, 20, 100)
    try:
        await stopping.wait()
    finally:
        server.close()
        await drain(app)
        for task in (following, ticking):
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


def _announce(home: Path, sock: socket.socket) -> None:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    write_file(home / ADDRESS, json.dumps({"url": url, "pid": os.getpid()}).encode(), 0o600)
    print(f"data plane: {url}", file=sys.stderr, flush=True)
