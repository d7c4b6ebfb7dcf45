"""kill -9 at any moment: what was acknowledged is there, nothing is half, and the next start is quick."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import psutil
import pytest
from dataplane_router import Router

pytestmark = pytest.mark.integration


def journal(router: Router, ended: threading.Event, acknowledged: list[tuple[int, int]]) -> None:
    """Post truth until told to stop; keep what was acknowledged (first and last seq)."""
    rows = [{"key": f"UA{n}", "event_time": "2013-04-01T12:00:00Z", "value": n} for n in range(5)]
    while not ended.is_set():
        try:
            status, said = router.ask("POST", "/v1/endpoints/late/truth", {"rows": rows})
        except OSError:
            continue
        except Exception:
            continue
        if status == 200:
            acknowledged.append((said["first_seq"], said["last_seq"]))


def test_no_acknowledged_truth_is_lost(router: Router) -> None:
    router.serving.put("late", "flights", "tester", key="flight")
    chance = random.Random(7)
    router.start()
    router.deploy(1)
    ended, acknowledged = threading.Event(), []
    writers = [threading.Thread(target=journal, args=(router, ended, acknowledged)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(4):
        time.sleep(0.3 + chance.random() / 2)
        assert router.process is not None
        router.process.kill()
        router.process.wait()
        router.start()
        assert router.ask("GET", "/health")[0] == 200
    ended.set()
    for writer in writers:
        writer.join()
    table = router.serving.read_truth("late")
    seqs = table["seq"].to_pylist()
    assert len(set(seqs)) == len(seqs)
    found = dict(zip(seqs, table["value"].to_pylist(), strict=True))
    assert len(acknowledged) > 20
    for first, last in acknowledged:
        assert [found.get(seq) for seq in range(first, last + 1)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    router.stop()
    before: Any = table.num_rows
    router.serving.seal()
    assert router.serving.read_truth("late").num_rows == before


def test_flushed_predictions_survive(live: Router) -> None:
    names = [live.predict()[1]["ids"][0] for _ in range(20)]
    live.logged(at_least=20)
    assert live.process is not None
    live.process.kill()
    live.process.wait()
    assert live.serving.read_predictions("late")["id"].to_pylist() == names
    assert live.serving.seal() == 1
    live.start()
    names.append(live.predict()[1]["ids"][0])
    assert live.logged(at_least=21)["id"].to_pylist() == names


def test_the_router_says_where_it_is_as_long_as_it_runs(live: Router) -> None:
    assert live.serving.address()["url"] == f"http://127.0.0.1:{live.port}"
    live.stop()
    with pytest.raises(Exception, match="does not run"):
        live.serving.address()


def test_a_deployment_under_way_goes_on_after_a_stop(live: Router) -> None:
    """A stop is no fault of the revision that was loading."""
    assert live.process is not None
    router = psutil.Process(live.process.pid)
    number = live.serving.deploy("late", 2, "tester").revision
    while len(router.children()) < 2:
        time.sleep(0.005)
    live.stop()
    assert live.serving.revision("late", number).status == "requested"
    live.start()
    assert live.serving.wait("late", number, 20).status == "live"
