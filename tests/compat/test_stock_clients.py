"""The stock client cannot tell the difference: each story is told of our server as it was told of MLflow's own, answer by
answer. `record.py` records the latter; where we differ on purpose, `WANTED` says what ours answers and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from different import WANTED
from record import STORIES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def answers(server: str, told: Callable[..., dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """What all stories of a client say of our server."""
    return cache(lambda peer: told(peer, server, STORIES[peer]))


@pytest.mark.parametrize(
    ("peer", "story"), [(peer, story) for peer in ("mlflow-3", "mlflow-torch") for story in STORIES[peer]]
)
def test_same_answers(
    peer: str, story: str, answers: Callable[[str], dict[str, Any]], wanted: Callable[[str], dict[str, Any]]
) -> None:
    same(answers(peer)[story], {**wanted(peer)[story], **WANTED.get(story, {})})


def same(told: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Every answer, and no error on the way."""
    different = {
        name: {"wanted": value, "found": told["said"].get(name, "(not reached)")}
        for name, value in wanted.items()
        if told["said"].get(name, "(not reached)") != value
    }
    assert not told["error"], told["error"]
    assert not different
