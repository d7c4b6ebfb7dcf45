"""Calls that wait for delivery, on disk: one journal a process, as files that are locked while their writer lives.

A line survives the end of the process (also by kill -9) as soon as `add` returned; it is not fsynced. A file is written
to its end, then cut off and delivered as a whole while the next one is written; so the same file always falls into the
same batches, and what is sent again after a crash is known again by its batch.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

LARGEST = 64 << 20  # bytes of lines that wait in one journal; points beyond are counted and left out
LARGEST_FILES = 8 << 30  # bytes of files that wait in one journal
NOWHERE = "0" * 12
living: set[str] = set()  # names of this process's journals: some file systems give a process its own locks twice
_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct):
    """One call that waits for delivery. A field `content_file` names the file of the spool that holds the content."""

    verb: str
    fields: dict[str, Any]


class Journal:
    """The waiting calls of this process for one target. Not thread-safe: its owner guards it."""

    def __init__(self, target: str = "", place: Path | None = None) -> None:
        self._folder = place
        self._mark = mark_of(target)
        self.dropped: dict[str, int] = {}
        self.name = ""
        self._fresh()

    def _fresh(self) -> None:
        living.discard(self.name)
        self.name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{os.urandom(4).hex()}-{self._mark}"
        self._handle = -1
        self._size = 0
        self._files = 0
        self._number = 0
        self._path = Path()
        self._lived: set[str] = set()
        self.cut_off: list[tuple[Path, int, int]] = []  # path, handle and size of what is written to its end
        self._bytes = 0

    def add(self, verb: str, fields: dict[str, Any], always: bool = False) -> bool:
        """Write a call down; False when there is no room, and it is counted under the run it was for."""
        content = _encode({"verb": verb, "fields": fields}) + b"\n"
        if self._bytes + len(content) > LARGEST and not always:
            return self.drop(fields)
        try:
            if self._handle < 0:
                self._open()
            self._append(content)
        except OSError:  # the disk is full or gone: the training goes on
            return self.drop(fields)
        return True

    def place(self, size: int) -> Path:
        """A path beside the journal for a file of `size` bytes; raises OSError when there is no room."""
        if self._files + size > LARGEST_FILES:
            raise OSError("the spool is full")
        if self._handle < 0:
            self._open()
        self._files += size
        return self.folder / f"{self.name}.{os.urandom(6).hex()}.file"

    def lives(self, run_id: str) -> None:
        """Note that this process has begun a run, so that whoever finds the journal can end it."""
        try:
            if self._handle < 0:
                self._open()
            (self.folder / f"{self.name}.{run_id}.open").touch()
        except OSError:
            return
        self._lived.add(run_id)

    def ended(self, run_id: str) -> None:
        """Forget a run that was begun here."""
        self._lived.discard(run_id)
        (self.folder / f"{self.name}.{run_id}.open").unlink(missing_ok=True)

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        if self._folder is None:
            self._folder = usable_folder()
        return self._folder

    @property
    def waits(self) -> bool:
        """Whether anything was written that is not delivered."""
        return bool(self._size or self.cut_off)

    def cut(self) -> None:
        """End the current file, so that it can be delivered; what comes next goes to another one."""
        if self._size:
            ended = (self._path, self._handle, self._size)
            try:
                self._open()  # first: a journal that lives has a locked file at any moment
            except OSError:
                self._handle, self._size = -1, 0
            self.cut_off.append(ended)

    def delivered(self) -> None:
        """The first of the files cut off has arrived."""
        path, handle, size = self.cut_off.pop(0)
        self._bytes -= size
        for kept in files_of(path):
            self._files -= min(kept.stat().st_size if kept.exists() else 0, self._files)
            kept.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        os.close(handle)

    def leave(self) -> None:
        """Give back all locks: what is delivered vanishes, what waits is left to `loopline sync`."""
        empty = self._handle >= 0 and not self._size
        if empty and not self._lived:
            self._path.unlink(missing_ok=True)
        self.forsake()

    def forsake(self) -> None:
        """Let go of the files of the process that this one was forked from, or of what `leave` leaves."""
        for handle in (self._handle, *(one[1] for one in self.cut_off)):
            if handle >= 0:
                os.close(handle)
        self.dropped = {}
        self._fresh()

    def _open(self) -> None:
        living.add(self.name)
        while True:
            self._number += 1
            path = self.folder / f"{self.name}.{self._number:06d}.jsonl"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            handle = os.open(path, flags, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # somebody looks at it just now and will remove it
                os.close(handle)
                continue
            if os.fstat(handle).st_nlink:
                self._path, self._handle, self._size = path, handle, 0
                return
            os.close(handle)

    def _append(self, content: bytes) -> None:
        written = os.write(self._handle, content)
        if written < len(content):
            os.ftruncate(self._handle, self._size)
            raise OSError("the disk is full")
        self._size += written
        self._bytes += written

    def drop(self, fields: dict[str, Any]) -> bool:
        """Count what finds no room under the run it was for; answers False."""
        run_id = str(fields.get("run_id", ""))
        self.dropped[run_id] = self.dropped.get(run_id, 0) + (len(fields.get("metrics") or ()) or 1)
        return False


def mark_of(target: str) -> str:
    """12 hexadecimal digits for the place that calls are for; zeros for one that has no name."""
    return blake3(target.encode(errors="surrogatepass")).hexdigest()[:12] if target else NOWHERE


def folder() -> Path:
    """Where spools lie: LOOPLINE_SPOOL, else in the user's data folder."""
    named = os.environ.get("LOOPLINE_SPOOL")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(named) if named else Path(data) / "loopline" / "spool"


def second_folder() -> Path:
    """Where spools lie when the first folder cannot be written."""
    return Path(tempfile.gettempdir()) / f"loopline-spool-{os.getuid()}"


def usable_folder() -> Path:
    """The first of both folders that can be made and written by this user; raises OSError when none can."""
    try:
        return made(folder())
    except OSError:
        return made(second_folder())


def made(place: Path) -> Path:
    """The folder, for its owner's eyes; raises OSError when it is not ours to write."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(place, os.W_OK) or place.stat().st_uid != os.getuid():
        raise PermissionError(13, "not writable", str(place))
    return place


def lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    """The calls in a file; a last line that was cut short never counted."""
    decode = msgspec.json.Decoder(Line).decode
    with open(path, "rb") as file:
        for content in file:
            try:
                yield content, decode(content)
            except msgspec.DecodeError:
                continue


def files_of(path: Path) -> list[Path]:
    """The files that the calls in a file refer to."""
    found = []
    with open(path, "rb") as file:
        for content in file:
            if b'"content_file"' in content:
                try:
                    name = msgspec.json.decode(content, type=Line).fields.get("content_file", "")
                except msgspec.DecodeError:
                    continue
                if isinstance(name, str) and name and "/" not in name:
                    found.append(path.with_name(name))
    return found
