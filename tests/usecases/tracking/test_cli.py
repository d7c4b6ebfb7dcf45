"""`loopline runs`, `show` and `sync` as people and programs use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.shells.cli import run as command
from loopline.testing.factories import installation
from loopline.usecases.tracking.model import Point

pytestmark = pytest.mark.integration


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    with installation(tmp_path) as loopline:
        for name, value in (("good", 0.9), ("bad", 0.4)):
            run = loopline.tracking.start(name, actor="ann", params={"rate": "1"}, run_id=f"{len(name):032x}")
            loopline.tracking.log(run.id, [Point("auc", value, 1), Point("auc", value / 2, 0)])
            loopline.tracking.put_artifact(run.id, "notes.bin", b"\x00\xff")
            loopline.tracking.finish(run.id, actor="ann")
        home = str(loopline.home)

    def call(*arguments: str) -> tuple[int, bytes, str]:
        code = command([*arguments, "--home", home])
        captured = capsysbinary.readouterr()
        return code, captured.out, captured.err.decode()

    return call


def test_runs_are_listed_filtered_and_ordered(cli: Any) -> None:
    _, out, _ = cli("runs", "--order-by", "metrics.auc")
    lines = out.decode().splitlines()
    assert lines[0].split("\t") == ["RUN", "KIND", "NAME", "EXPERIMENT", "STATUS", "STARTED", "METRICS"]
    assert [line.split("\t")[2] for line in lines[1:]] == ["bad", "good"]
    _, out, _ = cli("runs", "--filter", "metrics.auc > 0.5", "--json")
    assert [run["name"] for run in json.loads(out)["runs"]] == ["good"]
    _, _, err = cli("runs", "--limit", "1", "--json")
    assert err == ""
    code, out, err = cli("runs", "--filter", "auc > 0.5")
    assert (code, out) == (2, b"")
    assert "'auc' at character 1" in err


def test_one_run_is_shown_with_history_and_artifacts(cli: Any) -> None:
    run_id = f"{4:032x}"
    _, out, _ = cli("show", run_id)
    assert all(words in out.decode() for words in ("run good", "auc = 0.9", "artifact  notes.bin  2 bytes"))
    _, out, _ = cli("show", run_id, "--metric", "auc", "--json")
    assert [point["value"] for point in json.loads(out)] == [0.45, 0.9]
    _, out, _ = cli("show", run_id, "--artifact", "notes.bin")
    assert out == b"\x00\xff"
    code, _, err = cli("show", "ffffffff")
    assert (code, "no run 'ffffffff'" in err) == (3, True)


def test_sync_says_what_it_delivered(cli: Any) -> None:
    code, out, _ = cli("sync")
    assert (code, out) == (0, b"0 calls delivered, 0 refused, 0 runs still wait.\n")
