"""Append facts, read them, and prove that nobody touched them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from loopline.core.errors import Unavailable
from loopline.core.facts import Fact
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.ledger import store
from loopline.usecases.ledger.head import Head, Line
from loopline.usecases.ledger.model import (
    GENESIS,
    Audit,
    Kind,
    Problem,
    body_text,
    chain_problems,
    checked_text,
    digest_of,
    fact_of,
)

Replayed = Callable[[Iterable[Fact]], Mapping[str, Any]]
Current = Callable[[Transaction], Mapping[str, Any]]
MOST_PROBLEMS = 20


class Ledger:
    """The one ledger of an installation."""

    def __init__(self, database: Database, clock: Clock, head: Head) -> None:
        self._database = database
        self._clock = clock
        self._head = head
        self._seen: tuple[int, str] | None = None  # where this process last knew the chain to be right
        self._own: set[str] = set()  # facts of a commit under way

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact:
        """Write a fact in the transaction of the change that it tells of; returns it with its place in the chain.

        Invalid for text that is not Unicode or a body that JSON cannot carry.
        """
        last = store.last(tx)
        seq, previous = (last["seq"] + 1, last["digest"]) if last else (1, GENESIS)
        checked_text(kind, subject, actor)
        at, text = self._clock.text(), body_text(body)
        digest = digest_of(previous, seq, at, kind, subject, actor, text)
        row = {"seq": seq, "at": at, "kind": kind, "subject": subject, "actor": actor, "body": text}
        row |= {"previous": previous, "digest": digest}
        self._compare(seq - 1, previous)
        store.insert(tx, row)
        self._own.add(digest)
        tx.around_commit("ledger.head", self._seal, self._sealed)
        return fact_of(row)

    def since(self, seq: int, limit: int = 1000, kind: str = "") -> list[Fact]:
        """Facts after number `seq`, oldest first, at most `limit`; of one kind when given."""

        def work(tx: Transaction) -> list[Row]:
            return store.of_kind(tx, kind, seq, limit) if kind else store.since(tx, seq, limit)

        return [fact_of(row) for row in self._database.read(work)]

    def latest(
        self, limit: int = 100, before: int = 0, kind: str = "", subject: str = "", actor: str = ""
    ) -> list[Fact]:
        """The newest facts, newest first: those older than number `before`, of one kind ("run.started") or one thing
        ("run"), about one subject, by one actor, where given."""
        wanted = {"limit": limit, "before": before, "kind": kind, "subject": subject, "actor": actor}
        return [fact_of(row) for row in self._database.read(lambda tx: store.latest(tx, wanted))]

    def kinds(self) -> list[Kind]:
        """How many facts of each kind there are, and the newest."""
        return [Kind(**row) for row in self._database.read(store.kinds)]

    def about(self, subject: str, kinds: Sequence[str] = ()) -> list[Fact]:
        """All facts about one thing, newest last."""
        facts = [fact_of(row) for row in self._database.read(lambda tx: store.about(tx, subject))]
        return [fact for fact in facts if not kinds or fact.kind in kinds]

    def verify(self, replays: Mapping[str, tuple[Replayed, Current]]) -> Audit:
        """Check chain, head, and that each table named in `replays` shows what a replay of the facts gives."""
        try:
            rows, found = self._database.read(lambda tx: self._verify(tx, replays))
        except Unavailable as error:
            return Audit(0, GENESIS, [Problem("the facts", f"cannot be read: {error.message}")])
        found += self._database.write(self._head_problems)  # under the write lock no commit is half-way
        shown = found[:MOST_PROBLEMS]
        return Audit(len(rows), rows[-1]["digest"] if rows else GENESIS, shown, len(found) - len(shown))

    def _compare(self, count: int, digest: str) -> None:
        """Note in the head when the chain ends where neither this process nor the head has seen it end."""
        if self._seen == (count, digest) or digest in self._own:
            return
        if self._seen is None:
            self._head.settle(count, digest)
        elif count <= self._seen[0] or not self._head.knows(count, digest):
            self._head.complain(count, digest)
        self._seen = (count, digest)

    def _seal(self, tx: Transaction) -> Any:
        last = store.last(tx)
        return self._head.prepare(last["seq"], last["digest"]) if last else None

    def _sealed(self, line: Line) -> None:
        self._seen = (line.count, line.digest)
        self._own.clear()
        self._head.commit(line)

    def _verify(
        self, tx: Transaction, replays: Mapping[str, tuple[Replayed, Current]]
    ) -> tuple[list[Row], list[Problem]]:
        rows = list(store.every(tx))
        found = list(chain_problems(rows))
        if not found:
            facts = [fact_of(row) for row in rows]
            for name, (replayed, current) in replays.items():
                found += difference(name, replayed(facts), current(tx))
        return rows, found

    def _head_problems(self, tx: Transaction) -> list[Problem]:
        last, count = store.last(tx), store.count(tx)
        expected = self._head.expected()
        edits = [
            Problem(f"fact {line.count}", "was the last when another followed; the signed head did not know it so")
            for line in self._head.broken()
        ]
        return edits + self._end_problems(count, last, expected)

    def _end_problems(self, count: int, last: Row | None, expected: set[tuple[int, str]]) -> list[Problem]:
        if (count, last["digest"] if last else GENESIS) in expected:
            return []
        signed = max(number for number, _ in expected)
        if signed > count:
            return [Problem("the end", f"is cut: the signed head counts {signed} facts, the database {count}")]
        return [
            Problem("the end", f"is not what the signed head says (it counts {signed} facts, the database {count})")
        ]


def difference(name: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterable[Problem]:
    """Where a table disagrees with the facts."""
    for key in sorted(expected.keys() | actual.keys()):
        if expected.get(key) != actual.get(key):
            yield Problem(f"{name} {key}", f"stands at {actual.get(key)!r}; the facts say {expected.get(key)!r}")
