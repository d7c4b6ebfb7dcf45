"""The head: how many facts there are and the last one's digest, signed, in a small file beside the database.

Before a commit a line "prepared" is signed and fsynced, after it a line "committed". So the database must stand at
the last committed line, or, when a crash fell between the two, at the prepared one: whoever cuts the tail or adds
a fact without the key is found. The key lies in keys/ledger.key; its holder is outside what this protects against.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from loopline.core.errors import Unavailable
from loopline.kit.durable import write_file
from loopline.kit.signing import Signer
from loopline.usecases.ledger.model import GENESIS

LONGEST_FILE = 64 * 1024


class Line(msgspec.Struct, frozen=True):
    """One signed statement about the chain."""

    state: str
    count: int
    digest: str
    signature: str = ""

    def content(self) -> bytes:
        return f"loopline head {self.state} {self.count} {self.digest}".encode()


NOTHING = Line("committed", 0, GENESIS)


class Head:
    """Reads and extends ledger.head. Only the holder of the database's write lock may extend it."""

    def __init__(self, home: Path) -> None:
        self._path = home / "ledger.head"
        self._signer = Signer(home / "keys" / "ledger.key")

    def prepare(self, count: int, digest: str) -> Line:
        """Say durably what the chain will be; undone by nothing, overruled by the next line."""
        return self._append("prepared", count, digest, durable=True)

    def commit(self, line: Line) -> None:
        """Say that it came to pass (kept by the page cache over a kill; a power cut may drop it)."""
        self._append("committed", line.count, line.digest, durable=False)

    def settle(self, count: int, digest: str) -> None:
        """Before the first fact of a process: if the last word is a promise, write down what the database shows, when
        it is one of the two states that a crash can have left. Anything else is written down as broken, for ever:
        facts that follow must not hide it."""
        lines = self.lines()
        if (count, digest) not in allowed(lines):
            self.complain(count, digest)
        elif lines[-1].state == "prepared":
            self._append("committed", count, digest, durable=True)

    def knows(self, count: int, digest: str) -> bool:
        """Whether a line speaks of this place in the chain; quick when it is among the last."""
        if not self._path.exists():
            return False
        needle = digest.encode()
        lines = (self._read(text) for text in reversed(self._path.read_bytes().split(b"\n")) if needle in text)
        return any(line and (line.count, line.digest) == (count, digest) for line in lines)

    def complain(self, count: int, digest: str) -> None:
        """Say durably that the database stood where it cannot have stood unless somebody edited it."""
        if all((line.count, line.digest) != (count, digest) for line in self.broken()):
            self._append("broken", count, digest, durable=True)

    def broken(self) -> list[Line]:
        """Where the database was found edited before further facts followed."""
        return [line for line in self.lines() if line.state == "broken"]

    def lines(self) -> list[Line]:
        """All whole lines with a good signature, oldest first; a line torn by a power cut is passed over."""
        if not self._path.exists():
            return [NOTHING]
        found = [line for text in self._path.read_bytes().split(b"\n") if (line := self._read(text))]
        return found or [NOTHING]

    def expected(self) -> set[tuple[int, str]]:
        """The (count, digest) pairs at which the database may stand."""
        return allowed(self.lines())

    def exists(self) -> bool:
        return self._path.exists()

    def _append(self, state: str, count: int, digest: str, *, durable: bool) -> Line:
        line = Line(state, count, digest)
        line = msgspec.structs.replace(line, signature=self._signer.sign(line.content()))
        content = msgspec.json.encode(line) + b"\n"
        try:
            self._write(content, durable)
        except OSError as error:
            raise Unavailable(
                f"The ledger's head could not be written ({error.strerror}).", "Free disk space."
            ) from error
        return line

    def _write(self, content: bytes, durable: bool) -> None:
        if not self._path.exists():
            write_file(self._path, content, 0o600)
            return
        if durable and self._path.stat().st_size > LONGEST_FILE:
            self._shorten(content)
            return
        with open(self._path, "ab") as file:
            if file.tell() and not self._ends_whole():
                file.write(b"\n")
            file.write(content)
            file.flush()
            if durable:
                os.fdatasync(file.fileno())

    def _ends_whole(self) -> bool:
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _shorten(self, content: bytes) -> None:
        last = b"".join(msgspec.json.encode(line) + b"\n" for line in standing(self.lines()))
        write_file(self._path, last + content, 0o600)

    def _read(self, text: bytes) -> Line | None:
        try:
            line = msgspec.json.decode(text, type=Line)
        except (msgspec.DecodeError, ValueError):
            return None
        return line if self._signer.verify(line.content(), line.signature) else None


def standing(lines: list[Line]) -> list[Line]:
    """The furthest committed line, every promise beyond it (processes may write their lines out of order), and every
    line that tells of an edit."""
    committed = max((line for line in lines if line.state == "committed"), key=lambda line: line.count, default=NOTHING)
    beyond = [line for line in lines if line.state == "prepared" and line.count > committed.count]
    return [*(line for line in lines if line.state == "broken"), committed, *beyond]


def allowed(lines: list[Line]) -> set[tuple[int, str]]:
    """The (count, digest) pairs that these lines bear out."""
    return {(line.count, line.digest) for line in standing(lines) if line.state != "broken"}
