"""Many endpoints with news take turns: nobody is evaluated twice before all were once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.shells.worker import chores
from loopline.shells.worker.chores import Chores

pytestmark = pytest.mark.unit


class Answers:
    """A child that has done everything at once."""

    asked: list[str] = []

    def __init__(self, home: Path) -> None:
        pass

    def ask(self, question: dict[str, Any]) -> None:
        self.asked.append(question["endpoint"])

    def answer(self) -> str:
        return json.dumps({"error": "", "seconds": "0.01"})

    def kill(self) -> None:
        pass


def test_all_endpoints_have_their_turn_before_one_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"e{number:02d}" for number in range(40)]
    for name in names:
        (tmp_path / "predictions" / name).mkdir(parents=True)
    Answers.asked = []
    monkeypatch.setattr(chores, "Child", Answers)
    monkeypatch.setattr(chores, "LOOK_S", 0.0)
    watched = Chores(tmp_path)
    for tick in range(120):
        for name in names:  # there is always news
            (tmp_path / "predictions" / name / "log").write_text("x" * tick)
        watched.look()
    asked = [name for name in Answers.asked if name]
    assert sorted(asked[:40]) == names
    assert sorted(asked[40:80]) == names
