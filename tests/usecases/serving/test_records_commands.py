"""`loopline log`, `erase` and `explain`, and the small language of conditions."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from loopline.core.errors import CheckFailed, Invalid, NotFound, Refused
from loopline.core.tables import Column, Signature
from loopline.shells.sdk.client import Local
from loopline.usecases.serving import erasing, records_cli
from loopline.usecases.serving.explaining import explain
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.conditions import Condition, parsed
from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("hour", "float", True), Column("carrier", "string", True)), Column("late", "float"))
START_MS = 1_700_000_000_000


class Screen:
    def __init__(self, loopline: Any) -> None:
        self.client, self.json = Local(loopline, "ann"), False
        self.shown: Any = None
        self.text = ""

    def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
        self.shown, self.text = data, text or ""


@pytest.fixture
def screen(loopline: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setattr(erasing, "FLUSHED_S", 0.0)
    serving.put("late", "flights", "ada")
    serving.configure("late", {"subject": "carrier"}, "ada")
    log = PredictionLog(loopline.home, prediction_header("late", 7, 1, "flights", 3, SIGNATURE))
    rows = [(7.0, "UA"), (3.0, "it's"), (None, None), (9.0, "UA")]
    columns = [pack(kind_of(c), v) for c, v in zip(SIGNATURE.inputs, zip(*rows, strict=True), strict=True)]
    log.write([Batch(
        4, array("q", range(START_MS, START_MS + 4)).tobytes(), array("q", [2, 4, 6, 8]).tobytes(),
        array("i", [-1] * 4).tobytes(), array("i", [250] * 4).tobytes(), None, None,
        array("d", [0.25, 0.5, 0.75, 1.0]).tobytes(), columns,
    )])  # fmt: skip
    log.close()
    return Screen(loopline)


def run(screen: Screen, command: Any, *arguments: str) -> Any:
    CliRunner().invoke(command, arguments, obj=screen, catch_exceptions=False, standalone_mode=False)
    return screen.shown


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("carrier = UA", [1.0, 0.25]),
        ("carrier = 'UA' and hour >= 8", [1.0]),
        ("carrier='it''s'", [0.5]),
        ('carrier = "it\'s"', [0.5]),
        ("carrier is null", [0.75]),
        ("carrier is not null and hour < 5", [0.5]),
        ("hour in (3, 9.0)", [1.0, 0.5]),
        ("revision != 1", []),
        ("nowhere = 3", []),
        ('carrier = "x\'; drop table facts; --"', []),
        ("at >= 2023-11-14T22:13:20.002Z", [1.0, 0.75]),
    ],
)
def test_what_is_meant_is_shown_newest_first(screen: Screen, serving: Any, where: str, found: list[float]) -> None:
    for _ in range(2):
        assert [row["prediction"] for row in run(screen, records_cli.log, "late", "--where", where)] == found
        serving.seal()


@pytest.mark.parametrize(
    "where",
    ["carrier", "carrier =", "carrier = UA or hour = 3", "carrier in UA", "carrier in (UA", "hour > late", "= 3",
     "carrier = ''' ", "a = 1 and", "x" * 5000],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_in_a_sentence(screen: Screen, where: str) -> None:
    with pytest.raises(Invalid):
        run(screen, records_cli.log, "late", "--where", where)


def test_a_condition_is_columns_signs_and_values() -> None:
    assert parsed("") == ()
    assert parsed("a<>3 AND b IS NULL") == (Condition("a", "!=", ("3",)), Condition("b", "null"))


def test_the_log_goes_to_a_file(screen: Screen, tmp_path: Path) -> None:
    assert (
        run(screen, records_cli.log, "late", "--to", str(tmp_path / "log.parquet"), "--where", "hour > 3")["rows"] == 2
    )
    assert pq.read_table(tmp_path / "log.parquet")["carrier"].to_pylist() == ["UA", "UA"]
    run(screen, records_cli.log, "late", "--to", str(tmp_path / "log.csv"))
    assert (tmp_path / "log.csv").read_text().count("\n") == 5
    with pytest.raises(Invalid, match="no known form"):
        run(screen, records_cli.log, "late", "--to", str(tmp_path / "log.txt"))
    with pytest.raises(Invalid, match="no folder"):
        run(screen, records_cli.log, "late", "--to", str(tmp_path / "no" / "log.csv"))
    with pytest.raises(NotFound):
        run(screen, records_cli.log, "nothing")


def test_a_file_that_was_changed_is_found(screen: Screen, loopline: Any, serving: Any) -> None:
    serving.seal()
    assert run(screen, records_cli.log, "late", "--check")["wrong"] == []
    (path,) = (loopline.home / "prediction-log").rglob("*.parquet")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CheckFailed):
        run(screen, records_cli.log, "late", "--check")
    assert screen.shown["wrong"][0]["problem"] == "it is not what was sealed"
    path.unlink()
    with pytest.raises(CheckFailed):
        run(screen, records_cli.log, "late", "--check")
    assert screen.shown["wrong"][0]["problem"] == "it is missing"


def test_a_person_is_erased_and_listed(screen: Screen, serving: Any) -> None:
    assert run(screen, records_cli.erase, "late", "--subject", "UA", "--yes")["predictions"] == 2
    assert screen.text == "2 predictions and 0 rows of ground truth are gone."
    (row,) = run(screen, records_cli.erase, "late", "--list")
    assert (row["field"], row["predictions"], "UA" in str(row)) == ("carrier", 2, False)
    with pytest.raises(Invalid, match="whose records"):
        run(screen, records_cli.erase, "late")
    assert serving.read_predictions("late").num_rows == 2


class Explaining:
    """A registry whose model says 0.1 + 0.02 x hour."""

    format = "double"

    def __init__(self, explains: bool = True) -> None:
        if explains:
            self.explain = lambda columns: (np.array([[0.02 * columns["hour"][0], 0.0]]), np.array([0.11]))

    def version(self, name: str, number: int) -> Any:
        return self

    def load(self, name: str, version: int) -> Any:
        return self


def test_a_prediction_is_explained_by_the_version_that_made_it(screen: Screen, serving: Any) -> None:
    record = serving.find_prediction(serving.read_predictions("late")["id"][0].as_py())
    found = explain(record, SIGNATURE, Explaining())  # type: ignore[arg-type]
    assert (found["scale"], found["stored"], found["version"]) == ("prediction", False, 3)
    assert found["contributions"] == {"hour": 0.14, "carrier": 0.0}
    first, base, hour, carrier = records_cli.bars(found)
    assert "by flights/3, in prediction" in first
    assert base.split() == ["(base)", "+0.11"]
    assert hour.count("█") == 20
    assert "█" not in carrier
    with pytest.raises(Refused, match="cannot be told of flights/3"):
        explain(record, SIGNATURE, Explaining(False))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="under the rules"):
        explain({**record, "rules": "surge/1"}, SIGNATURE, Explaining())  # type: ignore[arg-type]
    del record["carrier"]
    with pytest.raises(NotFound, match="was not logged"):
        explain(record, SIGNATURE, Explaining())  # type: ignore[arg-type]
