"""Snapshots by content: new batches are checked, bad ones kept aside, and what did not change is not read again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from loopline import Contract, column
from loopline.app.wiring import Loopline
from loopline.core.errors import CheckFailed, Invalid, LooplineError, NotFound, Unavailable
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.usecases.datasets import cli
from loopline.usecases.datasets.api import VERBS
from loopline.usecases.datasets.model import Source
from loopline.usecases.datasets.service import Datasets
from loopline.usecases.datasets.sources import _write_rows as write_rows

pytestmark = pytest.mark.integration

CONTRACT = Contract(
    columns=[column("carrier", "string"), column("distance", "float", minimum=0), column("flight", "integer")],
    unique=["flight"],
)


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in=coming"
    made.mkdir()
    return made


@pytest.fixture
def datasets(loopline: Loopline, folder: Path) -> Datasets:
    service: Datasets = loopline.datasets
    service.declare("flights", Source(folder=str(folder)), CONTRACT, "ada")
    return service


def rows(first: int, count: int = 3, **changes: Any) -> pa.Table:
    values: dict[str, Any] = {
        "carrier": ["AA"] * count,
        "distance": [float(100 * n) for n in range(count)],
        "flight": list(range(first, first + count)),
    }
    return pa.table(values | changes)


def put(folder: Path, name: str, table: pa.Table) -> Path:
    path = folder / name
    pq.write_table(table, path)
    return path


def test_the_same_content_gives_the_same_snapshot(datasets: Datasets, loopline: Loopline, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    first = datasets.snapshot("flights", "ada")
    again = datasets.snapshot("flights", "bob")
    assert first.new
    assert not again.new
    assert (first.digest, first.rows, first.parent) == (again.digest, 3, None)
    assert [c.type for c in first.columns] == ["string", "float", "integer"]
    assert datasets.latest("flights") == datasets.get(first.digest)
    facts = loopline.ledger.since(0, kind="dataset.snapshot_taken")
    assert [(fact.subject, fact.actor, fact.body["digest"]) for fact in facts] == [("flights", "ada", first.digest)]


def test_a_new_file_is_a_new_batch(datasets: Datasets, loopline: Loopline, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    first = datasets.snapshot("flights", "ada")
    put(folder, "b.parquet", rows(4))
    second = datasets.snapshot("flights", "ada")
    assert (second.parent, second.rows, len(second.parts)) == (first.digest, 6, 2)
    assert second.parts[0] == first.parts[0]
    assert datasets.table(second.digest)["flight"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert datasets.table(first.digest)["flight"].to_pylist() == [1, 2, 3]
    assert loopline.ledger.since(0, kind="dataset.snapshot_taken")[-1].body["added"] == ["b.parquet"]


def test_another_installation_gives_the_same_digest(datasets: Datasets, folder: Path, tmp_path: Path) -> None:
    put(folder, "a.parquet", rows(1))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (tmp_path / "other").mkdir()
    with installation(tmp_path / "other") as other:
        other.datasets.declare("trips", Source(folder=str(copy)), None, "eve")
        assert other.datasets.snapshot("trips", "eve").digest == datasets.snapshot("flights", "ada").digest


def test_what_did_not_change_is_not_read_again(
    datasets: Datasets, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.parquet", rows(1))
    put(folder, "b.parquet", rows(4))
    datasets.snapshot("flights", "ada")
    read: list[str] = []
    kept = datasets._blobs.put_file
    monkeypatch.setattr(datasets._blobs, "put_file", lambda path: (read.append(path.name), kept(path))[1])
    put(folder, "c.parquet", rows(7))
    assert datasets.snapshot("flights", "ada").rows == 9
    assert read == ["c.parquet"]
    os.utime(folder / "a.parquet")
    assert not datasets.snapshot("flights", "ada").new
    assert read == ["c.parquet", "a.parquet"]


def test_a_failing_batch_is_kept_aside_and_reported(datasets: Datasets, loopline: Loopline, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    put(folder, "b.parquet", rows(4, distance=[1.0, -5.0, 2.0]))
    taken = datasets.snapshot("flights", "ada")
    assert (taken.rows, taken.refused) == (3, ("b.parquet",))
    (batch,) = datasets.batches("flights", "refused")
    assert batch.report is not None
    assert batch.report.text() == "distance: 1 of 3 rows are below 0 (row 2: -5.0)"
    (fact,) = loopline.ledger.since(0, kind="dataset.batch_refused")
    assert fact.body["rules"] == ["minimum distance"]
    put(folder, "c.parquet", rows(7))
    later = datasets.snapshot("flights", "ada")
    assert [part.name for part in later.parts] == ["a.parquet", "c.parquet"]
    assert len(loopline.ledger.since(0, kind="dataset.batch_refused")) == 1


def test_a_batch_may_be_released(datasets: Datasets, loopline: Loopline, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    put(folder, "b.parquet", rows(4, distance=[1.0, -5.0, 2.0]))
    datasets.snapshot("flights", "ada")
    assert datasets.accept("flights", "b.parquet", "bob", "measured so").state == "released"
    taken = datasets.snapshot("flights", "ada")
    assert (taken.rows, taken.refused, taken.new) == (6, (), True)
    (fact,) = loopline.ledger.since(0, kind="dataset.batch_released")
    assert (fact.actor, fact.body["reason"]) == ("bob", "measured so")
    with pytest.raises(NotFound):
        datasets.accept("flights", "b.parquet", "bob")


def test_a_corrected_file_is_used(datasets: Datasets, folder: Path) -> None:
    put(folder, "a.parquet", rows(1, distance=[-1.0, 0.0, 0.0]))
    with pytest.raises(CheckFailed, match="below 0"):
        datasets.snapshot("flights", "ada")
    put(folder, "a.parquet", rows(1))
    assert datasets.snapshot("flights", "ada").rows == 3


def test_a_file_that_turns_bad_stands_as_it_was(datasets: Datasets, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    first = datasets.snapshot("flights", "ada")
    put(folder, "a.parquet", rows(1, flight=[1, 1, 1]))
    second = datasets.snapshot("flights", "ada")
    assert (second.digest, second.refused) == (first.digest, ("a.parquet",))


def test_a_removed_file_leaves_and_may_come_back(datasets: Datasets, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    put(folder, "b.parquet", rows(4))
    both = datasets.snapshot("flights", "ada")
    (folder / "b.parquet").rename(folder / ".b.parquet")
    one = datasets.snapshot("flights", "ada")
    assert (one.rows, datasets.latest("flights").digest) == (3, one.digest)
    (folder / ".b.parquet").rename(folder / "b.parquet")
    assert datasets.snapshot("flights", "ada").digest == both.digest == datasets.latest("flights").digest
    assert len(datasets.snapshots("flights")) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"\x00" * 100])
def test_a_damaged_file_is_kept_aside(content: bytes, datasets: Datasets, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    (folder / "b.parquet").write_bytes(content)
    assert datasets.snapshot("flights", "ada").refused == ("b.parquet",)


def test_csv_takes_its_types_from_the_contract(datasets: Datasets, folder: Path) -> None:
    (folder / "a.csv").write_text("carrier,distance,flight\n01,100,1\n02,,2\n")
    (folder / "b.csv").write_text("carrier,distance,flight\n9E,3,3\n")
    (folder / "c.csv").write_text("carrier,distance,flight\nAA,far,4\n")
    with_gap = Contract(columns=[column("carrier", "string"), column("distance", "float", nullable=True)])
    datasets.declare("flights", Source(folder=str(folder)), with_gap, "ada")
    taken = datasets.snapshot("flights", "ada")
    assert taken.refused == ("c.csv",)
    table = datasets.table(taken.digest)
    assert table["carrier"].to_pylist() == ["01", "02", "9E"]
    assert table["distance"].to_pylist() == [100.0, None, 3.0]


def test_a_bad_file_that_is_corrected_is_kept_aside_no_longer(
    loopline: Loopline, datasets: Datasets, folder: Path
) -> None:
    pq.write_table(rows(0), folder / "a.parquet")
    pq.write_table(rows(3, distance=[-1.0, 1.0, 2.0]), folder / "b.parquet")
    assert datasets.snapshot("flights", "ada").refused == ("b.parquet",)
    shutil.copy(folder / "b.parquet", folder.parent / "b.bad")
    pq.write_table(rows(3), folder / "b.parquet")
    taken = datasets.snapshot("flights", "ada")
    assert (taken.rows, taken.refused) == (6, ())
    assert (datasets.dataset("flights").refused, datasets.batches("flights", "refused")) == (0, [])
    shutil.copy(folder.parent / "b.bad", folder / "b.parquet")
    assert datasets.snapshot("flights", "ada").refused == ("b.parquet",)  # the same bytes are bad again
    assert len(loopline.ledger.since(0, kind="dataset.batch_refused")) == 2
    assert len(loopline.ledger.since(0, kind="dataset.batch_gone")) == 1


def test_a_bad_file_that_is_taken_away_is_kept_aside_no_longer(datasets: Datasets, folder: Path) -> None:
    pq.write_table(rows(0), folder / "a.parquet")
    (folder / "b.parquet").write_bytes(b"no table")
    assert datasets.snapshot("flights", "ada").refused == ("b.parquet",)
    (folder / "b.parquet").unlink()
    taken = datasets.snapshot("flights", "ada")
    assert (taken.rows, taken.refused, taken.new) == (3, (), False)
    with pytest.raises(NotFound):
        datasets.accept("flights", "b.parquet", "ada")


@pytest.mark.parametrize("option", [["--refused"], ["--accept", "b.parquet"]])
def test_what_is_said_of_batches_needs_a_dataset(option: list[str]) -> None:
    answer = CliRunner().invoke(cli.datasets, option)
    assert answer.exit_code == 2
    assert "need the name of a dataset" in answer.output


def test_types_that_differ_a_little_meet_and_others_are_refused(datasets: Datasets, folder: Path) -> None:
    datasets.declare("flights", Source(folder=str(folder)), None, "ada")
    put(folder, "a.parquet", pa.table({"x": [1, 2], "y": pa.array(["a", "b"]).dictionary_encode(), "z": [[1], [2]]}))
    put(folder, "b.parquet", pa.table({"x": [1.5], "more": [True]}))
    put(folder, "c.parquet", pa.table({"x": ["text"]}))
    taken = datasets.snapshot("flights", "ada")
    assert taken.refused == ("c.parquet",)
    assert datasets.table(taken.digest)["x"].to_pylist() == [1.0, 2.0, 1.5]
    assert datasets.table(taken.digest)["y"].to_pylist() == ["a", "b", None]


def test_other_files_and_hidden_ones_are_no_batches(datasets: Datasets, folder: Path) -> None:
    for name in ("readme.txt", ".hidden.csv", "_SUCCESS", "x.parquet.tmp"):
        (folder / name).write_text("a\n1\n")
    with pytest.raises(NotFound, match="no batch"):
        datasets.snapshot("flights", "ada")
    (folder / "2013").mkdir()
    put(folder / "2013", "a.parquet", rows(1))
    assert [part.name for part in datasets.snapshot("flights", "ada").parts] == ["2013/a.parquet"]


def test_what_is_not_there_is_named(datasets: Datasets, folder: Path) -> None:
    with pytest.raises(NotFound, match="no snapshot yet"):
        datasets.latest("flights")
    with pytest.raises(NotFound, match="no dataset"):
        datasets.snapshot("nothing", "ada")
    with pytest.raises(NotFound, match="no snapshot"):
        datasets.table("0" * 64)
    folder.rmdir()
    with pytest.raises(NotFound, match="no folder"):
        datasets.snapshot("flights", "ada")


def test_declaring_again_changes_only_what_differs(datasets: Datasets, folder: Path) -> None:
    assert not datasets.declare("flights", Source(folder=str(folder)), CONTRACT, "ada")
    assert datasets.declare("flights", Source(folder=str(folder)), None, "ada")
    assert datasets.dataset("flights").contract is None
    with pytest.raises(Invalid):
        datasets.declare("a/b", Source(folder=str(folder)), None, "ada")


def test_a_query_on_sqlite_is_a_batch(datasets: Datasets, tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE flights (carrier TEXT, distance REAL, flight INTEGER)")
        db.execute("INSERT INTO flights VALUES ('AA', 100.5, 1), ('UA', NULL, 2)")
    contract = Contract(columns=[column("flight", "integer"), column("distance", "float", nullable=True, minimum=0)])
    source = Source(url=f"sqlite:///{path}", query="SELECT * FROM flights ORDER BY flight")
    datasets.declare("table", source, contract, "ada")
    first = datasets.snapshot("table", "ada")
    assert datasets.table(first.digest)["distance"].to_pylist() == [100.5, None]
    assert datasets.snapshot("table", "ada").digest == first.digest
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO flights VALUES ('AA', -1, 3)")
    refused = datasets.snapshot("table", "ada")
    assert (refused.digest, refused.refused) == (first.digest, ("query",))
    db.close()


def test_equal_rows_give_equal_bytes_whatever_a_driver_leaves_behind(tmp_path: Path) -> None:
    def written(garbage: int) -> bytes:
        valid = pa.py_buffer(bytes([0b01 | garbage]))  # the second value is empty; six bits are nobody's
        values = pa.py_buffer(struct.pack("<2d", 1.5, garbage))
        table = pa.table({"x": pa.Array.from_buffers(pa.float64(), 2, [valid, values])})
        write_rows(table, tmp_path / "rows.arrow")
        return (tmp_path / "rows.arrow").read_bytes()

    assert written(0) == written(0b1010100)


def test_a_query_that_fails_is_named(datasets: Datasets, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "data.db").close()
    for url, query, error in (
        (f"sqlite:///{tmp_path}/data.db", "SELECT * FROM nothing", Unavailable),
        (f"sqlite:///{tmp_path}/none.db", "SELECT 1", NotFound),
        ("postgresql://u:${NOT_SET_ANYWHERE}@127.0.0.1:1/x", "SELECT 1", Unavailable),
        ("oracle://x", "SELECT 1", Invalid),
    ):
        datasets.declare("table", Source(url=url, query=query), None, "ada")
        with pytest.raises(error):
            datasets.snapshot("table", "ada")


@pytest.mark.parametrize(
    "source",
    [
        {"folder": "a", "url": "x", "query": "SELECT 1"},
        {},
        {"query": "SELECT 1"},
        {"url": "postgresql://me:secret@host/db", "query": "SELECT 1"},
    ],
)
def test_a_source_that_makes_no_sense_is_refused(source: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Source(**source)


class Screen:
    def __init__(self, loopline: Loopline) -> None:
        self.client = self
        self.loopline = loopline
        self.json = False
        self.shown: Any = None

    def call(self, name: str, /, **fields: Any) -> Any:
        verb = next(verb for verb in VERBS if verb.name == name)
        answer = verb.call(self.loopline.datasets, verb.request(**fields), Caller("ada", Role.ADMIN))
        return msgspec.to_builtins(answer)

    def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
        self.shown = text if text is not None else [[row[key] for _, key in table] for row in data]


def test_the_commands_show_what_is_there(datasets: Datasets, loopline: Loopline, folder: Path) -> None:
    put(folder, "a.parquet", rows(1))
    put(folder, "b.parquet", rows(4, distance=[1.0, -5.0, 2.0]))
    screen = Screen(loopline)

    def shown(command: Any, *arguments: str) -> Any:
        CliRunner().invoke(command, arguments, obj=screen, catch_exceptions=False)
        return screen.shown

    with pytest.raises(LooplineError, match=r"b\.parquet"):
        shown(cli.snapshot, "flights")
    assert "3 rows in 1 batches" in screen.shown
    assert "distance: 1 of 3 rows are below 0 (row 2: -5.0)" in shown(cli.datasets, "flights", "--refused")
    assert shown(cli.datasets)[0][:4] == ["flights", str(folder), 1, 1]
    assert "released" in shown(cli.datasets, "flights", "--accept", "b.parquet", "--reason", "fine")
    assert "6 rows in 2 batches" in shown(cli.snapshot, "flights")
    assert [row[2] for row in shown(cli.datasets, "flights")] == [3, 6]
    latest = screen.call("datasets.latest", name="flights")
    assert screen.call("datasets.rows", digest=latest["digest"], limit=1)[0]["carrier"] == "AA"


def test_a_source_that_the_system_does_not_give_is_named(datasets: Datasets, folder: Path) -> None:
    datasets.declare("long", Source(folder=str(folder / ("a" * 300))), None, "ada")
    with pytest.raises(Unavailable, match="File name too long"):
        datasets.snapshot("long", "ada")
