"""The router's end of the nursery: ask for a model's process, and bury it like one of our own."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from loopline.core.programs import SECRET
from loopline.kit.processes import PATIENT_THREADS

if TYPE_CHECKING:
    import asyncio

PR_SET_CHILD_SUBREAPER = 36
THREADS = (
    "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "TORCH_NUM_THREADS",
    "TBB_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


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

    def __init__(self, installation: str) -> None:
        self._installation = installation
        self._asking: asyncio.Lock | None = None
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
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment(1)
            )
        self._socket = ours

    async def born(self, arguments: list[str], handle: int) -> Adopted | None:
        """A new process that runs a model's process with these arguments and that socket."""
        import asyncio

        from loopline.shells.dataplane.frames import decode, encode

        loop = asyncio.get_running_loop()
        self._asking = self._asking or asyncio.Lock()
        async with self._asking:
            for _ in range(2):  # once more when it had died unnoticed
                self.start()
                if self._socket is None:
                    return None
                try:
                    socket.send_fds(self._socket, [encode(arguments)], [handle])
                    told = await loop.sock_recv(self._socket, 64)
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


def environment(threads: int) -> dict[str, str]:
    """What a model's process finds in its environment: no token, for it may run code of a user; each library keeps to its
    number of threads, and idle ones sleep instead of taking the processor from the router."""
    known = {name: value for name, value in os.environ.items() if name not in SECRET}
    return {**known, **dict.fromkeys(THREADS, str(threads)), **PATIENT_THREADS}
