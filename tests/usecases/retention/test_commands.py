"""What people type, and what they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.shells.cli import run as command

pytestmark = pytest.mark.integration


@pytest.fixture
def cli(loopline: Loopline, make: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    monkeypatch.setenv("LOOPLINE_ACTOR", "ann")
    make.runs = [make.run(loopline, name=f"try {n}", notes=b"%d" % n * 1000) for n in range(3)]
    make.version(loopline, Path(loopline.home) / "m", make.runs[0])
    make.old(loopline)
    home = loopline.home
    loopline.close()

    def call(*arguments: str) -> tuple[int, str, str]:
        code = command([*arguments, "--home", str(home)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_what_is_in_use_is_told_with_the_way_out(cli: Any, make: Any) -> None:
    code, out, _ = cli("rm", "experiment", "tab", "--dry-run")
    assert code == 0
    assert "└─ 3 runs (" in out
    assert "it made late/1. First `loopline rm version late/1`." in out
    code, _, err = cli("rm", "experiment", "tab", "--yes")
    assert code == 2
    assert "is in use" in err
    assert "First `loopline rm version late/1`." in err
    assert "Traceback" not in err


def test_a_thing_goes_comes_back_and_goes_for_good(cli: Any, make: Any) -> None:
    assert cli("rm", "version", "late/1", "--yes")[0] == 0
    code, out, _ = cli("rm", "experiment", "tab", "--json")
    assert (code, json.loads(out)["counts"]["runs"]) == (0, 3)
    code, out, _ = cli("trash")
    assert [line.split("\t")[:2] for line in out.splitlines()[1:]] == [["experiment", "tab"], ["version", "late/1"]]
    code, out, _ = cli("restore", "experiment", "tab")
    assert (code, out.strip()) == (0, "The experiment tab is back.")
    assert cli("rm", "experiment", "tab")[0] == 0
    code, _, err = cli("rm", "experiment", "tab", "--now")
    assert code == 2
    assert "Say --yes" in err
    code, out, _ = cli("rm", "experiment", "tab", "--now", "--yes")
    assert (code, out.strip()) == (0, "3.0 kB are free.")
    code, _, err = cli("rm", "experiment", "tab", "--now", "--yes")
    assert code == 3
    code, out, _ = cli("rm", "model", "late", "--now", "--yes")
    assert code == 0
    assert "is gone." in out
    code, out, _ = cli("trash", "--json")
    assert [one["name"] for one in json.loads(out)] == ["late/1"]
    assert cli("restore", "version", "late/1")[0] == 2, "its model is gone"
    assert cli("trash", "--keep-days", "0")[0] == 0
    code, out, _ = cli("gc", "--json")
    assert {one["what"] for one in json.loads(out)["swept"]} >= {
        "things in the trash for long enough",
        "files of bytes",
    }
    assert json.loads(cli("room", "--json")[1])["rooms"][0]["kind"] == "database"


def test_policies_are_set_shown_and_taken_off(cli: Any, make: Any) -> None:
    code, out, _ = cli("retention", "set", "tab", "--keep-best", "1", "--by", "metrics.auc")
    assert code == 0
    assert "tab keeps the best 1 by auc, and what is used." in out
    code, out, _ = cli("retention", "show", "tab")
    assert "it made late/1" in out
    assert "it ended within the hour" in out
    code, out, _ = cli("retention")
    assert "the best 1 by auc" in out
    assert cli("retention", "set", "tab")[0] == 2
    assert cli("retention", "off", "tab")[0] == 0
    assert cli("retention", "off", "tab")[0] == 3
    code, out, _ = cli("gc", "--dry-run")
    assert code == 0
    assert "would be removed" in out


@pytest.mark.parametrize(
    "wrong", [("rm", "table", "x"), ("rm", "run", "zzzz"), ("restore", "run", "zzzz"), ("trash", "--keep-days", "-1")]
)
def test_what_is_wrong_is_said_in_a_sentence(cli: Any, wrong: tuple[str, ...]) -> None:
    code, _, err = cli(*wrong)
    assert code in (2, 3)
    assert err.startswith("error: ")
    assert "Traceback" not in err
