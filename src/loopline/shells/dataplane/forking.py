"""The router's end of the nursery: ask for a model's process, and bury it like one of our own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from loopline.shells.dataplane.frames import decode, encode

PR_SET_CHILD_SUBREAPER = 36


class Adopted:
    """A process that we did not start and whose parent we have become; as `subprocess.Popen` as far as we need it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = False

    def poll(self) -> int | None:
        """None while it runs."""
        if not self._ended:
            try:
                self._ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:
                self._ended = not os.path.exists(f"/proc/{self.pid}")  # not ours yet, or buried already
        return 0 if self._ended else None

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """Starts `shells.dataplane.nursery`, again when it dies. Where it cannot be had, `born` answers None: processes are
    then started the slow way."""

    def __init__(self, loop: Any, installation: str, environment: dict[str, str]) -> None:
        self._loop = loop
        self._installation = installation
        self._environment = environment
        self._asking = asyncio.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it is; on Linux only, where orphans can be adopted. Must run on the loop's own thread."""
        if self._socket is not None or not sys.platform.startswith("linux"):
            return
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            command = [
                sys.executable, "-P", "-m", "loopline.shells.dataplane.nursery", "--installation", self._installation,
                "--parent", str(os.getpid()), "--fd", str(theirs.fileno()),
            ]  # fmt: skip
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=self._environment
            )
        self._socket = ours

    async def born(self, arguments: list[str], handle: int) -> Adopted | None:
        """A new process that runs a model's process with these arguments and that socket."""
        async with self._asking:
            for _ in range(2):  # once more when it had died unnoticed
                self.start()
                if self._socket is None:
                    return None
                try:
                    socket.send_fds(self._socket, [encode(arguments)], [handle])
                    told = await self._loop.sock_recv(self._socket, 64)
                except OSError:
                    told = b""
                if told:
                    return Adopted(decode(told)) if decode(told) else None
                self.stop()
        return None

    def bury_orphans(self) -> None:
        """Children of processes that died become ours: none stays a zombie."""
        if self._socket is None:
            return
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def stop(self) -> None:
        """Let it end."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
