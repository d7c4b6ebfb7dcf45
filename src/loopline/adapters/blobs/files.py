"""Blobs as files: blobs/ab/cdef…, written once, checked when read.

The time of last access is set by us, and says when a blob was last put or asked for; the time of change is never touched.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from loopline.adapters.blobs.syncing import Syncing, sync_file
from loopline.core.errors import Invalid, NotFound, Unavailable
from loopline.kit.digests import file_digest
from loopline.kit.durable import make_folder, sync_folder
from loopline.ports.blobs import Kept

PIECE = 1 << 20
TOUCHED_FOR_S = 600.0  # for so long a time of last access is near enough


class Files:
    """Content-addressed files under one folder; several processes may write at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: dict[str, tuple[int, int, int]] = {}
        self._checking = tuple(threading.Lock() for _ in range(256))
        self._syncing = Syncing(folder)

    def put(self, content: bytes) -> str:
        digest = blake3(content).hexdigest()
        return self._keep(digest, iter((content,)))

    def put_file(self, path: Path) -> str:
        try:
            digest = file_digest(path)
            with open(path, "rb") as file:
                return self._keep(digest, pieces(file))
        except OSError as error:
            raise Invalid(f"{path} cannot be read ({error.strerror}).", "Name a file that exists.") from error

    def adopt(self, digest: str, path: Path) -> None:
        place = self._place(digest)
        try:
            if self._there(place, digest):
                path.unlink()
            else:
                self._move(path, place, digest)
        except OSError as error:
            raise unwritable(error) from error
        self._syncing.add(place)

    def take(self, content: bytes) -> str:
        digest = blake3(content).hexdigest()
        place = self._place(digest)
        temporary = place.with_name(temporary_name(place))
        try:
            if not self._there(place, digest):
                place.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(content)
                self._move(temporary, place, digest)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise unwritable(error) from error
        self._syncing.add(place)
        return digest

    def settle(self) -> None:
        lost = self._syncing.wait()
        if lost is not None:
            self._checked.clear()
            raise unwritable(lost)

    def get(self, digest: str) -> bytes:
        place = self._place(digest)
        try:
            content = place.read_bytes()
            touch(place)
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise unreadable(digest, error) from error
        if blake3(content).hexdigest() != digest:
            raise damaged(digest)
        return content

    def path(self, digest: str) -> Path:
        place = self._place(digest)
        try:
            touch(place)
            if not self._whole(place, digest):
                raise damaged(digest)
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise unreadable(digest, error) from error
        return place

    def open(self, digest: str) -> BinaryIO:
        return open(self.path(digest), "rb")

    def peek(self, digest: str, size: int) -> bytes:
        try:
            with open(self._place(digest), "rb", opener=unnoticed) as file:
                return file.read(size)
        except (NotFound, OSError):
            return b""

    def has(self, digest: str) -> bool:
        try:
            return self._place(digest).is_file()
        except NotFound:
            return False

    def size(self, digest: str) -> int:
        try:
            return self._place(digest).stat().st_size
        except FileNotFoundError:
            raise missing(digest) from None

    def kept(self) -> Iterator[Kept]:
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if len(entry.name) == 62 and not entry.name.startswith("."):
                        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                            stat = entry.stat()
                            yield Kept(folder.name + entry.name, stat.st_size, used_at(stat))

    def remove(self, digest: str, before: float) -> int:
        place = self._place(digest)
        leaving = place.with_name(temporary_name(place))
        try:
            if used_at(place.stat()) >= before:
                return 0
            os.rename(place, leaving)
            stat = leaving.stat()
            if used_at(stat) >= before:  # somebody asked for it between the two lines above
                os.rename(leaving, place)
                return 0
            leaving.unlink()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unwritable(error) from error
        self._checked.pop(digest, None)
        return stat.st_size

    def _place(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise NotFound(f"{digest[:80]!r} is not a digest.", "A digest is 64 hexadecimal digits.")
        return self._folder / digest[:2] / digest[2:]

    def _there(self, place: Path, digest: str) -> bool:
        """Whether the bytes are there and right; if so they count as used from now on."""
        try:
            touch(place)
            return self._whole(place, digest)
        except FileNotFoundError:
            return False

    def _whole(self, place: Path, digest: str) -> bool:
        if self._checked.get(digest) == stamp_of(place):
            return True
        with self._checking[int(digest[:2], 16)]:  # of many who ask at once, one reads a large file
            stamp = stamp_of(place)
            if self._checked.get(digest) != stamp:
                if file_digest(place) != digest:
                    return False
                self._checked[digest] = stamp
        return True

    def _move(self, path: Path, place: Path, digest: str) -> None:
        """Rename the file into its place; over another file system, copy it."""
        path.chmod(0o444)
        if place.exists():  # damaged: what replaces it must last at once
            sync_file(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(path, place)
        except OSError:
            if not path.is_file():
                raise
            self.put_file(path)
            path.unlink()
            return
        self._checked[digest] = stamp_of(place)

    def _keep(self, digest: str, content: Iterator[bytes]) -> str:
        place = self._place(digest)
        try:
            if self._there(place, digest):
                sync_file(place)  # another process may have adopted it just now
                return digest
            make_folder(place.parent)
            self._write(place, digest, content)
        except OSError as error:
            raise unwritable(error) from error
        return digest

    def _write(self, place: Path, digest: str, content: Iterable[bytes]) -> None:
        temporary = place.with_name(temporary_name(place))
        seen = blake3()
        try:
            with open(temporary, "xb") as file:
                for piece in content:
                    seen.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if seen.hexdigest() != digest:
                raise Unavailable("A file changed while it was being kept.", "Write it to the end, then try again.")
            temporary.chmod(0o444)
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(place.parent)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes in pieces of 1 MiB."""
    while piece := file.read(PIECE):
        yield piece


def unnoticed(path: str, flags: int) -> int:
    """Open a file without a change of its time of last access, where the system can do that."""
    try:
        return os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # another's file
        return os.open(path, flags)


def temporary_name(place: Path) -> str:
    """A name beside a file's that nobody else takes, and that a sweep of lost temporary files knows."""
    return f".{place.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"


def stamp_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file's bytes do, as far as the file system tells."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def touch(place: Path) -> None:
    """Note that a file is in use now, its time of change left as it is."""
    stat, now = place.stat(), time.time()
    if used_at(stat) < now - TOUCHED_FOR_S:
        with contextlib.suppress(
            OSError
        ):  # what cannot be touched, as in a home that is only read, is not removed either
            os.utime(place, ns=(int(now * 1e9), stat.st_mtime_ns))


def used_at(stat: os.stat_result) -> float:
    """When a file was last put or asked for."""
    return max(stat.st_atime, stat.st_mtime)


def missing(digest: str) -> NotFound:
    return NotFound(f"No bytes are kept under {digest}.", "Run what made them again.")


def unreadable(digest: str, error: OSError) -> Unavailable:
    return Unavailable(f"The bytes kept under {digest} cannot be read ({error.strerror}).", "Look at the disk.")


def unwritable(error: OSError) -> Unavailable:
    return Unavailable(f"Bytes could not be kept ({error.strerror}).", "Free disk space, then try again.")


def damaged(digest: str) -> NotFound:
    return NotFound(f"The bytes kept under {digest} are damaged.", "Run what made them again, or restore a backup.")
