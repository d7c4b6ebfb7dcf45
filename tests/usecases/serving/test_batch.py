"""Scoring files: the same checks, ids and log as live, whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from loopline.core.errors import Invalid, NotFound, Refused
from loopline.usecases.monitoring.model.profile import decode

pytestmark = pytest.mark.integration

COLUMNS: dict[str, Any] = {
    "dep_hour": [7.5, 8.0, 9.25],
    "distance": [1000, 2000, 3000],
    "delay": [None, 1.5, None],
    "carrier": ["UA", None, "AA"],
    "holiday": [True, False, False],
    "flight": ["a", "b", "c"],
    "departs": [datetime(2013, 4, day, tzinfo=UTC) for day in (1, 2, 3)],
}


def written(folder: Path, **changed: Any) -> Path:
    table = pa.table({name: value for name, value in {**COLUMNS, **changed}.items() if value is not None})
    pq.write_table(table, folder / "in.parquet")
    return folder / "in.parquet"


def test_a_file_is_scored_and_logged(serving: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = serving.score("flights/3", written(tmp_path), out, "flight", "departs", chunk_rows=2)
    assert (done["rows"], done["model"], done["version"]) == (3, "flights", 3)
    made = pq.read_table(out)
    assert made["prediction"].to_pylist() == [8.5, 10.0, 12.25]
    assert made["flight"].to_pylist() == ["a", "b", "c"]
    logged = serving.read_predictions("batch.flights").to_pylist()
    assert sorted(row["id"] for row in logged) == sorted(made["prediction_id"].to_pylist())
    by_id = {row["id"]: row for row in logged}
    record = by_id[made["prediction_id"][1].as_py()]
    assert (record["key"], record["event_time"].day, record["carrier"], record["version"]) == ("b", 2, None, 3)
    assert serving.find_prediction(made["prediction_id"][2].as_py())["prediction"] == 12.25


def test_a_profile_of_what_was_scored_stands_beside_it(serving: Any, tmp_path: Path) -> None:
    done = serving.score("flights/3", written(tmp_path), tmp_path / "out.parquet", chunk_rows=2)
    assert done["profile"] == str(tmp_path / "out.profile.json")
    found = decode(Path(done["profile"]).read_bytes())
    names = ["dep_hour", "distance", "delay", "carrier", "holiday", "prediction", "latency_ms"]
    assert [column.name for column in found.columns] == names
    assert {column.rows for column in found.columns} == {3}
    assert [column.missing for column in found.columns] == [0, 0, 2, 1, 0, 0, 0]
    assert found.column("prediction").mean == pytest.approx((8.5 + 10.0 + 12.25) / 3)
    assert not list(tmp_path.glob(".*"))


def test_csv_gives_the_same(serving: Any, tmp_path: Path) -> None:
    table = pa.table(COLUMNS)
    csv.write_csv(table, tmp_path / "in.csv")
    serving.score("flights/3", tmp_path / "in.csv", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist() == [8.5, 10.0, 12.25]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"carrier": None}, "The column 'carrier' is missing."),
        ({"dep_hour": [7.5, None, 1.0]}, "Row 1: the field 'dep_hour' may not be null; it is a number."),
        ({"dep_hour": [7.5, 1.0, float("nan")]}, "Row 2: the field 'dep_hour' may not be null; it is a number."),
        ({"delay": [float("inf"), 1.0, 1.0]}, "Row 0: the field 'delay' is infinite."),
        ({"distance": [1.0, 2.5, 3.0]}, "Row 1: the field 'distance' is not an integer."),
        ({"distance": ["1", "2", "3"]}, "The column 'distance' is string; it must be an integer."),
        ({"carrier": [1, 2, 3]}, "The column 'carrier' is int64; it must be text."),
        ({"holiday": [1, 0, 1]}, "The column 'holiday' is int64; it must be true or false."),
        ({"departs": ["2013-04-01", "soon", None]}, "Row 1: the field 'departs': 'soon' is not a time."),
    ],
)
def test_what_the_signature_does_not_allow(serving: Any, tmp_path: Path, changed: Any, sentence: str) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(Invalid) as refused:
        serving.score("flights/3", written(tmp_path, **changed), out, "flight", "departs", chunk_rows=2)
    assert refused.value.message == sentence
    assert [path.name for path in tmp_path.glob("*out*")] == []


def test_integers_as_pandas_writes_them(serving: Any, tmp_path: Path) -> None:
    source = written(
        tmp_path, distance=[1000.0, 2000.0, 3000.0], carrier=pa.array(["UA", None, "AA"]).dictionary_encode()
    )
    serving.score("flights/3", source, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist() == [8.5, 10.0, 12.25]


def test_refusals(serving: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(NotFound, match="no file"):
        serving.score("flights/3", tmp_path / "none.parquet", out)
    with pytest.raises(NotFound, match="no version"):
        serving.score("flights/77", written(tmp_path), out)
    with pytest.raises(Refused, match="never loaded"):
        serving.score("flights/9", written(tmp_path), out)
    with pytest.raises(Invalid, match="no name for the output"):
        serving.score("flights/3", written(tmp_path), tmp_path / "out.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(Invalid, match="cannot be read"):
        serving.score("flights/3", tmp_path / "bad.parquet", out)
    with pytest.raises(Invalid, match="no rows"):
        serving.score(
            "flights/3", written(tmp_path, **{name: pa.array([], pa.array(v).type) for name, v in COLUMNS.items()}), out
        )
