"""Where state is kept: rows, changed only in transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = Mapping[str, Any]


class Transaction(Protocol):
    """One transaction. `statement` is SQL text with :name parameters, or a composed SQLAlchemy Core statement."""

    def rows(self, statement: Any, params: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query; a row answers by column name."""

    def row(self, statement: Any, params: Mapping[str, Any] | None = None) -> Row | None:
        """The first row or None."""

    def run(self, statement: Any, params: Mapping[str, Any] | None = None) -> int:
        """Change something; answers how many rows it touched. Taken when a unique key is already there."""

    def run_many(self, statement: str, params: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        """The same statement for many parameter sets."""

    def savepoint(self) -> AbstractContextManager[None]:
        """What is changed inside is undone when an error leaves it; the rest of the transaction stands."""

    def around_commit(self, key: str, before: Callable[[Transaction], Any], after: Callable[[Any], None]) -> None:
        """Have `before` run once just before the commit of the group this work shares, `after` with its answer once
        the commit is durable. A second call with the same `key` in the group changes nothing."""


class Database(Protocol):
    """Guarantees: a `write` is all or nothing and has been fsynced when it answers; reads see own writes; several
    processes may open the same database. Errors: Unavailable when it is locked too long, full or gone."""

    def write(self, work: Callable[[Transaction], T], durable: bool = True) -> T:
        """Run `work` in a transaction of its own (it may share the fsync with others) and answer what it answers.

        What is written with `durable=False` survives the death of every process at once, and a power cut from the next
        durable write on.
        """

    def post(self, work: Callable[[Transaction], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """`write` without waiting: `done(answer, None)` or `done(None, error)` is called later, in a thread of the
        database's, where it may do nothing that takes time."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a consistent snapshot; it may not change anything."""

    def row(self, statement: str, params: Mapping[str, Any] | None = None) -> Row | None:
        """The first row of one query or None: a `read` of a single statement, at less cost."""

    def changed(self) -> int:
        """A number that differs whenever another commit may have happened since it was last asked; cheap to poll."""

    def shrink(self, whole: bool = False) -> int:
        """Give the room of removed rows back to the disk; answers how many bytes that freed. Writes go on meanwhile, a
        moment later at times. A database that was not made for it is built anew first, which takes its writes a while:
        only when `whole`, or when it is small, and when the disk has room for a copy."""

    def close(self) -> None:
        """Finish waiting writes and let go of the files."""
