"""Blobs as files: blobs/ab/cdef…, written once, checked when read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from loopline.core.errors import Invalid, NotFound, Unavailable
from loopline.kit.durable import make_folder, sync_folder

PIECE = 1 << 20


class Files:
    """Content-addressed files under one folder; several processes may write at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked: dict[str, tuple[int, int, int]] = {}

    def put(self, content: bytes) -> str:
        digest = blake3(content).hexdigest()
        return self._keep(digest, iter((content,)))

    def put_file(self, path: Path) -> str:
        try:
            digest = digest_of(path)
            with open(path, "rb") as file:
                return self._keep(digest, pieces(file))
        except OSError as error:
            raise Invalid(f"{path} cannot be read ({error.strerror}).", "Name a file that exists.") from error

    def get(self, digest: str) -> bytes:
        try:
            content = self._place(digest).read_bytes()
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
            stamp = stamp_of(place)
            if self._checked.get(digest) != stamp:
                if digest_of(place) != digest:
                    raise damaged(digest)
                self._checked[digest] = stamp
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise unreadable(digest, error) from error
        return place

    def open(self, digest: str) -> BinaryIO:
        return open(self.path(digest), "rb")

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

    def _place(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise NotFound(f"{digest[:80]!r} is not a digest.", "A digest is 64 hexadecimal digits.")
        return self._folder / digest[:2] / digest[2:]

    def _keep(self, digest: str, content: Iterator[bytes]) -> str:
        place = self._place(digest)
        if place.is_file() and digest_of(place) == digest:
            return digest
        try:
            make_folder(place.parent)
            self._write(place, digest, content)
        except OSError as error:
            raise Unavailable(
                f"Bytes could not be kept ({error.strerror}).", "Free disk space, then try again."
            ) from error
        return digest

    def _write(self, place: Path, digest: str, content: Iterator[bytes]) -> None:
        temporary = place.with_name(f".{place.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
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


def digest_of(path: Path) -> str:
    """BLAKE3 of a file's bytes."""
    digest = blake3()
    with open(path, "rb") as file:
        for piece in pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def stamp_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file's bytes do, as far as the file system tells."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def missing(digest: str) -> NotFound:
    return NotFound(f"No bytes are kept under {digest}.", "Run what made them again.")


def unreadable(digest: str, error: OSError) -> Unavailable:
    return Unavailable(f"The bytes kept under {digest} cannot be read ({error.strerror}).", "Look at the disk.")


def damaged(digest: str) -> NotFound:
    return NotFound(f"The bytes kept under {digest} are damaged.", "Run what made them again, or restore a backup.")
