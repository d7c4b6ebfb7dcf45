"""What is asked for and what is found."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.kit.conditions import agrees, wrong_condition

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("found", "wanted", "answer"),
    [
        (3, 3, True),
        (3, "3", True),
        (3.0, 3, True),
        (True, "true", True),
        ("a", ["b", "a"], True),
        ("a", [], False),
        (None, None, False),
        (None, ["a", None], False),
        (5, {">": 4, "<=": 5}, True),
        (5, {">": 5}, False),
        ("5.5", {">=": 5}, True),
        ("many", {">=": 5}, False),
        (True, {">=": 0}, False),
        (None, {"!=": "a"}, False),
        ("b", {"!=": "a"}, True),
        ("b", {"!=": ["a", "b"]}, False),
        (7, [{"<": 3}, {">": 6}], True),
        (7, {"about": 7}, False),
    ],
)
def test_conditions(found: Any, wanted: Any, answer: bool) -> None:
    assert agrees(found, wanted) is answer


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("a", ""),
        (["a", {">": 3}], ""),
        ({">=": "4"}, ""),
        ({"!=": "a"}, ""),
        ({"=>": 4}, "compares nothing"),
        ([{">": "many"}], "is no number"),
    ],
)
def test_wrong_conditions_are_told(wanted: Any, words: str) -> None:
    assert words in wrong_condition(wanted)
    assert bool(words) == bool(wrong_condition(wanted))
