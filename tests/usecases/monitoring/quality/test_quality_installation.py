"""Realized performance on a real installation: from the logs that serving writes to the commands."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline.app.wiring import Loopline
from loopline.core.tables import Column, Signature
from loopline.shells.cli import run
from loopline.testing.factories import installation
from loopline.usecases.projects.model import Declared
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, prediction_header

pytestmark = pytest.mark.integration
APRIL, DAY, HOUR = int(np.datetime64("2013-04-01", "ms").astype("int64")), 86_400_000, 3_600_000
INPUTS = (Column("wind", "float", True), Column("carrier", "string"))
COUNT = 1500


def written(
    home: Path, endpoint: str, output: str, prediction: Any, carrier: Any, event: Any, truth: list[Any]
) -> None:
    """Predictions of ten days and their truth two hours after each, as the data plane writes them."""
    keys = [f"flight {place}" for place in range(COUNT)]
    signature = Signature(inputs=INPUTS, output=Column("p", output))  # type: ignore[arg-type]
    batch = Batch(
        rows=COUNT, ms=array("q", event).tobytes(), counter=array("q", range(0, 2 * COUNT, 2)).tobytes(),
        row=array("i", [-1] * COUNT).tobytes(), latency=array("i", [150] * COUNT).tobytes(),
        event=array("q", event).tobytes(), key=list(keys), prediction=prediction,
        columns=[np.ones(COUNT).tobytes(), carrier.tolist()],
    )  # fmt: skip
    log = PredictionLog(home, prediction_header(endpoint, 1, 1, endpoint, 1, signature))
    log.write([batch])
    log.close()
    told = TruthLog(home, endpoint, 1)
    records = []
    for key, moment, value in zip(keys, event.tolist(), truth, strict=True):
        text = isinstance(value, str)
        records.append(
            Truth(None, key, moment, float("nan") if text else value, moment + 2 * HOUR, value if text else None)
        )
    told.write(records)
    told.close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    tmp_path = tmp_path_factory.mktemp("quality")
    rng = np.random.default_rng(0)
    event = np.sort(APRIL + (rng.random(COUNT) * 10 * DAY).astype("int64"))
    carrier = rng.choice(["AA", "UA"], COUNT)
    odds = rng.normal(0, 2, COUNT)
    late = (rng.random(COUNT) < 1 / (1 + np.exp(-odds))).astype(float).tolist()
    kinds = np.array(["lost", "late", "fine"])
    truth = kinds[rng.integers(0, 3, COUNT)]
    answer = np.where(rng.random(COUNT) < 0.8, truth, "fine").tolist()
    with installation(tmp_path) as loopline:
        monitors = {
            name: {"endpoint": name, "window": "day", "protected": ["carrier"], "metric": metric, "minimum_labels": 50}
            for name, metric in (("late", "auc"), ("parcels", "macro_f1"))
        }
        endpoints = {name: {"model": name, "key": "flight", "event_time": "event_time"} for name in monitors}
        config = {"project": "flights", "endpoints": endpoints, "monitors": monitors}
        loopline.projects.apply_declared(Declared(config=config, contracts={}, files={}, folder=str(tmp_path)), "ada")
        written(loopline.home, "late", "float", (1 / (1 + np.exp(-odds))).tobytes(), carrier, event, late)
        written(loopline.home, "parcels", "string", answer, carrier, event, truth.tolist())
        loopline.monitoring.evaluate("late")
        loopline.monitoring.evaluate("parcels")
        yield loopline


@pytest.fixture
def shell(opened: Loopline, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def asked(*words: str) -> Any:
        capsys.readouterr()
        code = run(["quality", *words, "--home", str(opened.home), "--json"])
        out, err = capsys.readouterr()
        return json.loads(out) if code == 0 else (code, err)

    return asked


def test_each_view_of_a_model_that_predicts_numbers(shell: Callable[..., Any]) -> None:
    rows = shell("late")["rows"]
    assert [row["state"] for row in rows] == ["mature"] * 9 + ["provisional"]
    assert sum(row["labelled"] for row in rows) == COUNT
    auc = rows[0]["metrics"]["auc"]
    assert 0.5 < auc["low"] < auc["value"] < auc["high"] <= 1
    assert {row["value"] for row in shell("late", "--by", "carrier")["rows"]} == {"AA", "UA"}
    assert len(shell("late", "--calibration")["bins"]) == 10
    delay = shell("late", "--delay")
    assert delay["learned"]["p99_hours"] == pytest.approx(2, rel=0.01)
    assert delay["wait_hours"] == pytest.approx(2, rel=0.01)
    (column,) = shell("late", "--fairness")["columns"]
    assert [group["value"] for group in column["groups"]] == ["AA", "UA"]
    assert shell("late", "--looks")["looks"][-1]["labelled"] == COUNT
    code, said = shell("late", "--looks", "--delay")
    assert (code, "two views" in said) == (2, True)
    code, said = shell("nowhere")
    assert (code, "has not been evaluated" in said) == (3, True)


def test_a_model_that_answers_texts_is_measured_by_texts(shell: Callable[..., Any]) -> None:
    rows = shell("parcels")["rows"]
    metrics = rows[0]["metrics"]
    assert {"accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall"} <= metrics.keys()
    assert 0.6 < metrics["accuracy"]["value"] < 1
    assert "auc" not in metrics
    (column,) = shell("parcels", "--fairness")["columns"]
    assert [one["name"] for one in column["disparities"]] == ["accuracy_difference"]
    code, said = shell("parcels", "--calibration")
    assert (code, "not probabilities" in said) == (2, True)


def test_people_read_tables(opened: Loopline, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--calibration",), ("--delay",), ("--fairness",), ("--looks",)):
        assert run(["quality", "late", *words, "--home", str(opened.home)]) == 0
        out, err = capsys.readouterr()
        assert len((out + err).splitlines()) >= 4
        assert "Traceback" not in out + err


def test_plan_knows_how_truth_arrives(opened: Loopline, tmp_path: Path) -> None:
    monitors = {"late": {"endpoint": "late", "window": "hour", "minimum_labels": 100}}
    config = {"project": "flights", "endpoints": {"late": {"model": "late"}}, "monitors": monitors}
    plan = opened.projects.plan_of(Declared(config=config, contracts={}, files={}, folder=str(tmp_path)))
    (note,) = [each for each in plan.notes if each.kind == "monitor"]
    assert note.text.startswith("asks for hours, but truth takes 2 h and 6.")
    assert note.text.endswith("labels an hour come: a day is the shortest window that waits for it and has 100 labels")
