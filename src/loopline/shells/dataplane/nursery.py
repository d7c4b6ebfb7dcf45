"""Where models' processes come from: a process of one thread that has imported what all of them need, and forks.

A model's process then starts in a few milliseconds instead of the time that numpy takes, and shares those pages with all
others. Nothing of any model and no code of a user is ever loaded here. Each process is forked twice, so that it becomes a
child of the router (which adopts orphans): what happens to this process afterwards is nothing to it.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from loopline.kit.processes import die_with_parent
from loopline.shells.dataplane.frames import decode, encode

MOST_BYTES = 1 << 16
ADOPTION_S = 10.0
COMMON = (
    "numpy", "sqlite3", "loopline.app.wiring", "loopline.usecases.serving.service", "loopline.usecases.registry.service",
    "loopline.adapters.databases.sqlite", "loopline.shells.dataplane.model_process",
)  # fmt: skip


def prepare(installation: str) -> None:
    """Import what models' processes need, whatever the model; what is missing is imported by whoever needs it."""
    for name in (*COMMON, installation.partition(":")[0]):
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the first collection of each process would copy the pages


def alone() -> bool:
    """Whether this process has one thread: only then may it fork."""
    return len(os.listdir("/proc/self/task")) == 1


def bear(router: socket.socket, parent: int, content: bytes, handles: list[int]) -> None:
    """Fork a process for one model and say its number; 0 when that is not possible."""
    pid = os.fork() if alone() else -1
    if pid < 0:
        router.send(encode(0))
    elif pid == 0:
        child = os.fork()
        if child:
            router.send(encode(child))
            os._exit(0)
        router.close()
        _live(parent, decode(content), handles[0])
    else:
        os.waitpid(pid, 0)
    for handle in handles:
        os.close(handle)


def _live(parent: int, arguments: list[str], handle: int) -> NoReturn:
    code = 1
    try:
        deadline = time.monotonic() + ADOPTION_S
        while os.getppid() != parent and time.monotonic() < deadline:
            time.sleep(0.0005)
        gc.unfreeze()
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        main: Callable[[Sequence[str]], int] = importlib.import_module("loopline.shells.dataplane.model_process").main
        code = main([*arguments, "--fd", str(handle)])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main(given: Sequence[str] | None = None) -> int:
    """Fork what the router asks for until it lets go."""
    parser = argparse.ArgumentParser(prog="loopline.shells.dataplane.nursery")
    parser.add_argument("--installation", required=True)
    parser.add_argument("--fd", required=True, type=int)
    parser.add_argument("--parent", required=True, type=int)
    arguments = parser.parse_args(given)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(arguments.parent)
    prepare(arguments.installation)
    router = socket.socket(fileno=arguments.fd)
    while True:
        content, handles, _, _ = socket.recv_fds(router, MOST_BYTES, 1)
        if not content:
            return 0
        bear(router, arguments.parent, content, handles)


if __name__ == "__main__":
    sys.exit(main())
