"""`loopline monitor` and `loopline report`: for people on a terminal, for programs as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import duckdb
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.core.verbs import Caller, Role
from loopline.shells.cli.group import Common, with_common
from loopline.usecases.monitoring.api import VERBS
from loopline.usecases.monitoring.cli import bars, monitor
from loopline.usecases.monitoring.report_cli import report

pytestmark = pytest.mark.unit
Run = Callable[..., str]


class Client:
    """Verbs on the service under test, answering plain data."""

    def __init__(self, monitoring: Any) -> None:
        self.monitoring = monitoring
        self.verbs = {verb.name: verb for verb in VERBS}

    def call(self, name: str, /, **fields: Any) -> Any:
        if name not in self.verbs:
            raise NotFound(f"There is no verb named {name!r}.")
        verb = self.verbs[name]
        request = msgspec.convert(fields, verb.request, strict=False)
        return msgspec.to_builtins(verb.call(self.monitoring, request, Caller("ada", Role.ADMIN)))


@pytest.fixture
def run(watch: Any, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(monitor, "late", "--json")` answers what the command printed."""

    def do(command: click.Command, *words: str) -> str:
        common = Common()
        common._client = Client(watch.monitoring)
        capsys.readouterr()
        with_common(command).main(list(words), obj=common, standalone_mode=False)
        return capsys.readouterr().out

    return do


@pytest.fixture
def bad_week(watch: Any) -> Any:
    watch.rules["late"] = {"slices": ["carrier"], "minimum_labels": 100, "lower_limit": 0.8}
    for week, quality in enumerate((3.0, 0.0)):
        watch.traffic(700, seed=week, start=watch.april + week * 7 * watch.day, quality=quality)
    watch.traffic(300, seed=5, start=watch.april + 14 * watch.day, told=0.2)
    watch.monitoring.evaluate("late")
    return watch


def test_all_models_a_line_each(bad_week: Any, run: Run) -> None:
    heading, line = run(monitor).splitlines()
    assert heading.split("\t")[:3] == ["ENDPOINT", "STATE", "METRIC"]
    cells = line.split("\t")
    assert cells[:3] == ["late", "alert", "auc"]
    assert cells[4][0] in "▇█"
    assert "performance since 2013-04-08" in line
    assert run(monitor, "--search", "nobody") == "No monitors yet.\n"
    with pytest.raises(Invalid, match="no state"):
        run(monitor, "--state", "sad")


def test_as_json_each_row_keeps_its_summary(bad_week: Any, run: Run) -> None:
    (row,) = json.loads(run(monitor, "--json"))
    assert {"state", "why", "metrics", "orphans", "label_delay", "limit", "mature_until"} <= row.keys()
    found = json.loads(run(monitor, "late", "--json"))
    assert found.keys() == {"summary", "windows", "glance"}
    assert found["glance"]["state"] == "alert"
    assert len(found["windows"]) == 3


def test_one_model_says_its_state_its_course_and_its_alerts(bad_week: Any, run: Run) -> None:
    text = run(monitor, "late", "--no-evaluate")
    assert text.startswith("Alert: performance since 2013-04-08")
    assert "is below the limit 0.800" in text
    assert "provisional" in text
    assert "AA" in run(monitor, "late", "--by", "carrier")
    with pytest.raises(NotFound):
        run(monitor, "nowhere", "--no-evaluate")


def test_what_is_known_becomes_parquet(bad_week: Any, run: Run, tmp_path: Path) -> None:
    found = json.loads(run(monitor, "export", "late", str(tmp_path / "out"), "--json"))
    table = pq.read_table(tmp_path / "out" / "windows.parquet")
    assert len(table) == found["rows"]["windows"] > 20
    whole = [row for row in table.to_pylist() if row["column"] == "" and row["metric"] == "auc"]
    assert [row["mature"] for row in whole] == [True, True, False]
    assert whole[0]["low"] < whole[0]["metric_value"] < whole[0]["high"]
    assert len(pq.read_table(tmp_path / "out" / "alerts.parquet")) == 1


def test_what_is_known_can_be_asked_with_sql(watch: Any, run: Run, tmp_path: Path) -> None:
    """The questions of docs/reports.md, in the files of an endpoint with drift, estimates and an alert."""
    watch.rules["late"] = {"slices": ["carrier"], "minimum_labels": 100, "lower_limit": 0.8}
    watch.profiles[1] = watch.monitoring.profile(watch.predicted(5000, seed=9), watch.signature)
    for week in range(8):
        bad = {"wind": np.random.default_rng(week).normal(14, 3, 700), "quality": 0.0} if week == 5 else {}
        watch.traffic(700, seed=week, start=watch.april + week * 7 * watch.day, **bad)
    watch.monitoring.evaluate("late")
    folder = tmp_path / "out"
    found = json.loads(run(monitor, "export", "late", str(folder), "--json"))["rows"]
    assert found.keys() == {path.stem for path in folder.iterdir()}
    assert min(found.values()) > 0
    document = (Path(__file__).parents[4] / "docs" / "reports.md").read_text()
    questions = re.findall(r'duckdb -c "((?:\\.|[^"\\])*)"', document)
    assert len(questions) >= 5
    for question in questions:
        rows = duckdb.sql(question.replace("'known/", f"'{folder}/").replace("\\", "")).fetchall()
        assert rows, question
    whole = duckdb.sql(f"SELECT * FROM '{folder}/profiles.parquet' WHERE \"column\" = 'wind' ORDER BY start").df()
    assert whole["rows"].tolist() == [700] * 8
    assert whole["mean"].iloc[5] == pytest.approx(14, abs=0.5)
    assert (whole["low"] < whole["p05"]).all()
    assert (whole["p05"] < whole["p50"]).all()
    assert (whole["p95"] < whole["high"]).all()
    carrier = duckdb.sql(f"SELECT DISTINCT different, top FROM '{folder}/profiles.parquet' WHERE kind = 'categorical'")
    assert {row[0] for row in carrier.fetchall()} == {3.0}
    kinds = dict(
        duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{folder}/windows.parquet')").fetchall()
    )
    assert (kinds["start"], kinds["low"]) == ("TIMESTAMP", "DOUBLE")


def test_an_export_leaves_nothing_of_the_one_before(bad_week: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "estimates.parquet").write_bytes(b"of another day")
    (tmp_path / "mine.txt").write_text("mine")
    run(monitor, "export", "late", str(tmp_path))
    assert pq.read_table(tmp_path / "windows.parquet").num_rows > 20
    assert (tmp_path / "mine.txt").read_text() == "mine"
    there = tmp_path / "estimates.parquet"
    assert not there.exists() or pq.read_table(there).num_rows > 0


def test_a_report_is_written_as_its_name_says(bad_week: Any, run: Run, tmp_path: Path) -> None:
    page, data = tmp_path / "late.html", tmp_path / "late.json"
    assert json.loads(run(report, "late", "-o", str(page), "--json"))["bytes"] == page.stat().st_size
    run(report, "late", "-o", str(data))
    assert json.loads(data.read_text())["endpoint"] == "late"
    assert "loopline" in page.read_text().lower()
    with pytest.raises(LooplineError, match="cannot be written"):
        run(report, "late", "-o", str(tmp_path / "no" / "late.html"))


@pytest.mark.parametrize(
    "words",
    [(), ("late", "--current", "b.parquet"), ("--reference", "a.parquet"), ("--current", "b.parquet")],
)
def test_a_report_is_on_an_endpoint_or_on_two_tables(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="A report is on an endpoint, or on two tables"):
        run(report, *words)


def test_bars() -> None:
    assert bars([0.0, 0.25, None, 1.0]) == "▁▃ █"
    assert bars([]) == bars([None]) == ""
    assert bars([0.7]) == "▁"
