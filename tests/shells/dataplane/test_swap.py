"""Nobody notices a deployment: swaps, rollbacks and restarts under an independent client's load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

from loopline.core.errors import CheckFailed

pytestmark = pytest.mark.integration
STORM = Path(__file__).with_name("storm.py")
PATH = "/v1/endpoints/late/predict"


def storm(router: Router, seconds: float, connections: int = 16) -> subprocess.Popen[str]:
    body = router.home / "body.json"
    body.write_text(json.dumps({"rows": [ROW]}))
    arguments = [str(router.port), TOKEN, PATH, str(seconds), str(connections), str(body)]
    return subprocess.Popen([sys.executable, str(STORM), *arguments], stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> Any:
    said, _ = process.communicate(timeout=60)
    return json.loads(said)


def test_swaps_under_load_lose_nothing(live: Router) -> None:
    running = storm(live, 5.0)
    time.sleep(0.5)
    for version in (2, 1, 2):
        live.deploy(version)
        time.sleep(0.3)
    live.serving.rollback("late", "tester")
    live.serving.wait("late", timeout_s=10)
    result = told(running)
    assert result["bad"] == []
    assert result["not_200"] == 0
    assert result["per_second"] >= 1000
    assert len(set(result["revisions"])) == 4
    assert all(
        prediction == (107.5 if revision in (1, 3) else 207.5)
        for revision, prediction in zip(result["revisions"], result["predictions"], strict=True)
    )
    logged = live.logged(at_least=result["sent"])
    assert logged.num_rows == result["sent"]
    assert sorted(logged["id"].to_pylist()) == sorted(result["ids"])
    by_id = dict(zip(logged["id"].to_pylist(), logged["revision"].to_pylist(), strict=True))
    assert [by_id[name] for name in result["ids"]] == result["revisions"]


def test_a_restart_of_the_router_loses_no_queued_connection(live: Router) -> None:
    running = storm(live, 4.0, 8)
    time.sleep(1.0)
    assert live.stop() == 0
    live.start()
    result = told(running)
    assert [bad for bad in result["bad"] if bad[0] == 503] == []
    assert result["not_200"] == 0, result["bad"]
    assert live.logged(at_least=result["sent"]).num_rows == result["sent"]


def truths(router: Router, ended: threading.Event, said: list[Any]) -> None:
    """Post truth until told to stop, and keep every answer."""
    rows = [{"key": "UA1", "event_time": "2013-04-01T12:00:00Z", "value": 1}]
    while not ended.is_set():
        said.append(router.ask("POST", "/v1/endpoints/late/truth", {"rows": rows}))


def test_a_successor_takes_over_without_a_pause(router: Router) -> None:
    router.serving.put("late", "flights", "tester", key="flight")
    router.start()
    router.deploy(1)
    router.predict()
    router.until(lambda: json.loads((router.home / "run" / "loaded.json").read_text()) == ["late"])
    ended, said = threading.Event(), []
    writer = threading.Thread(target=truths, args=(router, ended, said))
    writer.start()
    running = storm(router, 6.0, 8)
    before = router.process
    assert before is not None
    router.start("--replace")
    assert before.wait(20) == 0
    result = told(running)
    ended.set()
    writer.join()
    assert result["not_200"] == 0, result["bad"]
    assert router.logged(at_least=result["sent"] + 1).num_rows == result["sent"] + 1
    assert [status for status, _ in said if status != 200] == []
    seqs = [answer["first_seq"] for _, answer in said]
    assert seqs == list(range(1, len(seqs) + 1))
    router.until(lambda: router.serving.address()["pid"] == router.process.pid)  # type: ignore[union-attr]
    router.deploy(2)
    assert router.predict()[1]["version"] == 2


def test_a_successor_that_cannot_load_leaves_the_one_before_serving(live: Router) -> None:
    live.until(lambda: json.loads((live.home / "run" / "loaded.json").read_text()) == ["late"])
    live.describe([["broken", 0.0]])
    before = live.process
    live.start("--replace")
    assert live.process is not None
    assert live.process.wait(20) == 5
    assert "The file is damaged" in live.log_text()
    live.process = before
    assert live.predict()[0] == 200


def test_a_process_that_dies_is_replaced_and_its_requests_are_sent_again(live: Router) -> None:
    running = storm(live, 2.0)
    time.sleep(0.7)
    assert live.process is not None
    for child in psutil.Process(live.process.pid).children():
        child.send_signal(signal.SIGKILL)
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    assert live.logged(at_least=result["sent"]).num_rows == result["sent"]
    _, metrics = live.ask("GET", "/metrics")
    assert 'loopline_model_processes_restarted_total{endpoint="late"} 1' in metrics


def test_a_row_that_kills_the_model_is_refused_and_the_model_comes_back(router: Router) -> None:
    router.describe([["dies", 100.0], ["dies once", 100.0]])
    router.start()
    router.deploy(1)
    status, said = router.predict({**ROW, "dep_hour": 666.0})
    assert (status, "died twice" in said["error"]) == (503, True)
    assert router.predict()[0] == 200
    router.deploy(2)
    assert router.predict({**ROW, "dep_hour": 666.0})[1]["predictions"] == [766.0]


def test_a_revision_that_does_not_load_leaves_the_old_one_serving(router: Router) -> None:
    router.describe([["plain", 100.0], ["broken", 0.0]])
    router.start()
    router.deploy(1)
    made = router.serving.deploy("late", 2, "tester")
    with pytest.raises(CheckFailed, match="damaged"):
        router.serving.wait("late", made.revision, 10)
    failed = router.serving.revision("late", 2)
    assert (failed.status, failed.reason) == ("failed", "The file is damaged.")
    kinds = [fact.kind for fact in router.opened.ledger.about("endpoint:late")]
    assert "deployment.failed" in kinds
    assert router.predict()[1]["predictions"] == [107.5]
    assert router.serving.endpoint("late").live == 1


def test_no_process_outlives_a_router_that_is_killed(live: Router) -> None:
    assert live.process is not None
    children = psutil.Process(live.process.pid).children()
    assert children
    live.process.kill()
    live.process.wait()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert alive == []


def test_the_router_serves_what_was_live_without_anybody_else(live: Router) -> None:
    live.deploy(2)
    live.process.kill()  # type: ignore[union-attr]
    live.process.wait()  # type: ignore[union-attr]
    live.start()
    status, said = live.predict()
    assert (status, said["version"], said["revision"]) == (200, 2, 2)


def test_an_alias_that_moves_is_followed_and_a_rollback_is_not_undone(router: Router) -> None:
    (router.home / "production.alias").write_text("1")
    router.serving.put("late", "flights", "tester", alias="production")
    router.start()
    deadline = time.monotonic() + 10
    while router.serving.endpoint("late").live is None and time.monotonic() < deadline:
        time.sleep(0.05)
    (router.home / "production.alias").write_text("2")
    router.serving.put("other", "flights", "tester")  # the double's alias is no row: make a commit to be noticed
    while router.serving.endpoint("late").live != 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert router.predict()[1]["version"] == 2
    router.serving.rollback("late", "tester")
    router.serving.wait("late", timeout_s=10)
    time.sleep(0.3)
    assert router.predict()[1]["version"] == 1


def test_when_the_supervisor_dies_the_router_ends_soon_and_in_order(router: Router) -> None:
    router.start()
    router.deploy(1)
    router.stop()
    script = (
        "import os, subprocess, sys, time\n"
        "environment = {**os.environ, 'LOOPLINE_PARENT': str(os.getpid())}\n"
        "started = subprocess.Popen(sys.argv[2:], pass_fds=[int(sys.argv[1])], env=environment)\n"
        "print(started.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    handle = str(router.listener.fileno())
    command = [sys.executable, "-m", "loopline.shells.dataplane", "--home", str(router.home), "--fd", handle]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script, handle, *command, "--installation", "dataplane_doubles:open_double"],
        pass_fds=[int(handle)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    assert supervisor.stdout is not None
    child = psutil.Process(int(supervisor.stdout.readline()))
    name = router.predict()[1]["ids"][0]
    family = [child, *child.children()]
    supervisor.kill()
    supervisor.communicate()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert router.serving.read_predictions("late")["id"].to_pylist() == [name]
