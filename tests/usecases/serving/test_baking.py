"""When a revision is worse: seldom by chance, soon when it is."""

from __future__ import annotations

import random

import pytest

from loopline.usecases.serving.baking import MOST_DEATHS, Limits, Tally, Watch, quantile

pytestmark = pytest.mark.unit
BOUNDS = tuple(1e6 * 1.15**step for step in range(60))
LIMITS = Limits(0.01, 1.5)


def counted(requests: int, failed: int, ms: float = 5.0) -> Tally:
    buckets = [0] * (len(BOUNDS) + 1)
    buckets[next(place for place, bound in enumerate(BOUNDS) if bound >= ms * 1e6)] = requests
    return Tally(requests - failed, failed, 0, tuple(buckets))


def watched(watch: Watch, chance: random.Random, share: float, requests: int, each: int = 5) -> int | None:
    """After how many requests it is called worse, when a share of them fails; None when it is not."""
    failed = 0
    for done in range(each, requests + 1, each):
        failed += sum(chance.random() < share for _ in range(each))
        if watch.look(counted(done, failed), counted(done * 9, 0), interval=False):
            return done
    return None


def test_a_revision_that_is_not_worse_is_kept() -> None:
    chance = random.Random(1)
    assert [watched(Watch(LIMITS, BOUNDS, counted(500, 0)), chance, 0.01, 1000) for _ in range(60)] == [None] * 60


def test_one_that_fails_as_the_one_before_did_is_kept() -> None:
    chance = random.Random(2)
    before = counted(2000, 100)  # 5 %
    assert [watched(Watch(LIMITS, BOUNDS, before), chance, 0.05, 1000) for _ in range(40)] == [None] * 40
    assert watched(Watch(LIMITS, BOUNDS, before), chance, 0.5, 1000) is not None


def test_three_requests_decide_nothing_unless_they_all_fail() -> None:
    watch = Watch(LIMITS, BOUNDS, counted(500, 0))
    assert watch.look(counted(3, 1)) == ""
    assert "4 of 4 requests failed" in Watch(LIMITS, BOUNDS, counted(500, 0)).look(counted(4, 4))


def test_a_slower_one_is_found_by_intervals() -> None:
    watch, looks = Watch(LIMITS, BOUNDS, counted(500, 0, 5.0)), 0
    while not watch.look(counted(10 * (looks + 1), 0, 12.0)) and looks < 50:
        looks += 1
    assert 8 <= looks <= 15
    equal = Watch(LIMITS, BOUNDS, counted(500, 0, 5.0))
    assert all(equal.look(counted(10 * (look + 1), 0, 6.0)) == "" for look in range(200))
    little = Watch(LIMITS, BOUNDS, counted(10, 0, 5.0))  # too little is known of the one before
    assert all(little.look(counted(10 * (look + 1), 0, 50.0)) == "" for look in range(50))


def test_a_canary_is_held_against_what_answers_beside_it() -> None:
    chance = random.Random(4)
    canary = Watch(LIMITS, BOUNDS, Tally(), 0.1)
    assert watched(canary, chance, 0.3, 2000) is not None
    both = Watch(LIMITS, BOUNDS, Tally(), 0.1)
    for done in range(10, 500, 10):  # the same rows fail everywhere
        assert both.look(counted(done, done // 5), counted(done * 9, done * 9 // 5)) == ""
    slow = Watch(LIMITS, BOUNDS, Tally(), 0.1)
    for look in range(1, 60):  # a busy machine slows both down
        assert slow.look(counted(10 * look, 0, 40.0), counted(90 * look, 0, 40.0)) == ""


def test_deaths_decide_alone() -> None:
    watch = Watch(LIMITS, BOUNDS, Tally())
    assert watch.look(Tally(100, 0, MOST_DEATHS - 1, ())) == ""
    assert "died 3 times" in watch.look(Tally(100, 0, MOST_DEATHS, ()))


def test_evidence_tells_what_it_was() -> None:
    watch = Watch(LIMITS, BOUNDS, counted(500, 1, 5.0))
    watch.look(counted(100, 40, 8.0))
    found = watch.evidence()
    assert (found["answered"], found["failed"], found["compared_answered"]) == (60, 40, 499)
    assert found["p50_ms"] > found["compared_p50_ms"] > 4
    assert found["log_evidence_failures"] > found["log_evidence_needed"]
    assert quantile((), (), 0.5) is None
