"""A version as a folder to take along: its files, model.json and card.md; as a tar that is written while it is sent."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from loopline.core.errors import Conflict, Invalid, Unavailable
from loopline.core.times import from_text
from loopline.kit.digests import file_digest
from loopline.kit.durable import make_folder
from loopline.usecases.registry.cards import Cards
from loopline.usecases.registry.model import MANIFEST_NAME, encoded_manifest, parsed_manifest

CARD_NAME = "card.md"
PIECE = 1 << 20
BLOCK = tarfile.BLOCKSIZE


class Member(NamedTuple):
    """One file of a tar."""

    name: str
    size: int
    read: Callable[[], IO[bytes]]


class Archive(NamedTuple):
    """A tar: its file name, its length in bytes, its pieces."""

    name: str
    size: int
    pieces: Iterator[bytes]


class Downloading(Cards):
    """Takes versions out."""

    def archive(self, name: str, version: int) -> Archive:
        """The version's folder `MODEL-VERSION/` as a tar. NotFound; nothing of it is loaded, whatever the format."""
        found = self._database.read(lambda tx: self._there(tx, name, version))
        manifest = self._manifest(found.digest)
        folder = f"{found.model}-{version}"
        at = int(from_text(found.created_at).timestamp())
        members = [self._kept(file, digest) for file, digest in sorted({**manifest.beside, **manifest.files}.items())]
        members.append(given(MANIFEST_NAME, encoded_manifest(manifest)))
        if CARD_NAME not in {*manifest.files, *manifest.beside}:
            members.append(given(CARD_NAME, self.card_text(name, version).encode()))
        heads = [header(f"{folder}/{one.name}", one.size, at) for one in members]
        size = sum(len(head) + padded(one.size) for head, one in zip(heads, members, strict=True)) + 2 * BLOCK
        return Archive(f"{folder}.tar", size, pieces(list(zip(heads, members, strict=True))))

    def _kept(self, name: str, digest: str) -> Member:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
            raise Invalid(f"{name[:200]!r} cannot be the name of a file in a folder.", "Register the version anew.")
        return Member(name, self._blobs.size(digest), lambda: self._blobs.open(digest))


def given(name: str, content: bytes) -> Member:
    """A file that is made here."""
    return Member(name, len(content), lambda: io.BytesIO(content))


def header(name: str, size: int, at: int) -> bytes:
    """What stands before a file in a tar (POSIX.1-2001)."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, at, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def padded(size: int) -> int:
    """The room of a file's bytes in a tar."""
    return -(-size // BLOCK) * BLOCK


def pieces(members: list[tuple[bytes, Member]]) -> Iterator[bytes]:
    """The tar's bytes; never an empty piece."""
    for head, member in members:
        yield head
        left = member.size
        with member.read() as stream:
            while left and (piece := stream.read(min(PIECE, left))):
                left -= len(piece)
                yield piece
        if left:
            raise Unavailable(f"{member.name} is shorter than it was.", "`loopline doctor` tells what is lost.")
        if padding := padded(member.size) - member.size:
            yield bytes(padding)
    yield bytes(2 * BLOCK)


class Stream(io.RawIOBase):
    """Pieces as a file to read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def unpacked(stream: IO[bytes], target: Path) -> Path:
    """Write the folder in a tar, member by member, into `target`; answers it. Conflict when it is there already, Invalid
    when a file's bytes are not those that model.json names, Unavailable when the tar ends early."""
    try:
        make_folder(target)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            folders = {taken_out(archive, member, target) for member in archive}
    except (tarfile.TarError, EOFError) as error:
        raise Unavailable(f"The download broke off ({error}).", "Try again.") from None
    except OSError as error:
        raise Unavailable(f"{target} cannot be written ({error.strerror}).", "Choose another --to.") from error
    if len(folders) != 1:
        raise Unavailable("The download holds no version.", "Try again.")
    folder = target / folders.pop()
    verified(folder)
    return folder


def taken_out(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    """Write one plain file; answers the folder that it lies in."""
    path = PurePosixPath(member.name)
    if not member.isreg() or path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise Invalid(f"The download holds {member.name[:200]!r}, which is no plain file.", "Do not use it.")
    place = target.joinpath(*path.parts)
    if place.exists():
        raise Conflict(f"{place} is there already.", "Choose another --to.")
    make_folder(place.parent)
    source = archive.extractfile(member)
    with open(place, "xb") as sink:
        while source is not None and (piece := source.read(PIECE)):
            sink.write(piece)
    return path.parts[0]


def verified(folder: Path) -> None:
    """Check every file against model.json."""
    manifest = parsed_manifest((folder / MANIFEST_NAME).read_bytes())
    for name, digest in {**manifest.beside, **manifest.files}.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise Invalid(f"{folder / name} is not what model.json names.", "Do not use it; download it again.")
