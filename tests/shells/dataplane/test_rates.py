"""How often a caller may ask, against a bucket as one would write it down."""

from __future__ import annotations

import pytest
from dataplane_doubles import ROW
from dataplane_router import Router
from hypothesis import given
from hypothesis import strategies as st

from loopline.shells.dataplane.rates import Rates

KEY = ("shop", "late")
POWERS = st.sampled_from([2.0**n for n in range(-4, 10)])
STEPS = st.lists(st.integers(0, 1 << 12).map(lambda n: n / 256), max_size=60)  # exact in floating point


class Bucket:
    """The reference: so many requests, refilled with time."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate, self.burst, self.held, self.at = rate, burst, float(burst), now

    def take(self, now: float) -> float:
        self.held = min(float(self.burst), self.held + (now - self.at) * self.rate)
        self.at = now
        if self.held >= 1:
            self.held -= 1
            return 0.0
        return (1 - self.held) / self.rate


@pytest.mark.unit
@given(POWERS, st.integers(1, 50), STEPS)
def test_it_does_what_a_bucket_does(rate: float, burst: int, steps: list[float]) -> None:
    rates, bucket, now = Rates(), Bucket(rate, burst, 1000.0), 1000.0
    for step in steps:
        now += step
        assert rates.take(KEY, rate, burst, now) == pytest.approx(bucket.take(now), abs=1e-9)


@pytest.mark.unit
@given(POWERS, st.integers(1, 20))
def test_who_waits_as_long_as_told_is_taken(rate: float, burst: int) -> None:
    rates, now = Rates(), 5.0
    for _ in range(burst):
        assert rates.take(KEY, rate, burst, now) == 0
    for _ in range(5):
        wait = rates.take(KEY, rate, burst, now)
        assert wait > 0
        now += wait
        assert rates.take(KEY, rate, burst, now) == 0


@pytest.mark.unit
def test_buckets_are_apart_and_their_number_is_bounded() -> None:
    rates = Rates(most=100)
    assert rates.take(("a", "late"), 1.0, 1, 0.0) == 0
    assert rates.take(("a", "late"), 1.0, 1, 0.0) > 0
    assert rates.take(("b", "late"), 1.0, 1, 0.0) == rates.take(("a", "churn"), 1.0, 1, 0.0) == 0
    for number in range(1000):
        rates.take((f"c{number}", "late"), 1.0, 10, 0.0)
        assert len(rates) <= 100
    for _ in range(9):
        rates.take(("greedy", "late"), 1.0, 10, 0.0)
    for number in range(60):
        rates.take((f"d{number}", "late"), 1.0, 10, 0.0)
    assert rates.take(("greedy", "late"), 1.0, 10, 0.0) == 0
    assert rates.take(("greedy", "late"), 1.0, 10, 0.0) > 0  # the emptiest is kept


@pytest.mark.integration
def test_an_endpoint_refuses_who_asks_too_often(live: Router) -> None:
    live.serving.configure("late", {"rate": 0.05, "burst": 3}, "tester")
    live.deploy(2)  # once it is live, the options are too
    answers = [live.predict() for _ in range(4)]
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert answers[3][1]["error"] == "Endpoint 'late' takes 0.05 requests a second from each caller, 3 at once."
    status, headers = refusal(live)
    assert (status, headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == (429, "3", "0")
    assert 0 < float(headers["x-ratelimit-reset"]) <= int(headers["retry-after"]) <= 20
    assert live.ask("GET", "/v2/models/late")[0] == 200  # only what works is counted
    other = live.opened.access.new("other", "viewer", "tester").secret
    assert live.ask("POST", "/v1/endpoints/late/predict", {"rows": [ROW]}, other)[0] == 200
    live.serving.configure("late", {"rate": None}, "tester")
    live.deploy(1)
    assert live.predict()[0] == 200


def refusal(router: Router) -> tuple[int, dict[str, str]]:
    import http.client
    import json

    from dataplane_router import TOKEN

    connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=15)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    connection.request("POST", "/v1/endpoints/late/predict", json.dumps({"rows": [ROW]}), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.headers.items()}
