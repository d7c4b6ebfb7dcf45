"""Versions on real traffic: canaries, shadows, tests, bake periods and going back, under an independent client's load."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

from loopline.core.errors import CheckFailed

pytestmark = pytest.mark.integration
STORM = Path(__file__).with_name("storm.py")
PATH = "/v1/endpoints/late/predict"
FIVE = [["plain", 100.0], ["plain", 200.0], ["sours", 0.0], ["slow", 100.0], ["nan", 300.0]]


@pytest.fixture
def serving_one(router: Router) -> Router:
    """Version 1 is live; 2 answers otherwise, 3 soon no more, 4 slowly, 5 never."""
    router.describe(FIVE)
    router.serving.put("late", "flights", "tester", key="flight")
    router.start()
    router.deploy(1)
    return router


def storm(router: Router, seconds: float, connections: int = 8) -> subprocess.Popen[str]:
    body = router.home / "body.json"
    body.write_text(json.dumps({"rows": [ROW]}))
    arguments = [str(router.port), TOKEN, PATH, str(seconds), str(connections), str(body)]
    return subprocess.Popen([sys.executable, str(STORM), *arguments], stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> Any:
    said, _ = process.communicate(timeout=90)
    return json.loads(said)


def until(found: Callable[[], Any], patience: float = 20.0) -> Any:
    """What `found` answers, once it is something."""
    deadline = time.monotonic() + patience
    while True:
        answer = found()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


def status(router: Router, revision: int, wanted: str) -> bool:
    return bool(until(lambda: router.serving.revision("late", revision).status == wanted))


def kinds(router: Router) -> list[str]:
    return [fact.kind for fact in router.opened.ledger.about("endpoint:late")]


def test_a_canary_gets_its_share_and_is_made_live_without_a_lost_request(serving_one: Router) -> None:
    router = serving_one
    running = storm(router, 4.0)
    made = router.serving.canary("late", 2, 0.25, "tester")
    assert status(router, made.revision, "beside")
    time.sleep(0.7)
    router.serving.share("late", {"canary": 0.5}, "tester")
    time.sleep(0.5)
    router.serving.promote("late", "tester")
    router.serving.wait("late", made.revision, 10)
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    assert router.serving.split("late") is None
    logged = router.logged(at_least=result["sent"])
    assert logged.num_rows == result["sent"]
    pairs = Counter(zip(logged["revision"].to_pylist(), logged["arm"].to_pylist(), strict=True))
    assert set(pairs) == {(1, "live"), (2, "canary"), (2, "live")}
    assert pairs[2, "canary"] > 100
    assert kinds(router)[-1] == "traffic.changed"
    assert {"deployment.beside", "deployment.live"} <= set(kinds(router))


def test_a_version_is_warmed_with_what_was_asked_before(serving_one: Router) -> None:
    router = serving_one
    for hour in range(20):
        router.predict({**ROW, "dep_hour": float(hour)})
    router.logged(at_least=20)
    made = router.serving.deploy("late", 5, "tester")
    with pytest.raises(CheckFailed, match="cannot score 20 of the 20 newest requests"):
        router.serving.wait("late", made.revision, 20)
    router.deploy(2)
    assert router.logged().num_rows == 20  # warming up is not logged


def test_a_bad_version_is_put_back_by_itself_and_at_once(serving_one: Router) -> None:
    router = serving_one
    router.serving.configure("late", {"bake_s": 30.0}, "tester")
    running = storm(router, 3.5, 4)
    time.sleep(0.7)
    made = router.serving.deploy("late", 3, "tester")
    assert until(lambda: "deployment.rolled_back" in kinds(router))
    result = told(running)
    live = router.serving.history("late")
    assert [(each.revision, each.until_at is None) for each in live[:2]] == [(1, True), (made.revision, False)]
    bad = [each for each in result["bad"] if each[0] != 422]
    assert bad == []
    verdict = router.serving.verdicts("late")[0]
    assert (verdict.verdict, verdict.revision) == ("rolled back", made.revision)
    assert verdict.evidence["failed"] >= 3
    assert 0 < result["not_200"] <= verdict.evidence["failed"] + 64  # those that were on their way
    assert router.serving.endpoint("late").wanted == 1


def test_a_slow_version_is_put_back_and_nobody_is_refused(serving_one: Router) -> None:
    router = serving_one
    router.serving.configure("late", {"bake_s": 60.0}, "tester")
    running = storm(router, 8.0, 4)
    time.sleep(0.7)
    router.serving.deploy("late", 4, "tester")
    assert until(lambda: "deployment.rolled_back" in kinds(router))
    verdict = router.serving.verdicts("late")[0]
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    assert "latency" in verdict.reason
    assert verdict.evidence["p50_ms"] > 100 > verdict.evidence["compared_p50_ms"]
    assert router.serving.endpoint("late").live == 1


def test_a_canary_takes_its_steps_and_is_made_live(serving_one: Router) -> None:
    router = serving_one
    running = storm(router, 5.0, 4)
    made = router.serving.canary("late", 2, 0.0, "tester", steps=(0.2, 0.5, 1.0), every_s=1.0)
    router.serving.wait("late", made.revision, 20)
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    verdicts = [each.verdict for each in router.serving.verdicts("late")][::-1]
    assert verdicts == ["advanced", "promoted"]
    assert router.serving.endpoint("late").live == made.revision


def test_a_canary_that_fails_is_taken_off(serving_one: Router) -> None:
    router = serving_one
    running = storm(router, 3.0, 4)
    made = router.serving.canary("late", 3, 0.2, "tester")
    assert until(lambda: router.serving.verdicts("late"))
    assert router.serving.verdicts("late")[0].verdict == "stopped"
    assert status(router, made.revision, "retired")
    assert router.serving.split("late") is None
    result = told(running)
    assert [each for each in result["bad"] if each[0] != 422] == []
    assert result["revisions"][-1] == 1


def test_a_key_sticks_to_its_arm(serving_one: Router) -> None:
    router = serving_one
    made = router.serving.test_arm("late", 2, "b", 0.5, "tester")
    assert status(router, made.revision, "beside")
    first = [router.predict({**ROW, "flight": f"UA{n}"})[1]["revision"] for n in range(40)]
    again = [router.predict({**ROW, "flight": f"UA{n}"})[1]["revision"] for n in range(40)]
    assert first == again
    assert 5 <= first.count(made.revision) <= 35
    router.serving.share("late", {"b": 0.7}, "tester")
    until(lambda: False, 0.5)
    more = [router.predict({**ROW, "flight": f"UA{n}"})[1]["revision"] for n in range(40)]
    assert all(new == made.revision for old, new in zip(first, more, strict=True) if old == made.revision)
    assert router.predict()[1]["revision"] == 1  # without a key


def test_a_header_sticks_to_its_arm(serving_one: Router) -> None:
    router = serving_one
    made = router.serving.canary("late", 2, 0.5, "tester", by="header:X-Session")
    assert status(router, made.revision, "beside")

    def ask(session: str) -> int:
        return int(router.ask("POST", PATH, {"rows": [ROW]}, **{"X-Session": session})[1]["revision"])

    assert until(lambda: made.revision in {ask(f"s{n}") for n in range(20)})
    assert [ask(f"s{n}") for n in range(20)] == [ask(f"s{n}") for n in range(20)]


def test_a_shadow_sees_what_was_answered_and_answers_nobody(serving_one: Router) -> None:
    router = serving_one
    made = router.serving.shadow("late", 2, 1.0, "tester")
    assert status(router, made.revision, "beside")
    running = storm(router, 1.5, 4)
    result = told(running)
    assert result["not_200"] == 0
    assert set(result["revisions"]) == {1}
    assert set(router.logged(at_least=result["sent"])["revision"].to_pylist()) == {1}
    summary = until(lambda: router.serving.shadow_summary("late", made.revision) or None)
    assert summary.compared > 0
    assert summary.mean_difference == pytest.approx(100.0)
    assert summary.different == summary.compared


def test_a_rollback_is_answered_by_the_old_revision_within_a_second(serving_one: Router) -> None:
    router = serving_one
    router.deploy(2)
    start = time.monotonic()
    router.serving.rollback("late", "tester")
    assert until(lambda: router.predict()[1]["revision"] == 1)
    assert time.monotonic() - start < 5.0  # measured: 0.15 s, on a machine that does nothing else
