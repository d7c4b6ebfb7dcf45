"""The 2.x client against our server, as against MLflow's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from different import WANTED
from record import STORIES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def answers(server: str, told: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return told("mlflow-2", server, STORIES["mlflow-2"])


@pytest.mark.parametrize("story", STORIES["mlflow-2"])
def test_same_answers(story: str, answers: dict[str, Any], wanted: Callable[[str], dict[str, Any]]) -> None:
    expected = {**wanted("mlflow-2")[story], **WANTED.get(story, {})}
    assert not answers[story]["error"], answers[story]["error"]
    different = {
        name: [value, answers[story]["said"].get(name)]
        for name, value in expected.items()
        if answers[story]["said"].get(name) != value
    }
    assert not different
