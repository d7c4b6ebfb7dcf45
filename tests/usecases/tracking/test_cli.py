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


def test_a_long_value_is_cut_and_the_trash_is_named(cli: Any) -> None:
    run_id = f"{4:032x}"
    cli("runs", "tag", "long", "x" * 5_000, run_id)
    cli("runs", "tag", "lines", "one\ntwo", run_id)
    cli("rm", "run", run_id)
    _, out, _ = cli("show", run_id)
    told = out.decode().splitlines()
    assert f"  long = {'x' * 200}… (5000 characters)" in told
    assert "  lines = one two" in told
    assert "state       in the trash (`loopline restore run` brings it back)" in told
    assert len(json.loads(cli("show", run_id, "--json")[1])["tags"]["long"]) == 5_000
    cli("rm", "run", run_id, "--now", "--yes")
    code, _, err = cli("show", run_id)
    assert (code, f"The run {run_id} was removed on 20" in err) == (3, True)


def test_sync_says_what_it_delivered(cli: Any) -> None:
    code, out, _ = cli("sync")
    assert (code, out) == (0, b"0 calls delivered, 0 refused, 0 runs still wait.\n")


def test_runs_are_shown_with_columns_and_in_groups(cli: Any) -> None:
    _, out, _ = cli("runs", "--columns", "metrics.auc,params.rate,kind", "--order-by", "metrics.auc desc")
    lines = [line.split("\t") for line in out.decode().splitlines()]
    assert lines[0] == ["RUN", "NAME", "STATUS", "auc", "rate", "KIND"]
    assert [line[1:] for line in lines[1:]] == [
        ["good", "finished", "0.9", "1", "run"],
        ["bad", "finished", "0.4", "1", "run"],
    ]
    _, out, _ = cli("runs", "--group-by", "params.rate", "--measure", "auc", "--json")
    assert [(one["value"], one["runs"], one["least"]) for one in json.loads(out)] == [("1", 2, 0.4)]
    code, _, err = cli("runs", "--columns", "nothing")
    assert (code, "'nothing' at character 1" in err) == (2, True)


def test_a_wrong_filter_is_answered_with_what_may_stand_there(cli: Any) -> None:
    code, _, err = cli("runs", "--filter", "metrics.auc > 0.5 and ra = 1")
    assert (code, "at character 23" in err, "Perhaps params.rate." in err) == (2, True, True)


def test_no_sign_is_offered_in_place_of_what_was_expected(cli: Any) -> None:
    for where in ("metrics.auc >", "params.rate IN ('1'", "tags.a = 'x' AND", "start_time > 'yesterday'"):
        code, _, err = cli("runs", "--filter", where)
        assert (code, "Expected" in err, "Perhaps" in err) == (2, True, False), where


def test_runs_named_or_found_are_put_away_and_tagged(cli: Any) -> None:
    assert cli("runs", "archive", f"{4:032x}")[1] == b"1 run archived.\n"
    _, out, _ = cli("runs", "--state", "archived", "--json")
    assert [run["name"] for run in json.loads(out)["runs"]] == ["good"]
    assert json.loads(cli("runs", "restore", "--filter", "metrics.auc > 0", "--json")[1]) == {"runs": 1}
    assert cli("runs", "tag", "best", "yes", "--filter", "metrics.auc > 0.5")[1] == b"1 run tagged.\n"
    assert cli("runs", "delete", "--filter", "tags.best = 'yes'")[1] == b"1 run put into the trash.\n"
    assert cli("runs", "delete", "--filter", "tags.best = 'yes'")[1] == b"0 runs put into the trash.\n"
    for wrong in (("delete",), ("delete", "abcd", "--filter", "metrics.auc > 0")):
        assert cli("runs", *wrong)[0] == 2
    assert cli("runs", "archive", "abcdef")[0] == 3
