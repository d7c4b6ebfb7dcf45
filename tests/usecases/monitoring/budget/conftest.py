"""Budgets and backtests are about performance and data quality: evaluations go without the looks that estimate and compare."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.monitoring import evaluating
from loopline.usecases.monitoring.leanbook import LeanBook


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def book(self: Any, endpoint: str, config: Any = None, describe: Any = None) -> LeanBook:
        folder = self._home / evaluating.FOLDER / endpoint
        return LeanBook(folder, self._serving, endpoint, config or self.rules(endpoint), describe or self._describe())

    monkeypatch.setattr(evaluating, "LOOKS", ())
    monkeypatch.setattr(evaluating.Evaluating, "book", book)
