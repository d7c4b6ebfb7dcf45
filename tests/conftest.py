"""Options and results that all tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Threads of BLAS wait by spinning: where processors are busy, small matrices take many times as long. Before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time, so that a change is what makes a test fail; EXPLORE=1 looks for new ones.
settings.register_profile("steady", settings(derandomize=not os.environ.get("EXPLORE"), deadline=None))
settings.load_profile("steady")


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


KINDS = {"unit", "integration", "journey", "browser", "torture"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of no kind would be run by no command: that must not happen unnoticed."""
    lost = [item.nodeid for item in items if not KINDS & {mark.name for mark in item.iter_markers()}]
    if lost:
        raise pytest.UsageError(f"{lost[0]} carries none of the markers {', '.join(sorted(KINDS))}.")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In continuous integration everything can be installed, so nothing may be skipped."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped in CI: {report.longrepr[2]}"
