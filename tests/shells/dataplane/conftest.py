"""Fixtures around the router in its own process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dataplane_router import Router


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    """Versions 1 and 2 answer 100 and 200 plus the row's dep_hour; nothing is deployed or started yet."""
    made = Router(tmp_path / "home", [["plain", 100.0], ["plain", 200.0]])
    yield made
    made.close()


@pytest.fixture
def live(router: Router) -> Router:
    """The router with version 1 live at the endpoint `late`."""
    router.start()
    router.deploy(1)
    return router


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """One live router for tests that change nothing but logs: version 1 refuses negative hours."""
    made = Router(tmp_path_factory.mktemp("shared") / "home", [["picky", 100.0]])
    made.serving.put("late", "flights", "tester", key="flight", event_time="departs")
    made.start()
    made.deploy(1)
    yield made
    made.close()
