"""Evidence that may be looked at at any time: it seldom lies, and it finds what is there."""

from __future__ import annotations

import math
import random

import pytest

from loopline.kit.sequential import log_evidence_above, log_evidence_shares, upper_share

pytestmark = pytest.mark.unit


def test_no_more_failures_than_allowed_seldom_look_like_more() -> None:
    """At the claim's edge, looked at after every request, an alarm at 1/20 comes in at most 5 % of the runs."""
    chance, alarms, runs = random.Random(7), 0, 300
    for _ in range(runs):
        hits = 0
        for trial in range(1, 401):
            hits += chance.random() < 0.05
            if log_evidence_above(hits, trial, 0.05) >= math.log(20):
                alarms += 1
                break
    assert alarms / runs <= 0.05


@pytest.mark.parametrize(("share", "most"), [(1.0, 4), (0.5, 12), (0.1, 120)])
def test_failures_are_found_soon(share: float, most: int) -> None:
    """More than the 1 % allowed, with evidence of 1,000 to 1: how many requests it takes at most, in the middle of runs."""
    chance, needed = random.Random(3), []
    for _ in range(51):
        hits, trial = 0, 0
        while log_evidence_above(hits, trial, 0.01) < math.log(1000):
            trial += 1
            hits += chance.random() < share
        needed.append(trial)
    assert sorted(needed)[25] <= most


def test_the_ends() -> None:
    assert log_evidence_above(0, 0, 0.01) == 0.0
    assert log_evidence_above(10, 10, 1.0) == 0.0
    assert log_evidence_above(0, 1000, 0.01) < 0
    assert log_evidence_above(1, 1, 0.0) > math.log(100)


def test_arms_that_get_their_shares_seldom_look_as_if_they_did_not() -> None:
    chance, alarms = random.Random(5), 0
    for _ in range(200):
        counts = [0, 0, 0]
        for _ in range(300):
            counts[chance.choices((0, 1, 2), (0.5, 0.3, 0.2))[0]] += 1
            if log_evidence_shares(counts, (0.5, 0.3, 0.2)) >= math.log(20):
                alarms += 1
                break
    assert alarms / 200 <= 0.05
    assert log_evidence_shares([600, 400], (0.5, 0.5)) > math.log(1000)
    with pytest.raises(ValueError, match="above 0"):
        log_evidence_shares([1, 2], (1.0, 0.0))


def test_an_upper_share_covers() -> None:
    chance, beyond = random.Random(11), 0
    for _ in range(500):
        hits = sum(chance.random() < 0.1 for _ in range(200))
        beyond += upper_share(hits, 200, 0.05) < 0.1
    assert beyond / 500 <= 0.05
    assert upper_share(0, 0, 0.05) == 1.0
    assert upper_share(3, 3, 0.05) == 1.0
    assert upper_share(0, 1000, 0.01) < 0.01
