"""What the log keeps of a request, as the endpoint's options say: arm and caller, a share, no redacted input, for sure."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import Router

from loopline.usecases.serving.records import layout

pytestmark = pytest.mark.integration
SECRET = "Zaphod-7"


def serving(router: Router, kind: str = "picky", **options: Any) -> None:
    """Serve with these options."""
    router.describe([[kind, 100.0]])
    router.serving.put("late", "flights", "tester", key="flight", event_time="departs")
    router.serving.configure("late", options, "tester")
    router.start()
    router.deploy(1)


def test_arm_and_caller(shared: Router) -> None:
    _, said = shared.predict()
    record = shared.record(said["ids"][0])
    assert (record["arm"], record["rules"], record["sample"]) == ("live", None, 1.0)
    assert record["caller"] == shared.opened.access.verify("loop_a-token-of-this-test-0123456789").name


def test_a_share_is_logged_and_anybody_can_tell_which(router: Router) -> None:
    serving(router, sample=0.3)
    asked = [router.predict(*[ROW] * (1 + number % 2))[1]["ids"] for number in range(60)]
    wanted = {name for names in asked for name in names if digest(names[0].partition("-")[0]) < 0.3}
    until = time.monotonic() + 10
    while not wanted <= (found := set(router.logged()["id"].to_pylist())) and time.monotonic() < until:
        time.sleep(0.05)
    assert found & {name for names in asked for name in names} == wanted
    assert 0 < len(wanted) < 90
    table = router.logged()
    assert set(table.filter(table_of(table, wanted))["sample"].to_pylist()) == {0.3}
    (day,) = router.serving.traffic("late")
    assert day["answered"] > day["rows"]


def table_of(table: Any, names: set[str]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(table["id"], value_set=pa.array(sorted(names)))


def digest(name: str) -> float:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def test_a_redacted_input_is_written_nowhere(router: Router) -> None:
    serving(router, redact=["carrier", "flight"])
    _, said = router.predict({**ROW, "carrier": SECRET, "flight": SECRET})
    record = router.record(said["ids"][0])
    assert "carrier" not in record
    assert record["key"] is None
    _, refused = router.predict({**ROW, "carrier": SECRET, "dep_hour": -1.0})
    assert SECRET not in str(refused)
    router.stop()
    router.serving.seal()
    everything = [path for path in router.home.rglob("*") if path.is_file()]
    assert not [path.name for path in everything if SECRET.encode() in path.read_bytes()]
    (day,) = layout.days(layout.archive(router.home, "late"))
    folder = layout.day_folder(layout.archive(router.home, "late"), day)
    assert "carrier flight" in {layout.footer(path).get(layout.REDACTED, b"").decode() for path in folder.iterdir()}


def test_a_durable_answer_survives_a_kill_at_any_time(router: Router) -> None:
    serving(router, durable=True)
    answered = [router.predict()[1]["ids"][0] for _ in range(50)]
    assert router.process is not None
    os.kill(router.process.pid, signal.SIGKILL)
    router.process.wait()
    assert set(answered) <= set(router.serving.read_predictions("late")["id"].to_pylist())


def test_what_each_input_contributed_is_answered_and_kept_when_asked(router: Router) -> None:
    serving(router, "explains", redact=["carrier"])
    status, said = router.ask(
        "POST", "/v1/endpoints/late/predict?explain=true", {"rows": [ROW, {**ROW, "dep_hour": 3.0}]}
    )
    assert (status, said["predictions"]) == (200, [107.5, 103.0])
    assert [(each["base"], each["contributions"]["dep_hour"]) for each in said["explanations"]] == [
        (100.0, 7.5),
        (100.0, 3.0),
    ]
    record = router.record(said["ids"][1])
    assert record["explanation"] == {
        "dep_hour": 3.0,
        "distance": 0.0,
        "temp": 0.0,
        "holiday": 0.0,
    }  # not the redacted one
    assert record["explanation_base"] == 100.0
    _, said = router.predict()
    assert "explanations" not in said
    assert router.record(said["ids"][0]).get("explanation") is None
    given = {"dep_hour": ("FP64", 7.5), "distance": ("INT64", 1400), "temp": ("FP64", None), "carrier": ("BYTES", "UA"),
             "holiday": ("BOOL", False)}  # fmt: skip
    tensors = [{"name": name, "datatype": kind, "shape": [1], "data": [value]} for name, (kind, value) in given.items()]
    status, said = router.ask("POST", "/v2/models/late/infer", {"inputs": tensors, "parameters": {"explain": True}})
    assert status == 200
    _, parts, base = said["outputs"]
    assert (parts["shape"], parts["data"], base["data"]) == ([1, 5], [7.5, 0.0, 0.0, 0.0, 0.0], [100.0])
    assert parts["parameters"]["inputs"].split(",")[0] == "dep_hour"
    stored = router.serving.explain(router.record(said["parameters"]["prediction_id"])["id"])
    assert (stored["stored"], stored["scale"], stored["contributions"]["dep_hour"]) == (True, "prediction", 7.5)


def test_a_model_that_cannot_tell_says_so(shared: Router) -> None:
    status, said = shared.ask("POST", "/v1/endpoints/late/predict?explain=true", {"rows": [ROW]})
    assert status == 422
    assert "cannot be told of flights/1" in said["error"]


def test_every_prediction_is_explained_where_the_endpoint_says_so(router: Router) -> None:
    serving(router, "explains", explain=True)
    _, said = router.predict()
    assert "explanations" not in said
    assert router.record(said["ids"][0])["explanation"]["dep_hour"] == 7.5


def test_a_kill_costs_no_more_than_the_last_moments(live: Router) -> None:
    """100 ms where the disk keeps up; a busy machine is given a second. What is lost is the end, never the middle."""
    answered: list[tuple[float, str]] = []
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        answered.append((time.monotonic(), live.predict()[1]["ids"][0]))
    assert live.process is not None
    os.kill(live.process.pid, signal.SIGKILL)
    killed = time.monotonic()
    live.process.wait()
    kept = set(live.serving.read_predictions("late")["id"].to_pylist())
    there = [name in kept for _, name in answered]
    assert there == sorted(there, reverse=True)
    assert [
        round(killed - at, 2) for (at, _), found in zip(answered, there, strict=True) if not found and killed - at > 1.0
    ] == []
