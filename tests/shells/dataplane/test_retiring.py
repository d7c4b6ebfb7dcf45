"""An endpoint that is retired answers no more; put again, it answers from its next deployment on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dataplane_router import Router

pytestmark = pytest.mark.integration


def test_a_retired_endpoint_answers_no_more_until_it_is_deployed_again(live: Router) -> None:
    assert live.predict()[0] == 200
    live.opened.database.write(lambda tx: live.serving.retire_in(tx, "late", "ada"))
    deadline = time.monotonic() + 10
    while live.predict()[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert live.predict()[0] == 404
    assert live.serving.endpoints() == []
    assert live.serving.replayed(live.opened.ledger.since(0)) == live.opened.database.read(live.serving.current) == {}
    live.serving.put("late", "flights", "ada")
    assert live.deploy(2).revision == 2
    status, said = live.predict()
    assert (status, said["version"]) == (200, 2)
    assert len(live.serving.revisions("late")) == 2
