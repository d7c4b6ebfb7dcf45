"""Reports: one file that draws itself, of an endpoint or of two tables; the same as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.core.verbs import Caller, Role
from loopline.usecases.monitoring.api import VERBS
from loopline.usecases.monitoring.reports import html, tables
from loopline.usecases.monitoring.reports.content import on_endpoint

pytestmark = pytest.mark.unit
MADE = "2026-03-01T00:00:00+00:00"
HOSTILE = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """All tags with their attributes, and which were left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def whole(text: str) -> Reader:
    """The file, found to be well formed, without script, and without anything to fetch."""
    found = Reader(text)
    assert found.open == []
    assert not [tag for tag, _ in found.tags if tag in ("script", "link", "img", "iframe", "object", "base", "form")]
    assert not [attrs for _, attrs in found.tags if {"src", "href", "onload", "action"} & attrs.keys()]
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert len(text.encode()) < 2 << 20
    return found


def caller(watch: Any) -> Any:
    """Verbs on the service under test, answering plain data."""
    verbs = {verb.name: verb for verb in VERBS}

    def call(name: str, /, **fields: Any) -> Any:
        if name not in verbs:
            raise NotFound(f"There is no verb named {name!r}.")
        verb = verbs[name]
        request = msgspec.convert(fields, verb.request, strict=False)
        return msgspec.to_builtins(verb.call(watch.monitoring, request, Caller("ada", Role.ADMIN)))

    return call


def evaluated(watch: Any) -> Mapping[str, Any]:
    """Three weeks of which the second is bad, evaluated against a training profile, and reported."""
    watch.rules["late"] = {"slices": ["carrier"], "minimum_labels": 100, "lower_limit": 0.8}
    training = watch.predicted(3000, seed=5, start=watch.april - 90 * watch.day, days=84)
    watch.profiles[1] = watch.monitoring.profile(training, watch.signature, "event_time")
    for week, quality in enumerate((3.0, 0.0, 3.0)):
        carriers = [HOSTILE if place % 50 == 0 else "AA" for place in range(800)]
        start = watch.april + week * 7 * watch.day
        watch.traffic(800, seed=week, start=start, quality=quality, carrier=carriers, told=1.0 if week < 2 else 0.4)
    watch.monitoring.evaluate("late")
    return on_endpoint(caller(watch), "late")


def test_a_report_is_one_file_that_needs_nothing_else(watch: Any) -> None:
    report = evaluated(watch)
    text = html.of_endpoint(report, MADE)
    found = whole(text)
    assert next(attrs["aria-label"] for tag, attrs in found.tags if tag == "svg") == "auc by week"
    assert sum(tag == "h1" for tag, _ in found.tags) == 1
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    for said in ("below the limit 0.800", "wind", "carrier", "provisional", "loopline monitor late"):
        assert said in text, said
    again = json.loads(json.dumps(report))  # as JSON it keeps the fields of the drift report
    assert {"columns", "rows_then", "rows_now", "periods", "p_value", "start", "version", "window"} <= again.keys()
    assert again["kind"] == "loopline.report/1"
    assert [one["cause"] for one in again["alerts"]] == ["performance"]
    assert len(again["windows"]) == 3
    assert {part["value"] for part in again["segments"][0]["parts"]} == {"AA", HOSTILE}


def test_a_report_without_drift_says_why(watch: Any) -> None:
    watch.traffic(700)
    watch.monitoring.evaluate("late")
    report = on_endpoint(caller(watch), "late")
    assert "profile" in report["drift_missing"]
    assert escape(report["drift_missing"]).replace("&#x27;", "&#39;") in html.of_endpoint(report, MADE)
    with pytest.raises(NotFound):
        on_endpoint(caller(watch), "nowhere")


def test_a_wide_table_fits(watch: Any) -> None:
    watch.traffic(300)
    watch.monitoring.evaluate("late")
    report = dict(on_endpoint(caller(watch), "late"))
    shares = [round(1 / 21, 6)] * 20
    column = {"shares_then": shares, "shares_now": shares, "change": "higher: mean 1.234 → 1.345", "p_value": 0.01}
    column |= {"times_usual": 1.5, "missing_then": 0.0, "missing_now": 0.1, "alarm": True}
    names = [f"feature number {place}" for place in range(300)]
    starts = [f"2013-{month:02}-{day:02}T00:00:00.000Z" for month in range(1, 13) for day in (1, 8, 15, 22)]
    report["columns"] = [{"name": name, **column} for name in names]
    report["history"] = [
        {"start": start, "column": name, "kind": "input", "unit": "", "p_value": 0.001, "e_value": 9.0, "effect": 0.1,
         "direction": "higher", "change": column["change"], "alarm": False}
        for name in ["", *names] for start in starts
    ]  # fmt: skip
    text = html.of_endpoint(report, MADE)
    assert len(text.encode()) < 2 << 20
    assert text.count("<svg") == html.MOST_COLUMNS + 1
    assert "more features are left out" in text


def table(rows: int, seed: int, shift: float = 0.0, **more: Any) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = {
        "age": random.normal(40 + shift, 9, rows),
        "city": random.choice(["Oslo", "Bergen", HOSTILE], rows),
        "visits": random.poisson(3, rows),
        "member": random.random(rows) < 0.3,
    }
    return pa.table(columns | more)


def write(folder: Path) -> tuple[Path, Path]:
    days = pa.array(np.datetime64("2013-01-01", "ms") + np.arange(4000) * 1_200_000, pa.timestamp("ms", tz="UTC"))
    pq.write_table(table(4000, 1, seen=days), folder / "then.parquet")
    pq.write_table(table(1500, 2, 9.0, extra=[1] * 1500), folder / "now.parquet")
    return folder / "then.parquet", folder / "now.parquet"


def test_two_tables_are_compared_without_an_installation(tmp_path: Path) -> None:
    then, now = write(tmp_path)
    found = tables.compared(then, now)
    assert (found["rows_then"], found["rows_now"], found["gone"], found["new"]) == (4000, 1500, ["seen"], ["extra"])
    assert {one["name"] for one in found["columns"]} == {"age", "city", "visits", "member"}
    ages = next(one for one in found["columns"] if one["name"] == "age")
    assert ages["change"].startswith("higher")
    text = html.of_tables(found, MADE)
    whole(text)
    assert HOSTILE not in text


def test_the_references_own_days_say_what_is_usual(tmp_path: Path) -> None:
    then, now = write(tmp_path)
    found = tables.compared(then, now, event_time="seen", window="day")
    assert found["periods"] > 40
    assert found["columns"][0]["name"] == "age"
    assert found["columns"][0]["times_usual"] > 3


def test_large_files_are_read_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    then, now = write(tmp_path)
    once = tables.compared(then, now)
    monkeypatch.setattr(tables, "AT_ONCE", 700)
    again = tables.compared(then, now)
    assert again["rows_now"] == once["rows_now"]
    shares = [{one["name"]: one["missing_now"] for one in found["columns"]} for found in (once, again)]
    assert shares[0] == shares[1]


def test_a_csv_is_a_table_too(tmp_path: Path) -> None:
    then, _ = write(tmp_path)
    pc.write_csv(table(800, 3), tmp_path / "now.csv")
    found = tables.compared(then, tmp_path / "now.csv")
    assert found["rows_now"] == 800


def test_files_that_are_no_tables_are_refused_in_one_sentence(tmp_path: Path) -> None:
    then, _ = write(tmp_path)
    (tmp_path / "no.parquet").write_text("no table")
    with pytest.raises(Invalid, match=r"no\.parquet cannot be read as a table"):
        tables.compared(then, tmp_path / "no.parquet")
    with pytest.raises(NotFound, match="There is no file"):
        tables.compared(then, tmp_path / "gone.parquet")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other.parquet")
    with pytest.raises(Invalid, match="no column in common"):
        tables.compared(then, tmp_path / "other.parquet")
    pq.write_table(table(0, 1), tmp_path / "empty.parquet")
    with pytest.raises(Invalid, match="has no row"):
        tables.compared(then, tmp_path / "empty.parquet")
    with pytest.raises(Invalid, match="has no column 'when'"):
        tables.compared(then, then, event_time="when")


def test_a_file_that_lacks_inputs_of_a_version_is_compared_by_those_it_has(tmp_path: Path) -> None:
    numbers = {name: np.arange(500.0) for name in "ab"}
    pq.write_table(pa.table(numbers), tmp_path / "then.parquet")
    pq.write_table(pa.table({"b": np.arange(500.0) + 900, "c": np.ones(500)}), tmp_path / "now.parquet")
    signature = Signature((Column("a", "float"), Column("b", "float")), tables.OUTPUT)
    then = tables.profiled(tmp_path / "then.parquet", signature, None, "")
    found = tables.against(then, tmp_path / "now.parquet", signature, "day")
    assert found["gone"] == ["a"]
    assert next(one for one in found["columns"] if one["name"] == "b")["direction"] == "higher"
    pq.write_table(pa.table({"c": np.ones(5)}), tmp_path / "other.parquet")
    with pytest.raises(Invalid, match=r"other\.parquet has no column of the reference"):
        tables.against(then, tmp_path / "other.parquet", signature, "day")


def test_a_file_damaged_in_its_middle_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(1).normal(size=5000)}), path)
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(Invalid, match="cannot be read as a table"):
        tables.compared(path, path)
