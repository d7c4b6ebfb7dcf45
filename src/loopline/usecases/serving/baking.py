"""Whether a revision that has just begun to answer is worse than what answered before it, or answers beside it.

Judged by evidence that may be looked at at any time (`kit.sequential`), so never on a ratio of three requests. With
ERROR = 0.001, a revision that is not worse is put back with a chance of at most 0.001 for its failures and 0.001 for its
latency in a whole bake period (or a step of a canary), however often one looks:

- Failures (the model could not score a row, or was not there: 422 and 5xx). Claim: "each request fails with at most the
  allowed share". Allowed is `bake_errors`; where the revision before failed too, what its failures do not contradict.
  For a canary both must be contradicted: that claim, and "failures fall on the canary no more often than requests do".
- Latency. Looked at in intervals, as requests answered together are slow together. Claim: "an interval's median is above
  the limit in at most half of the intervals". The limit is `bake_latency` times the median before (of a canary: of what
  is live in the same interval), and at least a millisecond more.
- Three deaths of its process decide alone.

Pure rules: the data plane counts, and acts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from loopline.kit.sequential import log_evidence_above, upper_share

ERROR = 0.001
ENOUGH = -math.log(ERROR)
MOST_DEATHS = 3
LEAST_BEFORE = 50
LEAST_IN_INTERVAL = 3
LEAST_IN_STEP = 20
LEAST_SLOWER_NS = 1_000_000


class Tally(msgspec.Struct, frozen=True):
    """What was counted of a revision: requests answered and failed, deaths of its process, and how many answers took up
    to each bound of a histogram (the last: longer)."""

    answered: int = 0
    failed: int = 0
    deaths: int = 0
    buckets: tuple[int, ...] = ()

    def since(self, earlier: Tally) -> Tally:
        """What was counted after `earlier`."""
        buckets = tuple(map(int.__sub__, self.buckets, earlier.buckets)) if earlier.buckets else self.buckets
        return Tally(
            self.answered - earlier.answered, self.failed - earlier.failed, self.deaths - earlier.deaths, buckets
        )

    @property
    def requests(self) -> int:
        """Answered and failed."""
        return self.answered + self.failed


class Limits(msgspec.Struct, frozen=True):
    """The largest share of failures that is allowed, and how many times the latency before is."""

    errors: float
    latency: float


class Watch:
    """One revision under observation. `before` was counted of the one that it replaced; for a canary, `share` is the part
    of the requests that it gets of those that it and the live revision answer."""

    def __init__(self, limits: Limits, bounds: Sequence[float], before: Tally, share: float | None = None) -> None:
        self.limits = limits
        self.before = before
        self.share = share
        self.total = Tally()
        self.beside = Tally()
        self.intervals = 0
        self.slow = 0
        self._bounds = bounds
        self._from = Tally(), Tally()

    def look(self, mine: Tally, beside: Tally | None = None, interval: bool = True) -> str:
        """Take what was counted since the start (of the revision, and of the live one beside a canary); answers why it is
        worse, or nothing. `interval`: one of those in which latency is looked at ends here."""
        self.total, self.beside = mine, beside or Tally()
        if interval:
            self._interval(mine.since(self._from[0]), self.beside.since(self._from[1]))
            self._from = self.total, self.beside
        return self._deaths() or self._failures() or self._latency()

    def evidence(self) -> dict[str, Any]:
        """Counts and quantiles, and what they were held against. Times in milliseconds."""
        other = self.before if self.share is None else self.beside
        found: dict[str, Any] = {
            "answered": self.total.answered,
            "failed": self.total.failed,
            "deaths": self.total.deaths,
            "share_failed": self.total.failed / max(1, self.total.requests),
            "share_allowed": self.allowed(),
            "log_evidence_failures": round(self.log_failures(), 3),
            "intervals": self.intervals,
            "intervals_slow": self.slow,
            "log_evidence_latency": round(log_evidence_above(self.slow, self.intervals, 0.5), 3),
            "log_evidence_needed": round(ENOUGH, 3),
            "compared_answered": other.answered,
            "compared_failed": other.failed,
        }
        for name, tally in (("", self.total), ("compared_", other)):
            for share in (0.5, 0.99):
                bound = quantile(tally.buckets, self._bounds, share)
                found[f"{name}p{round(100 * share)}_ms"] = None if bound is None else round(bound / 1e6, 3)
        return found

    def allowed(self) -> float:
        """The share of failures that is allowed."""
        old = self.before
        if self.share is not None or not old.failed:
            return self.limits.errors
        return max(self.limits.errors, upper_share(old.failed, old.requests, ERROR / 2))

    def log_failures(self) -> float:
        """Natural log of the evidence that it fails more than it may."""
        error = ERROR if self.share is not None or not self.before.failed else ERROR / 2
        found = log_evidence_above(self.total.failed, self.total.requests, self.allowed()) - math.log(ERROR / error)
        if self.share is None:
            return found
        failures = self.total.failed + self.beside.failed
        return min(found, log_evidence_above(self.total.failed, failures, self.share))

    def _interval(self, mine: Tally, beside: Tally) -> None:
        limit = self._slow_limit(beside)
        if limit is None or mine.answered < LEAST_IN_INTERVAL:
            return
        self.intervals += 1
        median = quantile(mine.buckets, self._bounds, 0.5)
        self.slow += median is None or median > limit

    def _slow_limit(self, beside: Tally) -> float | None:
        """The median, in ns, above which an interval is slow; None when nothing can be said."""
        other, least = (self.before, LEAST_BEFORE) if self.share is None else (beside, LEAST_IN_INTERVAL)
        median = quantile(other.buckets, self._bounds, 0.5) if other.answered >= least else None
        return None if median is None else max(median * self.limits.latency, median + LEAST_SLOWER_NS)

    def _deaths(self) -> str:
        return f"its process died {self.total.deaths} times" if self.total.deaths >= MOST_DEATHS else ""

    def _failures(self) -> str:
        if self.log_failures() < ENOUGH:
            return ""
        return f"{self.total.failed} of {self.total.requests} requests failed, allowed are {self.allowed():.2%}"

    def _latency(self) -> str:
        if log_evidence_above(self.slow, self.intervals, 0.5) < ENOUGH:
            return ""
        found = self.evidence()
        return (
            f"its median latency was too high in {self.slow} of {self.intervals} intervals"
            f" ({found['p50_ms']} ms, compared {found['compared_p50_ms']} ms)"
        )


def quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The bound below which at least that share of the answers is; None without answers, or beyond the last bound."""
    total, passed = sum(buckets), 0
    for number, bound in zip(buckets, bounds, strict=False):
        passed += number
        if passed and passed >= share * total:
            return bound
    return None
