"""Kills one process at one moment: `python -S killing.py HOME`, orders as lines of JSON on stdin.

An order is {"pid": …, "trigger": …, "patience_s": …, "spare": …}. Triggers: "time" at once; "head" when the ledger's head is written
(between the promise and the commit); "wal" when the database's log is; "segment" when a prediction or truth log is;
"rename" when a temporary file appears, and then its writer falls unless a pid is given (`spare` never does). Whatever the trigger, after
`patience_s` the pid falls without it. The answer is {"pid", "command", "trigger", "file", "at"}; `at` in seconds of the
machine's monotonic clock, pid 0 when nobody was there to kill. It is a process of its own so that it is quick.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import signal
import struct
import sys
import time
from pathlib import Path

IN_MODIFY, IN_CREATE = 0x2, 0x100
EVENT = struct.Struct("iIII")
TEMPORARY = re.compile(r"\..*\.(\d+)\.(?:[0-9a-f]+\.)?tmp\Z")
LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """inotify on the folders of an installation."""

    def __init__(self, home: Path, trigger: str) -> None:
        self.handle = LIBC.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._folders: dict[int, str] = {}
        if trigger in ("head", "wal"):
            self._add(home, IN_MODIFY)
        logs = [*(home / "predictions").iterdir(), *(home / "truth").iterdir()]
        for folder in logs if trigger in ("segment", "rename") else []:
            self._add(folder, IN_MODIFY if trigger == "segment" else IN_CREATE)
        for folder in [home, home / "blobs", *(home / "blobs").iterdir()] if trigger == "rename" else []:
            self._add(folder, IN_CREATE)

    def _add(self, folder: Path, mask: int) -> None:
        self._folders[LIBC.inotify_add_watch(self.handle, os.fsencode(folder), mask)] = str(folder)

    def events(self, seconds: float) -> list[tuple[str, str]]:
        """(folder, name) of what happens first; empty when nothing does."""
        if not select.select([self.handle], [], [], max(0.0, seconds))[0]:
            return []
        content, place, found = os.read(self.handle, 1 << 16), 0, []
        while place < len(content):
            watch, _, _, length = EVENT.unpack_from(content, place)
            place += EVENT.size
            found.append((self._folders.get(watch, ""), os.fsdecode(content[place : place + length].rstrip(b"\0"))))
            place += length
        return found


def wanted(trigger: str, name: str, spare: int) -> bool:
    """Whether a file's name is what the trigger waits for."""
    if trigger == "rename":
        writer = TEMPORARY.match(name)
        return writer is not None and int(writer[1]) != spare
    return name == {"head": "ledger.head", "wal": "loopline.db-wal"}.get(trigger, name)


def obey(home: Path, order: dict[str, object]) -> dict[str, object]:
    """Wait for the moment and kill."""
    trigger, pid, spare = str(order["trigger"]), int(str(order["pid"])), int(str(order["spare"]))
    until = time.monotonic() + float(str(order["patience_s"]))
    watch = None if trigger == "time" else Watch(home, trigger)
    while watch is not None:
        events = watch.events(until - time.monotonic())
        file = next((f"{folder}/{name}" for folder, name in events if wanted(trigger, name, spare)), "")
        if file or time.monotonic() > until:
            writer = TEMPORARY.match(os.path.basename(file)) if not pid else None
            os.close(watch.handle)
            return kill(int(writer[1]) if writer else pid, trigger if file else "time", file)
    return kill(pid, "time", "")


def kill(pid: int, trigger: str, file: str) -> dict[str, object]:
    """kill -9 a process of Loopline's; its command line is read before."""
    said: dict[str, object] = {"pid": 0, "command": [], "trigger": trigger, "file": file}
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if pid > 1 and any("loopline" in word for word in command):
            os.kill(pid, signal.SIGKILL)
            said |= {"pid": pid, "command": command}
    except (OSError, ValueError):
        pass
    return said | {"at": time.monotonic()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(obey(Path(sys.argv[1]), json.loads(line))), flush=True)
