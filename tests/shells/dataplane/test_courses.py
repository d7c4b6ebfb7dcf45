"""Versions on real traffic: canaries, shadows, tests, bake periods and going back, under an independent client's load."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

from loopline.core.errors import CheckFailed

pytestmark = pytest.mark.integration
STORM = Path(__file__).with_name("storm.py")
FIVE = [["plain", 100.0], ["plain", 200.0], ["sours", 0.0], ["slow", 100.0], ["nan", 300.0]]


class Endpoint:
    """An endpoint of its own on the router that all tests here share: version 1 is live."""

    def __init__(self, router: Router, name: str) -> None:
        self.router, self.serving, self.name = router, router.serving, name
        self.storms: list[subprocess.Popen[str]] = []
        self.serving.put(name, "flights", "tester", key="flight")
        self.deploy(1)

    def deploy(self, version: int) -> Any:
        return self.router.deploy(version, self.name)

    def predict(self, row: dict[str, Any] = ROW) -> Any:
        return self.router.predict(row, endpoint=self.name)

    def revision(self, row: dict[str, Any] = ROW) -> int:
        return int(self.predict(row)[1]["revision"])

    def logged(self, at_least: int = 0) -> Any:
        return self.router.logged(self.name, at_least)


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """Version 2 answers otherwise than 1, 3 soon no more, 4 slowly, 5 never."""
    made = Router(tmp_path_factory.mktemp("courses") / "home", FIVE)
    made.start()
    yield made
    made.close()


@pytest.fixture
def late(router: Router) -> Iterator[Endpoint]:
    made = Endpoint(router, f"late-{len(router.serving.endpoints())}")
    yield made
    for process in made.storms:
        process.kill()
        process.communicate()
    if made.serving.split(made.name) is not None:
        made.serving.stop(made.name, "tester")
    made.serving.configure(made.name, {"bake_s": None}, "tester")


def storm(late: Endpoint, seconds: float = 120.0, connections: int = 8) -> subprocess.Popen[str]:
    """Load that goes on until it is `told`, or for so many seconds."""
    body = late.router.home / "body.json"
    body.write_text(json.dumps({"rows": [ROW]}))
    arguments = [
        str(late.router.port),
        TOKEN,
        f"/v1/endpoints/{late.name}/predict",
        str(seconds),
        str(connections),
        str(body),
    ]
    late.storms.append(subprocess.Popen([sys.executable, str(STORM), *arguments], stdout=subprocess.PIPE, text=True))
    return late.storms[-1]


def told(process: subprocess.Popen[str], at_once: bool = True) -> Any:
    """What the clients saw; ends the load first, unless it shall go on for its time."""
    if at_once:
        process.terminate()
    said, _ = process.communicate(timeout=90)
    return json.loads(said)


def until(found: Callable[[], Any], patience: float = 60.0) -> Any:
    """What `found` answers, once it is something."""
    deadline = time.monotonic() + patience
    while True:
        answer = found()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


def status(late: Endpoint, revision: int, wanted: str) -> bool:
    return bool(until(lambda: late.serving.revision(late.name, revision).status == wanted))


def kinds(late: Endpoint) -> list[str]:
    return [fact.kind for fact in late.router.opened.ledger.about(f"endpoint:{late.name}")]


def counted(late: Endpoint, number: int) -> dict[str, int]:
    return {each.arm: each.answered for each in late.serving.counts_of(late.name, number)}


def test_a_canary_gets_its_share_and_is_made_live_without_a_lost_request(late: Endpoint) -> None:
    running = storm(late)
    made = late.serving.canary(late.name, 2, 0.25, "tester")
    assert status(late, made.revision, "beside")
    late.logged(at_least=600)
    late.serving.share(late.name, {"canary": 0.5}, "tester")
    time.sleep(0.5)
    late.serving.promote(late.name, "tester")
    late.serving.wait(late.name, made.revision, 60)
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    assert late.serving.split(late.name) is None
    logged = late.logged(at_least=result["sent"])
    assert logged.num_rows == result["sent"]
    pairs = Counter(zip(logged["revision"].to_pylist(), logged["arm"].to_pylist(), strict=True))
    assert set(pairs) == {(1, "live"), (2, "canary"), (2, "live")}
    assert pairs[2, "canary"] > 100
    canary = pairs[2, "canary"]  # all but those that were under way at the swap are counted as its own
    late.router.until(lambda: canary - 8 <= counted(late, made.revision)["canary"])
    assert counted(late, made.revision)["canary"] <= canary
    assert kinds(late)[-1] == "traffic.changed"
    assert {"deployment.beside", "deployment.live"} <= set(kinds(late))


def test_a_version_is_warmed_with_what_was_asked_before(late: Endpoint) -> None:
    for hour in range(20):
        late.predict({**ROW, "dep_hour": float(hour)})
    late.logged(at_least=20)
    made = late.serving.deploy(late.name, 5, "tester")
    with pytest.raises(CheckFailed, match="cannot score 20 of the 20 newest requests"):
        late.serving.wait(late.name, made.revision, 60)
    late.deploy(2)
    assert late.logged().num_rows == 20  # warming up is not logged


def test_a_bad_version_is_put_back_by_itself_and_at_once(late: Endpoint) -> None:
    late.serving.configure(late.name, {"bake_s": 30.0}, "tester")
    running = storm(late, connections=4)
    late.logged(at_least=200)
    made = late.serving.deploy(late.name, 3, "tester")
    assert until(lambda: "deployment.rolled_back" in kinds(late))
    result = told(running)
    live = late.serving.history(late.name)
    assert [(each.revision, each.until_at is None) for each in live[:2]] == [(1, True), (made.revision, False)]
    bad = [each for each in result["bad"] if each[0] != 422]
    assert bad == []
    verdict = late.serving.verdicts(late.name)[0]
    assert (verdict.verdict, verdict.revision) == ("rolled back", made.revision)
    assert verdict.evidence["failed"] >= 3
    assert 0 < result["not_200"] <= verdict.evidence["failed"] + 64  # those that were on their way
    assert late.serving.endpoint(late.name).wanted == 1


def test_a_bake_period_goes_on_after_the_data_plane_was_killed(tmp_path: Path) -> None:
    made = Router(tmp_path / "home", FIVE)
    try:
        made.start()
        late = Endpoint(made, "late")
        late.serving.configure("late", {"bake_s": 600.0}, "tester")
        late.deploy(2)
        made.until(lambda: b'"revision":2' in (made.home / "run" / "bakes.json").read_bytes())
        assert made.process is not None
        made.process.kill()
        made.process.wait()
        made.describe([FIVE[0], FIVE[2], *FIVE[2:]])
        made.start()
        until(lambda: late.predict()[1].get("revision") != 2, 60)
        assert until(lambda: late.predict()[0] == 200 and late.revision() == 1)
        made.until(lambda: late.serving.endpoint("late").live == 1)
        assert [each.verdict for each in late.serving.verdicts("late")] == ["rolled back"]
        made.until(lambda: (made.home / "run" / "bakes.json").read_bytes() == b"[]")
    finally:
        made.close()


def test_a_slow_version_is_put_back_and_nobody_is_refused(late: Endpoint) -> None:
    late.serving.configure(late.name, {"bake_s": 60.0}, "tester")
    running = storm(late, connections=4)
    late.logged(at_least=200)
    late.serving.deploy(late.name, 4, "tester")
    assert until(lambda: "deployment.rolled_back" in kinds(late))
    verdict = late.serving.verdicts(late.name)[0]
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    assert "latency" in verdict.reason
    assert verdict.evidence["p50_ms"] > 100 > verdict.evidence["compared_p50_ms"]
    assert late.serving.endpoint(late.name).live == 1


def test_a_canary_takes_its_steps_and_is_made_live(late: Endpoint) -> None:
    running = storm(late, connections=4)
    made = late.serving.canary(late.name, 2, 0.0, "tester", steps=(0.2, 0.5, 1.0), every_s=1.0)
    late.serving.wait(late.name, made.revision, 60)
    result = told(running)
    assert result["not_200"] == 0, result["bad"]
    verdicts = [each.verdict for each in late.serving.verdicts(late.name)][::-1]
    assert verdicts == ["advanced", "promoted"]
    assert late.serving.endpoint(late.name).live == made.revision


def test_a_canary_that_fails_is_taken_off(late: Endpoint) -> None:
    running = storm(late, connections=4)
    made = late.serving.canary(late.name, 3, 0.2, "tester")
    assert until(lambda: late.serving.verdicts(late.name))
    assert late.serving.verdicts(late.name)[0].verdict == "stopped"
    assert status(late, made.revision, "retired")
    assert late.serving.split(late.name) is None
    result = told(running)
    assert [each for each in result["bad"] if each[0] != 422] == []
    assert result["revisions"][-1] == 1


def test_a_key_sticks_to_its_arm(late: Endpoint) -> None:
    made = late.serving.test_arm(late.name, 2, "b", 0.5, "tester")
    assert status(late, made.revision, "beside")
    first = [late.revision({**ROW, "flight": f"UA{n}"}) for n in range(40)]
    again = [late.revision({**ROW, "flight": f"UA{n}"}) for n in range(40)]
    assert first == again
    assert 5 <= first.count(made.revision) <= 35
    late.serving.share(late.name, {"b": 0.7}, "tester")
    until(lambda: False, 0.5)
    more = [late.revision({**ROW, "flight": f"UA{n}"}) for n in range(40)]
    assert all(new == made.revision for old, new in zip(first, more, strict=True) if old == made.revision)
    assert late.revision() == 1  # without a key


def test_a_header_sticks_to_its_arm(late: Endpoint) -> None:
    made = late.serving.canary(late.name, 2, 0.5, "tester", by="header:X-Session")
    assert status(late, made.revision, "beside")

    def ask(session: str) -> int:
        return int(
            late.router.ask("POST", f"/v1/endpoints/{late.name}/predict", {"rows": [ROW]}, **{"X-Session": session})[1][
                "revision"
            ]
        )

    assert until(lambda: made.revision in {ask(f"s{n}") for n in range(20)})
    assert [ask(f"s{n}") for n in range(20)] == [ask(f"s{n}") for n in range(20)]


def test_a_shadow_sees_what_was_answered_and_answers_nobody(late: Endpoint) -> None:
    made = late.serving.shadow(late.name, 2, 1.0, "tester")
    assert status(late, made.revision, "beside")
    result = told(storm(late, 1.5, 4), at_once=False)
    assert result["not_200"] == 0
    assert set(result["revisions"]) == {1}
    assert set(late.logged(at_least=result["sent"])["revision"].to_pylist()) == {1}
    summary = until(lambda: late.serving.shadow_summary(late.name, made.revision) or None)
    assert summary.compared > 0
    assert summary.mean_difference == pytest.approx(100.0)
    assert summary.different == summary.compared


def test_a_rollback_is_answered_by_the_old_revision_within_a_second(late: Endpoint) -> None:
    late.deploy(2)
    start = time.monotonic()
    late.serving.rollback(late.name, "tester")
    assert until(lambda: late.revision() == 1)
    assert time.monotonic() - start < 20.0  # measured: 0.15 s, on a machine that does nothing else


def test_a_large_request_is_answered_by_one_arm_and_copied_row_by_row(late: Endpoint) -> None:
    """Given to the model in pieces of two rows; the first row's key decides for all of them."""
    late.serving.configure(late.name, {"batch_rows": 2}, "tester")
    made = late.serving.test_arm(late.name, 2, "b", 0.5, "tester")
    copied = late.serving.shadow(late.name, 2, 1.0, "tester")
    assert status(late, made.revision, "beside")
    assert status(late, copied.revision, "beside")
    for first in range(6):
        rows = [{**ROW, "flight": f"UA{first}-{place}"} for place in range(7)]
        said = late.router.predict(*rows, endpoint=late.name)[1]
        assert len(set(said["predictions"])) == 1
    until(lambda: late.serving.shadow_summary(late.name).compared == 42)
    assert late.serving.shadow_summary(late.name).compared == 42
