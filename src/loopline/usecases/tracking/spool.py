"""What was logged while Loopline was away, kept on disk until it is delivered, each piece exactly once.

Every piece may be sent again: a run is begun by its id, a batch carries an id of its own, the rest replaces itself.
Lines survive the end of the process (also by kill -9) as soon as they are written; they are not fsynced.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from loopline.core.errors import LooplineError, Unavailable

LARGEST = 64 << 20  # bytes for one run; metrics beyond are counted and left out


class Client(Protocol):
    """How the verbs are reached."""

    def call(self, name: str, /, **fields: Any) -> Any: ...


class Line(msgspec.Struct):
    """One call that waits for delivery."""

    verb: str
    fields: dict[str, Any]


class Delivered(msgspec.Struct):
    """What a delivery did: calls that arrived and that were refused, runs that still wait."""

    sent: int = 0
    refused: int = 0
    waiting: int = 0


def folder() -> Path:
    """Where spools lie: LOOPLINE_SPOOL, else in the user's data folder."""
    named = os.environ.get("LOOPLINE_SPOOL")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(named) if named else Path(data) / "loopline" / "spool"


class Spool:
    """The waiting calls of one run. The file is locked while the run lives, so that nobody delivers half of it."""

    def __init__(self, run_id: str) -> None:
        self._path = folder() / f"{run_id}.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: IO[bytes] = open(self._path, "ab", buffering=0)  # noqa: SIM115  (lives as long as the run)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.dropped = 0

    def add(self, verb: str, fields: dict[str, Any]) -> None:
        """Write a call down."""
        if self._file.tell() > LARGEST and verb != "tracking.finish":
            self.dropped += len(fields.get("metrics", ())) or 1
            return
        if self.dropped and verb == "tracking.finish":
            tags = {"loopline.dropped": str(self.dropped)}
            self._write(Line("tracking.log", {"run_id": fields["run_id"], "tags": tags}))
        self._write(Line(verb, fields))

    def deliver(self, client: Client) -> bool:
        """Send all; answers whether nothing waits any more."""
        found = sent(client, self._path)
        if found.waiting:
            return False
        self._path.unlink(missing_ok=True)
        self.close()
        return True

    def close(self) -> None:
        """Leave the file to `loopline sync`."""
        self._file.close()

    def _write(self, line: Line) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")


def synced(client: Client) -> Delivered:
    """Deliver the spools of all runs that are over (also those of processes that died)."""
    total = Delivered()
    for path in sorted(folder().glob("*.jsonl")) if folder().is_dir() else ():
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # its run is still alive
                total.waiting += 1
                continue
            found = sent(client, path)
            if not found.waiting:
                path.unlink(missing_ok=True)
        total.sent += found.sent
        total.refused += found.refused
        total.waiting += found.waiting
    return total


def sent(client: Client, path: Path) -> Delivered:
    """Send the calls of one file in order; those refused are put aside, the first that finds nobody ends it."""
    found = Delivered()
    for content, line in lines(path):
        try:
            client.call(line.verb, **line.fields)
            found.sent += 1
        except Unavailable:
            found.waiting = 1
            return found
        except LooplineError as error:
            found.refused += 1
            with open(path.with_suffix(".refused"), "ab") as aside:
                aside.write(content.rstrip(b"\n") + b"  " + str(error).encode() + b"\n")
    return found


def lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    """The calls in a file; a last line that was cut short never counted."""
    with open(path, "rb") as file:
        for content in file:
            try:
                yield content, msgspec.json.decode(content, type=Line)
            except msgspec.DecodeError:
                continue
