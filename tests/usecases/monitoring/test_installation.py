"""Monitoring on a real installation: the logs that serving writes, the ledger, the verbs and the commands."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.cli import run
from loopline.testing.factories import installation
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, prediction_header

pytestmark = pytest.mark.integration
SIGNATURE = Signature(inputs=(Column("wind", "float", True), Column("carrier", "string")), output=Column("p", "float"))
APRIL, DAY = int(np.datetime64("2013-04-01", "ms").astype("int64")), 86_400_000
Shell = Callable[..., tuple[int, Any]]


def rows(seed: int, count: int, start: int, days: int, quality: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    late = (rng.random(count) < 0.3).astype(float)
    return {
        "event": np.sort(start + (rng.random(count) * days * DAY).astype("int64")),
        "late": late,
        "score": 1 / (1 + np.exp(-(quality * (late - 0.5) + rng.normal(size=count)))),
        "wind": rng.normal(10, 3, count),
        "carrier": np.array(["AA", "UA"])[rng.integers(0, 2, count)],
    }


def served(home: Path, made: dict[str, np.ndarray], writer: int) -> None:
    """Write predictions and their truth as the data plane does."""
    count = len(made["event"])
    keys = [f"flight {writer} {i}" for i in range(count)]
    batch = Batch(
        rows=count,
        ms=array("q", made["event"] - 3 * 3_600_000).tobytes(),
        counter=array("q", range(0, 2 * count, 2)).tobytes(),
        row=array("i", [-1] * count).tobytes(),
        latency=array("i", [150] * count).tobytes(),
        event=array("q", made["event"]).tobytes(),
        key=list(keys),
        prediction=made["score"].tobytes(),
        columns=[made["wind"].tobytes(), made["carrier"].tolist()],
    )
    log = PredictionLog(home, prediction_header("late", writer, 1, "late", 1, SIGNATURE))
    log.write([batch])
    log.close()
    told = TruthLog(home, "late", writer)
    moments = zip(keys, made["event"].tolist(), made["late"].tolist(), strict=True)
    told.write([Truth(None, key, event, value, event + 5 * 3_600_000) for key, event, value in moments])
    told.write([Truth(None, "nobody", APRIL, 1.0, APRIL)])
    told.close()


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    with installation(tmp_path) as loopline:
        training = rows(0, 3000, APRIL - 84 * DAY, 84, 3.0)
        table = pa.table({"wind": training["wind"], "carrier": training["carrier"]})
        times = pa.array(training["event"], pa.timestamp("ms", tz="UTC"))
        profile = loopline.monitoring.profile(table.append_column("event_time", times), SIGNATURE, "event_time")
        place = tmp_path / "model"
        place.mkdir()
        (place / "weights").write_bytes(b"none")
        kept = loopline.registry.keep(place, "elsewhere", SIGNATURE)
        metrics = {"weekly_auc_low": 0.8}
        digest = loopline.blobs.put(profile)
        loopline.registry.register("late", kept, "a" * 32, metrics, SIGNATURE, None, digest, None, "ada")
        loopline.serving.put("late", "late", "ada", key="flight", event_time="event_time")
        served(tmp_path / "home", rows(1, 1000, APRIL, 7, 3.0), 1)
        served(tmp_path / "home", rows(2, 1000, APRIL + 7 * DAY, 7, 0.2), 2)
        served(tmp_path / "home", rows(3, 300, APRIL + 14 * DAY, 3, 0.2), 3)

    def loop(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run([*words, "--home", str(tmp_path / "home"), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.strip() else err

    return loop


def test_a_bad_week_is_found_shown_acknowledged_and_closed(shell: Shell, tmp_path: Path) -> None:
    code, found = shell("monitor", "late")
    assert code == 0
    assert [(window["predictions"], window["mature"]) for window in found["windows"]] == [
        (1000, True),
        (1000, True),
        (300, False),
    ]
    summary = found["summary"]
    assert (summary["truth_records"], summary["orphans"], summary["limit"]) == (2303, 3, 0.8)
    assert summary["label_delay"]["p99_hours"] == pytest.approx(5.0, rel=0.002)  # counted in steps of so much
    (alert,) = shell("alerts")[1]
    assert (alert["cause"], alert["first_window"][:10]) == ("performance", "2013-04-08")
    assert shell("ack", alert["id"], "--note", "looking")[1]["state"] == "acknowledged"
    assert shell("ack", alert["id"], "--resolve")[1]["state"] == "resolved"
    assert shell("alerts")[1] == []
    assert shell("monitor")[1][0]["endpoint"] == "late"
    with installation(tmp_path) as loopline:
        kinds = [fact.kind for fact in loopline.ledger.about("endpoint:late")]
        assert kinds[-3:] == ["alert.opened", "alert.acknowledged", "alert.resolved"]
    assert shell("audit", "verify")[0] == 0


def test_drift_is_reported_against_the_weeks_of_training(shell: Shell) -> None:
    shell("monitor", "late")
    code, found = shell("report", "late")
    assert (code, found["start"][:10], found["periods"], found["version"]) == (0, "2013-04-08", 12, 1)
    assert {column["name"] for column in found["columns"]} == {"wind", "carrier"}
    assert found["p_value"] > 1 / 13


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["monitor", "nowhere"], 3, "'nowhere' has not been evaluated yet"),
        (["report", "late", "--start", "soon"], 2, "'soon' is not a time"),
        (["report", "nowhere"], 3, "'nowhere' has no window"),
        (["ack", "nothing"], 3, "no alert 'nothing'"),
        (["monitor", "a/b"], 2, "cannot be the name of an endpoint"),
    ],
)
def test_wrong_use_is_one_sentence_with_the_way_out(shell: Shell, words: list[str], code: int, expected: str) -> None:
    found, said = shell(*words)
    assert (found, expected in said) == (code, True), said
