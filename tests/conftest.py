"""Options and results that all tests share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture-results", type=Path, metavar="FILE", help="where the figures of long runs are written")


@pytest.fixture(scope="session")
def torture_result(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """`torture_result("kills", rounds=50, …)` keeps the figures of a long run; they are written at the session's end,
    beside those of runs that did not take place this time."""
    found: dict[str, Any] = {}

    def keep(name: str, **figures: Any) -> None:
        found[name] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", **figures}

    yield keep
    file: Path | None = request.config.getoption("--torture-results")
    if file is not None and found:
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | found, indent=2, sort_keys=True) + "\n")
