"""How often one caller may ask one endpoint: a token bucket, kept as the one moment at which it will be full again.

A bucket holds `burst` requests and gains `rate` a second. With `full` as that moment, it holds burst - (full - now) * rate,
so a request needs no more than a comparison and an addition (the generic cell rate algorithm of ATM networks).
"""

from __future__ import annotations

import math
from typing import Any

from loopline.shells.dataplane.answers import Fault

MOST = 8192
_SLACK = 1e-9  # a moment reached but for rounding is reached


class Rates:
    """The buckets that are not full. At most `most` are kept: those nearest to being full are forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._full: dict[tuple[str, str], float] = {}

    def take(self, key: tuple[str, str], rate: float, burst: int, now: float) -> float:
        """Take one request out of a bucket; answers 0, or in how many seconds there will be one."""
        full = max(self._full.get(key, now), now)
        wait = full + 1 / rate - burst / rate - now
        if wait > _SLACK:
            return wait
        if key not in self._full and len(self._full) >= self._most:
            self._forget(now)
        self._full[key] = full + 1 / rate
        return 0.0

    def check(self, exchange: Any, served: Any, now: float) -> None:
        """Take a request of this caller at this endpoint; a Fault says when to come again."""
        rate, burst = served.options.rate, served.options.burst
        wait = self.take((exchange.caller.name, served.name), rate, burst, now)
        if wait:
            headers = (
                b"retry-after: %d\r\nx-ratelimit-limit: %d\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: %.3f\r\n"
            )
            message = f"Endpoint {served.name!r} takes {rate:g} requests a second from each caller, {burst} at once."
            raise Fault(429, message, f"Come again in {wait:.3g} s.", headers % (math.ceil(wait), burst, _above(wait)))

    def __len__(self) -> int:
        return len(self._full)

    def _forget(self, now: float) -> None:
        self._full = {key: full for key, full in self._full.items() if full > now}
        for key in sorted(self._full, key=self._full.__getitem__)[: len(self._full) - self._most // 2]:
            del self._full[key]


def _above(wait: float) -> float:
    """In milliseconds that suffice."""
    return math.ceil(wait * 1000) / 1000
