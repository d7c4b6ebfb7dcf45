"""A split at work: which arm a request gets, and copies for shadows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import random
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.revision import COLD, READY
from loopline.usecases.serving.splitting import PLACES, placed
from loopline.usecases.serving.traffic import LIVE, Arm, Traffic

if TYPE_CHECKING:
    from loopline.shells.dataplane.revision import Revision
    from loopline.shells.dataplane.shadows import Shadow

HEADER = "header:"


class Split:
    """How the requests of one endpoint are shared out just now. `beside` is looked into at each request: an arm whose
    process is not up gets nothing, its share is answered by what is live (and logged as that)."""

    def __init__(self, traffic: Traffic, beside: dict[int, Revision], shadows: Iterable[Shadow]) -> None:
        self.traffic = traffic
        self.beside = beside
        self.shadows = tuple(shadows)
        self._spans = [(start, end, arm) for arm in traffic.arms for start, end in arm.spans]
        self._salt = traffic.salt
        self._by_key = traffic.by == "key" and bool(self._spans)
        self._value = _value_of(traffic.by)

    def choose(self, exchange: Any, live: Revision) -> tuple[Any, str]:
        """See `Served.choose`."""
        if self._by_key:
            return Chosen(self, live, live, self._of_rows), LIVE
        revision, arm = self.at(self._place(exchange), live) if self._spans else (live, LIVE)
        if self.shadows or revision.rows.fields != live.rows.fields:
            return Chosen(self, live, revision, None), arm
        return revision, arm

    def drop(self, name: str) -> None:
        """Let an arm get nothing any more: what is live answers its share."""
        self._spans = [span for span in self._spans if span[2].name != name]

    def has(self, name: str) -> bool:
        """Whether an arm gets its share."""
        return any(span[2].name == name for span in self._spans)

    def at(self, place: int | None, live: Revision) -> tuple[Revision, str]:
        """The revision and the arm of a place; what is live for None."""
        if place is not None:
            for start, end, arm in self._spans:
                if start <= place < end:
                    return self._up(arm, live)
        return live, LIVE

    def _up(self, arm: Arm, live: Revision) -> tuple[Revision, str]:
        revision = self.beside.get(arm.revision)
        if revision is None or not revision.changed.is_set() or revision.state not in (READY, COLD):
            return live, LIVE
        return revision, arm.name

    def _place(self, exchange: Any) -> int | None:
        if self._value is None:
            return int(random() * PLACES)  # noqa: S311 (chance, no secret)
        value = self._value(exchange)
        return None if value is None else placed(value, self._salt)

    def _of_rows(self, rows: Any, live: Revision) -> tuple[Revision, str]:
        """By the first row's key. Rows without a key are answered by what is live."""
        at = live.rows.key_at
        key = rows[0][at] if at is not None and len(rows) else None
        return self.at(None if key is None else placed(str(key).encode(), self._salt), live)


class Chosen:
    """Stands for a revision while a split is on: reads rows as the live revision does, and gives them to the one that the
    split chose. Everything else is the live revision's own."""

    __slots__ = ("_arm", "_by_rows", "_live", "_split", "_target")

    def __init__(self, split: Split, live: Revision, target: Revision, by_rows: Any) -> None:
        self._split = split
        self._live = live
        self._target = target
        self._by_rows = by_rows
        self._arm: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def submit(self, exchange: Any, rows: Any, reply: Any, arm: str = LIVE, *more: Any, **named: Any) -> Any:
        """As `Revision.submit`; shadows get their copies once the request is answered."""
        if self._by_rows is not None and self._arm is None:  # a request in pieces stays where its first row went
            self._target, self._arm = self._by_rows(rows, self._live)
        target, arm = self._target, self._arm or arm
        if self._split.shadows:
            reply = Mirrored(reply, rows, self._live.rows.fields, self._split.shadows)
        return target.submit(exchange, fitted(rows, self._live, target), reply, arm, *more, **named)


class Mirrored:
    """A reply that shows what it answers to the shadows."""

    __slots__ = ("_fields", "_reply", "_rows", "_shadows")

    def __init__(self, reply: Any, rows: Any, fields: list[str], shadows: tuple[Shadow, ...]) -> None:
        self._reply = reply
        self._rows = rows
        self._fields = fields
        self._shadows = shadows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reply, name)

    def body(self, revision: Any, item: Any, values: Any) -> Any:
        """The answer's body, as if nobody looked on."""
        found = self._reply.body(revision, item, values)
        for shadow in self._shadows:
            shadow.offer(item, self._rows, self._fields)
        return found


def fitted(rows: Any, given: Revision, target: Revision) -> Any:
    """Rows as the fields of `given` have them, in the order of the target's."""
    return picked(rows, given.rows.fields, target.rows.fields)


def picked(rows: Any, fields: list[str], wanted: list[str]) -> Any:
    """Rows with these fields as rows with the wanted ones, which are all among them."""
    if fields == wanted:
        return rows
    places = [fields.index(name) for name in wanted]
    return [tuple([row[place] for place in places]) for row in rows]


def _value_of(by: str) -> Callable[[Any], bytes | None] | None:
    """What a request is hashed by; None for chance."""
    if by == "caller":
        return lambda exchange: exchange.caller.name.encode()
    if by.startswith(HEADER):
        name = by.removeprefix(HEADER).encode()
        return lambda exchange: exchange.headers.get(name)
    return None
