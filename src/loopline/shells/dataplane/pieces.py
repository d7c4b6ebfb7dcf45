"""A request of many rows, given to the model in pieces, so that it holds up nobody for long and its answer needs no batch
of its own. Its rows are numbered through and share one id; when a piece is refused, the whole request is."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.bodies import aside

if TYPE_CHECKING:
    from loopline.shells.dataplane.exchange import Exchange
    from loopline.shells.dataplane.replies import Reply
    from loopline.shells.dataplane.revision import Revision

MOST_AT_ONCE = 20_000  # rows whose answer is written on the loop
AT_ONCE = 2  # one is worked on, one waits: the model's process is never idle
Row = tuple[Any, ...]


def submit(
    revision: Revision, exchange: Exchange, rows: list[Row], reply: Reply, arm: str, explain: bool = False
) -> None:
    """Give valid rows to the model; those beyond a batch in pieces."""
    most = revision.options.batch_rows
    if len(rows) <= most:
        revision.submit(exchange, rows, reply, arm, explain)
    else:
        Pieces(revision, exchange, rows, reply, arm, explain, most).start()


class Piece:
    """Stands for the request where a revision expects one."""

    __slots__ = (
        "body",
        "caller",
        "connection",
        "first",
        "headers",
        "item",
        "label",
        "method",
        "number",
        "path",
        "started",
        "whole",
    )

    def __init__(self, whole: Pieces, number: int, first: int) -> None:
        exchange = whole.exchange
        self.whole = whole
        self.number = number
        self.first = first
        self.connection, self.caller, self.started = exchange.connection, exchange.caller, exchange.started
        self.headers, self.method, self.path, self.body = exchange.headers, exchange.method, exchange.path, b""
        self.label: Any = None
        self.item: Any = None

    def ok(self, body: bytes) -> None:
        """The piece was answered; its values are there already."""
        self.whole.go_on()

    def refuse(self, fault: Fault) -> None:
        """The piece was refused."""
        self.whole.refuse(fault)


class Pieces:
    """One request in pieces. It is the form in which each piece is answered, and keeps what was answered."""

    def __init__(
        self, revision: Revision, exchange: Exchange, rows: list[Row], reply: Reply, arm: str, explain: bool, most: int
    ) -> None:
        self.exchange = exchange
        self._revision = revision
        self._rows = rows
        self._reply = reply
        self._arm = arm
        self._explain = explain
        self._most = most
        self._next = 0
        self._values: dict[int, Any] = {}
        self._items: list[Any] = []
        self._over = False

    def start(self) -> None:
        """Give the first pieces. Raises Fault when too much waits already."""
        self._give()
        for _ in range(AT_ONCE - 1):
            self._attempt()

    def body(self, revision: Revision, item: Any, values: Any) -> bytes:
        """Keep what was answered to one piece."""
        self._values[item.exchange.first] = values
        return b""

    def go_on(self) -> None:
        """A piece was answered: give the next, or answer the request."""
        if self._over:
            return
        if len(self._values) * self._most >= len(self._rows):
            self._answer()
        else:
            self._attempt()

    def refuse(self, fault: Fault) -> None:
        """Refuse the request, once."""
        if not self._over:
            self._over = True
            self._rows = []
            self.exchange.refuse(fault)

    def _attempt(self) -> None:
        if self._next < len(self._rows) and not self.exchange.connection.transport.is_closing():
            try:
                self._give()
            except Fault as fault:
                self.refuse(fault)

    def _give(self) -> None:
        first = self._next
        self._next += self._most
        piece = Piece(self, len(self._items), first)
        item: Any = self._revision.submit(
            piece,
            self._rows[first : self._next],
            self,
            self._arm,
            self._explain,
        )
        self.exchange.label = piece.label
        if self._items:
            whole = self._items[0]
            item.id, item.ms, item.counter = whole.id, whole.ms, whole.counter
        item.first = first
        self._items.append(item)

    def _answer(self) -> None:
        self._over = True
        values: Any = None
        for first in sorted(self._values):
            values = self._values[first] if values is None else values + self._values[first]
        item: Any = copy(self._items[0])  # the piece itself may still have to be logged
        item.exchange, item.rows = self.exchange, self._rows
        if self._explain:
            item.explanation = _joined([each.explanation for each in self._items])
        write = partial(self._reply.body, self._revision, item, values)
        if len(self._rows) <= MOST_AT_ONCE:
            self.exchange.ok(write())
            return
        try:
            aside(self._revision.app, self.exchange, write, self.exchange.ok)
        except Fault as fault:
            self.exchange.refuse(fault)


def _joined(parts: list[Any]) -> Any:
    """The explanations of all pieces as one."""
    if any(part is None for part in parts):
        return None
    base, columns = parts[0]
    for more, further in parts[1:]:
        base = base + more
        columns = [column + other for column, other in zip(columns, further, strict=True)]
    return base, columns
