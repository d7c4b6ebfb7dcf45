"""The router's end of a model's process: start it, talk to it, see it die, end it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from loopline.shells.dataplane.forking import Adopted, Nursery, environment
from loopline.shells.dataplane.frames import FAILED, READY, Reader, framed


@dataclass(frozen=True)
class Source:
    """How a model's process finds its model. `installation` is "module:function" that opens a home folder; `threads` is
    what its libraries may use; `python` the interpreter of the model's own environment, None for ours."""

    home: Path
    endpoint: str
    revision: int
    model: str
    version: int
    installation: str
    threads: int = 1
    python: str | None = None
    inline: bool = False  # whether the model's bytes are wanted, to run it in the router


class Listener(Protocol):
    """Who is told what a model's process does."""

    def on_ready(self, told: dict[str, Any]) -> None: ...
    def on_failed(self, reason: str) -> None: ...
    def on_answer(self, number: int, predictions: Any, faults: list[Any], explained: Any = None) -> None: ...
    def on_lost(self) -> None: ...


class Link(asyncio.Protocol):
    """One process. Its socket is unnamed and handed down, so nobody else can reach it, and its end is seen at once."""

    def __init__(self, source: Source, listener: Listener, nursery: Nursery | None = None) -> None:
        self.pid = 0
        self._nursery = nursery
        self._source = source
        self._listener = listener
        self._reader = Reader()
        self._transport: Any = None
        self._process: subprocess.Popen[bytes] | Adopted | None = None
        self._stopped = False

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the process; `on_ready` or `on_failed` follows. Must run on the loop's own thread, whose death ends
        the process."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await self._forked(theirs.fileno()) or self._spawned(theirs.fileno())
        self.pid = self._process.pid
        if self._stopped:  # called off meanwhile
            self._process.kill()
        ours.setblocking(False)
        await loop.create_connection(lambda: self, sock=ours)

    def send(self, number: int, packed: list[Any], explain: bool = False) -> None:
        """Send one batch; `on_answer` follows."""
        self._transport.write(framed([number, packed, explain]))

    def stop(self) -> None:
        """Let the process end by itself."""
        self._stopped = True
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End a process that hangs; `on_lost` follows, also where something that it started still holds its socket."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    def ended(self) -> bool:
        """Whether the process is gone (and buried)."""
        return self._process is None or self._process.poll() is not None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._stopped:  # called off while it was being started
            transport.close()

    def data_received(self, data: bytes) -> None:
        for message in self._reader.feed(data):
            if message[0] == READY:
                self._listener.on_ready(message[1])
            elif message[0] == FAILED:
                self._listener.on_failed(message[1])
            else:
                self._listener.on_answer(*message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.on_lost()

    async def _forked(self, handle: int) -> Adopted | None:
        """The quick way, for models that need nothing of their own in the environment."""
        source = self._source
        if self._nursery is None or source.python is not None or source.threads != 1:
            return None
        return await self._nursery.born(self._arguments(), handle)

    def _spawned(self, handle: int) -> subprocess.Popen[bytes]:
        python = self._source.python or sys.executable
        command = [python, "-P", "-m", "loopline.shells.dataplane.model_process", *self._arguments()]
        return subprocess.Popen(
            [*command, "--fd", str(handle)], pass_fds=[handle], stdin=subprocess.DEVNULL,
            env=environment(self._source.threads),
        )  # fmt: skip

    def _arguments(self) -> list[str]:
        source = self._source
        return [
            "--parent", str(os.getpid()), "--home", str(source.home), "--endpoint", source.endpoint,
            "--revision", str(source.revision), "--model", source.model, "--version", str(source.version),
            "--installation", source.installation, *(["--inline"] if source.inline else []),
        ]  # fmt: skip
