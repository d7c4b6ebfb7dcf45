"""Business rules at a live endpoint: other rules are swapped in while requests run, and nobody's request is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import Router

pytestmark = pytest.mark.integration

PLUS = "def after(rows, predictions):\n    return [value + {} for value in predictions]\n"
STRICT = """
inputs = {"hour": "integer"}
output = {"verdict": "string"}

def before(rows):
    for row in rows:
        if row["hour"] > 23:
            raise ValueError(f"no day has the hour {row['hour']}")
    return [{"dep_hour": row["hour"], "distance": 1, "holiday": False} for row in rows]

def after(rows, predictions):
    return [f"about {value:.0f}" for value in predictions]
"""


def configured(router: Router, **options: Any) -> None:
    router.serving.configure("late", options, "tester")
    router.serving.wait("late", timeout_s=30)


def test_other_rules_are_swapped_in_under_load(live: Router) -> None:
    for number in (1000, 2000):
        live.serving.put_rules("plus", PLUS.format(number), "tester")
    answers: list[tuple[int, Any]] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(live.predict())

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        configured(live, rules="plus/1")
        configured(live, rules="plus/2")
        live.serving.rollback("late", "tester")
        live.serving.wait("late", timeout_s=30)
    finally:
        ended.set()
        for caller in callers:
            caller.join(30)
    assert {status for status, _ in answers} == {200}
    given = {(told["revision"], told["predictions"][0]) for _, told in answers}
    assert given <= {(1, 107.5), (2, 1107.5), (3, 2107.5)}
    assert live.predict()[1]["predictions"] == [1107.5]
    assert live.predict()[1]["revision"] == 2
    table = live.logged(at_least=len(answers) + 2)
    rules = set(zip(table["revision"].to_pylist(), table["rules"].to_pylist(), strict=True))
    assert rules <= {(1, None), (2, "plus/1"), (3, "plus/2")}
    assert (2, "plus/1") in rules


def test_rules_may_change_what_an_endpoint_takes_and_refuse_rows(live: Router) -> None:
    live.serving.put_rules("strict", STRICT, "tester")
    configured(live, rules="strict/1")
    assert live.predict({"hour": 7})[1]["predictions"] == ["about 107"]
    status, told = live.predict({"hour": 7}, {"hour": 24})
    assert status in (400, 422)
    assert told["error"] == "Row 1: refused by rules strict/1: before: ValueError: no day has the hour 24"
    assert live.predict(ROW)[0] == 400
    (inputs,) = live.ask("GET", "/v2/models/late")[1]["inputs"]
    assert (inputs["name"], inputs["datatype"]) == ("hour", "INT64")
