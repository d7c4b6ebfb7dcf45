"""The commands, without a server: what they ask and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from loopline.core.errors import CheckFailed, Invalid, Refused, Unavailable
from loopline.shells.sdk.client import Local
from loopline.usecases.serving import cli, deploy_cli
from loopline.usecases.serving.row_files import rows_in

pytestmark = pytest.mark.integration


class Screen:
    """What a command finds as `obj`."""

    def __init__(self, loopline: Any) -> None:
        self.client = Local(loopline, "ann")
        self.json = False
        self.shown: Any = None
        self.text: str | None = None

    def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
        self.shown, self.text = data, text


@pytest.fixture
def screen(loopline: Any) -> Screen:
    return Screen(loopline)


def run(screen: Screen, command: Any, *arguments: str) -> Any:
    done = CliRunner().invoke(command, arguments, obj=screen, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return screen.shown


def test_deploy_and_list(screen: Screen, serving: Any) -> None:
    assert run(screen, deploy_cli.deploy, "late", "flights/3", "--no-wait")["status"] == "requested"
    serving.went_live("late", 1, "2026-01-01T00:00:00.000Z", "data plane")
    (row,) = run(screen, cli.endpoints)
    assert (row["name"], row["live"]) == ("late", "revision 1 (flights/3)")
    assert run(screen, cli.endpoints, "late")[0]["status"] == "live"
    assert run(screen, cli.endpoints, "late", "--history")[0]["until_at"] is None
    assert run(screen, cli.endpoints, "late", "--at", "2026-02-01")["version"] == 3
    run(screen, cli.endpoints, "late", "--at", "2025-02-01")
    assert screen.text == "Nothing was live at 2025-02-01."


def test_waiting_ends_with_a_clear_word(screen: Screen, serving: Any) -> None:
    with pytest.raises(Unavailable, match="not up after"):
        run(screen, deploy_cli.deploy, "late", "3", "--model", "flights", "--timeout", "0.1")
    serving.went_wrong("late", 1, "the file is damaged", "data plane")
    with pytest.raises(CheckFailed, match="the file is damaged"):
        deploy_cli.up(screen.client, {"endpoint": "late", "revision": 1}, 1.0)


def test_score(screen: Screen, tmp_path: Path) -> None:
    columns = {"dep_hour": [1.0], "distance": [1000], "delay": [1.5], "carrier": ["UA"], "holiday": [False]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    assert run(screen, cli.score, "flights/3", str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"))["rows"] == 1


def test_asking_without_a_data_plane_or_token(screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not run"):
        run(screen, cli.predict, "late", "x=1")
    monkeypatch.delenv("LOOPLINE_TOKEN", raising=False)
    there = ("--serving-url", "http://127.0.0.1:9")
    with pytest.raises(Refused, match="need a token"):
        run(screen, cli.predict, "late", "x=1", *there)
    monkeypatch.setenv("LOOPLINE_TOKEN", "loop_x")
    with pytest.raises(Unavailable, match="No data plane answers"):
        run(screen, cli.truth, "late", "0" * 21, "1", *there)
    with pytest.raises(Invalid, match="Say which prediction"):
        run(screen, cli.truth, "late")
    with pytest.raises(Invalid, match="not FIELD=VALUE"):
        run(screen, cli.predict, "late", "x", *there)
    (tmp_path / "rows.json").write_text("{")
    with pytest.raises(Invalid, match="is not JSON"):
        run(screen, cli.predict, "late", "--rows", str(tmp_path / "rows.json"), *there)


def test_rows_from_a_file() -> None:
    for content in ({"rows": [{"x": 1}]}, [{"x": 1}], {"x": 1}):
        assert rows_in(json.dumps(content).encode(), "rows.json", list) == [{"x": 1}]
