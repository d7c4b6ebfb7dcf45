"""What waits for a model: requests in the order in which they came, bounded in rows and in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from loopline.shells.dataplane.replies import Reply


class Item(msgspec.Struct, eq=False):
    """One request waiting for its predictions. A structure, as it is made quicker than an object of Python's."""

    exchange: Any
    rows: list[tuple[Any, ...]]
    reply: Reply
    arm: str
    explain: bool
    caller: str
    due: int  # when it is given up, on the performance counter in ns
    id: str
    ms: int
    counter: int
    first: int = 0  # the number of its first row, where it is a piece of a larger request
    attempts: int = 0
    explanation: Any = None
    given_up: bool = False
    sent_ns: int = 0  # on the performance counter, kept only while somebody watches


class Queue:
    """First in, first out. A request whose client has hung up leaves it unanswered and is counted in `cancelled`."""

    def __init__(self) -> None:
        self.rows = 0
        self.cancelled = 0
        self._items: deque[Item] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def first(self) -> Item | None:
        """The next one."""
        return self._items[0] if self._items else None

    def put(self, item: Item) -> None:
        """Add one at the end."""
        self._items.append(item)
        self.rows += len(item.rows)

    def put_back(self, items: Iterable[Item]) -> None:
        """Have those that were taken go first once more, in their order."""
        back = list(items)
        self._items.extendleft(reversed(back))
        self.rows += sum(len(item.rows) for item in back)

    def take(self, most_rows: int) -> list[Item]:
        """The next batch: as many as fit into `most_rows` (at least one) that all want, or do not want, an explanation."""
        waiting, rows = self._items, 0
        taken: list[Item] = []
        while waiting:
            item = waiting[0]
            count = len(item.rows)
            if getattr(item.exchange, "gone", False):
                self.cancelled += 1
                self.rows -= count
            elif taken and (rows + count > most_rows or item.explain is not taken[0].explain):
                break
            else:
                rows += count
                taken.append(item)
            waiting.popleft()
        self.rows -= rows
        return taken

    def overdue(self, now_ns: int) -> list[Item]:
        """Take out those whose time is up."""
        late = [item for item in self._items if item.due <= now_ns]
        if late:
            self._items = deque(item for item in self._items if item.due > now_ns)
            self.rows -= sum(len(item.rows) for item in late)
        return late

    def all(self) -> list[Item]:
        """Take out everything."""
        items, self._items, self.rows = list(self._items), deque(), 0
        return items

    def first_due(self) -> int | None:
        """When the first of them is given up; None when nobody waits."""
        return min((item.due for item in self._items), default=None)
