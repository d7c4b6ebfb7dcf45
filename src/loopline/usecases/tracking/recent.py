"""The long series that were read last, so that who looks closer does not have them unpacked again."""

from __future__ import annotations

import threading
from collections import OrderedDict

from loopline.usecases.tracking.points import Series

MOST = 4_000_000  # points, 24 bytes each

Place = tuple[int, int]
Stamp = tuple[int, int]


class Recent:
    """Series by (run, key), each with the stamp of the blocks that it was read from; at most so many points together."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Place, tuple[Stamp, Series]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, place: Place, stamp: Stamp) -> Series | None:
        """The series when it was read from these blocks."""
        with self._guard:
            found = self._kept.get(place)
            if found is None or found[0] != stamp:
                return None
            self._kept.move_to_end(place)
            return found[1]

    def put(self, place: Place, stamp: Stamp, series: Series) -> None:
        """Keep a series; those not asked for longest go."""
        with self._guard:
            self._kept[place] = (stamp, series)
            self._kept.move_to_end(place)
            while self._kept and sum(len(one.steps) for _, one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
