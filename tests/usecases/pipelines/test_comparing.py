"""`loopline diff` compares two runs wholly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopline.shells.cli import run as command
from loopline.usecases.pipelines import telling
from loopline.usecases.pipelines.comparing import Comparison, MetricChange, compare, installed, of_metrics

pytestmark = pytest.mark.integration


def test_the_same_run_and_a_cached_one_do_not_differ(project: Any) -> None:
    first, again = project.run("training"), project.run("training")
    for other in (first, again):
        found = project.loopline.pipelines.diff(first.run_id, other.run_id)
        assert found.same
        differing = [found.params, found.code, found.data, found.environment, found.metrics, found.versions]
        assert not any(differing)


def test_params_code_metrics_and_results_are_compared(project: Any) -> None:
    first = project.run("training")
    project.edit("pipeline.py", 'metrics={"auc": 0.5}', 'metrics={"auc": 0.7}')
    second = project.run("training", c=3.0, rows=60)
    found: Comparison = project.loopline.pipelines.diff(first.run_id, second.run_id)
    assert not found.same
    assert [(one.name, one.was, one.now) for one in found.params] == [("c", "1.0", "3.0"), ("rows", "50", "60")]
    assert [one.name for one in found.code] == ["function train"]
    assert '+    return Model(model, example=frame[["x", "y"]], metrics={"auc": 0.7}' in found.code[0].patch
    assert MetricChange("auc", 0.5, 0.7) in found.metrics
    assert [(one.name, one.was, one.now) for one in found.versions if one.what == "model"] == [
        ("late", "version 1", "version 2")
    ]
    steps = {one.label: one for one in found.steps}
    assert [steps["train"].code_changed, steps["halve"].code_changed] == [True, False]
    assert steps["train"].output == steps["make"].output == "differs"


def test_data_is_compared(project: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from loopline.usecases.datasets.model import Source

    batches = project.folder.parent / "batches"
    batches.mkdir()
    datasets = project.loopline.datasets
    datasets.declare("flights", Source(folder=str(batches)), None, "ada")
    runs = []
    for rows in (1, 2):
        pq.write_table(pa.table({"a": list(range(rows))}), batches / f"{rows}.parquet")
        datasets.snapshot("flights", "ada")
        runs.append(project.run("counting").run_id)
    found = project.loopline.pipelines.diff(*runs)
    assert [(one.what, one.name) for one in found.data] == [("dataset", "flights")]
    assert not found.code


def test_another_pipeline_has_other_steps(project: Any) -> None:
    found = project.loopline.pipelines.diff(project.run("training").run_id, project.run("joining").run_id)
    assert [(one.name, one.was, one.now) for one in found.runs] == [("pipeline", "training", "joining")]
    lines = [line for line, _ in telling.of_comparison(json.loads(_json(found)))]
    assert "  train is only in the first run" in lines
    assert "  total is only in the second run" in lines


def _json(found: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(found)


def test_the_environment_is_compared(project: Any) -> None:
    import msgspec

    from loopline.usecases.pipelines.comparing import side

    run = project.run("training")
    loopline = project.loopline
    tracked = loopline.get("tracking").get(run.run_id)
    pipelines = loopline.pipelines
    first = pipelines._database.read(lambda tx: side(tx, run, tracked))
    codes = {
        key: msgspec.structs.replace(code, distributions={**code.distributions, "numpy": "99.0"})
        for key, code in first.plan.codes.items()
    }
    blob = pipelines._blobs.put(b"numpy==99.0\nnewest==1.0")
    around = {**tracked.surroundings, "python": "3.99.1", "distributions": blob}
    second = msgspec.structs.replace(
        first,
        run=msgspec.structs.replace(run, environment="prod", release="abc123"),
        plan=msgspec.structs.replace(first.plan, codes=codes),
        tracked=msgspec.structs.replace(tracked, surroundings={**around, "git": {"commit": "f" * 40, "dirty": True}}),
    )
    found = compare(first, second, pipelines._blobs.get)
    told = {(one.what, one.name): (one.was, one.now) for one in (*found.environment, *found.release, *found.code)}
    assert told["distribution", "numpy"][1] == "99.0"
    assert told["installed", "newest"] == ("", "1.0")
    assert told["machine", "python"][1] == "3.99.1"
    assert told["environment", "environment"] == ("", "prod")
    assert told["release", "release"] == ("", "abc123")
    assert told["git", "commit"] == ("", "ffffffffffff with changes")
    assert installed("f" * 64, pipelines._blobs.get) is None


def test_metrics_that_are_no_number_are_alike() -> None:
    nan = float("nan")
    assert list(of_metrics({"a": nan, "b": 1.0}, {"a": nan, "b": nan})) == [
        MetricChange("b", 1.0, pytest.approx(nan, nan_ok=True))
    ]


@pytest.fixture
def cli(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    runs = [project.run("training").run_id, project.run("training", c=2.0).run_id]
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    home = str(project.loopline.home)
    project.loopline.close()

    def call(first: int, second: int, *more: str) -> tuple[int, str, str]:
        code = command(["diff", runs[first][:8], runs[second], *more, "--home", home])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_people_read_lines_and_programs_json(cli: Callable[..., Any]) -> None:
    code, out, _ = cli(0, 0)
    assert code == 0
    assert "It is the same run: nothing differs." in out
    code, out, _ = cli(0, 1)
    assert code == 0
    assert "Parameters\n  c: 1.0 → 2.0\n" in out
    assert "train: ran, another result, " in out
    assert "\x1b" not in out
    code, out, _ = cli(0, 1, "--json")
    assert (code, json.loads(out)["params"][0]["name"]) == (0, "c")


def test_a_run_that_is_not_there_is_named(project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(project.loopline.home)
    project.loopline.close()
    assert command(["diff", "abcd", "abce", "--home", home]) == 3
    assert "no run 'abcd'" in capsys.readouterr().err
