"""Weekly files of what had become known, and the contract that they keep."""

from __future__ import annotations

import batches
import contract
import features
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from flights import RAW_COLUMNS, timed

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def written(tmp_path_factory, fortnight):
    return batches.write_batches(tmp_path_factory.mktemp("data"), "2013-02-04", "2013-02-18", fortnight)


def test_each_file_holds_the_rows_known_in_its_week(written):
    assert [path.name for path in written] == ["flights-2013-02-04.parquet", "flights-2013-02-11.parquet"]
    for path in written:
        monday = batches.utc(path.stem.removeprefix("flights-"))
        known = timed(pd.read_parquet(path))["known_at"]
        assert monday <= known.min() <= known.max() < monday + batches.WEEK
        assert known.is_monotonic_increasing


def test_nothing_is_lost_doubled_or_changed(written, fortnight):
    read = timed(pd.concat([pd.read_parquet(path) for path in written]))
    known = timed(fortnight)
    expected = known[known["known_at"] >= batches.utc("2013-02-04")]
    assert set(read["key"]) == set(expected["key"])
    assert len(read) == len(expected)
    both = read.set_index("key").loc[expected["key"], list(RAW_COLUMNS)]
    pd.testing.assert_frame_equal(both, expected.set_index("key")[list(RAW_COLUMNS)], check_dtype=False)


def test_the_same_rows_give_the_same_bytes(written, tmp_path, fortnight):
    again = batches.write_batches(tmp_path, "2013-02-04", "2013-02-18", fortnight)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_features_from_the_files_are_those_from_the_rows(written, weather, fortnight):
    rows = pd.concat([pd.read_parquet(path) for path in written], ignore_index=True)
    from_files = features.featurize(rows, weather).set_index("key")
    times = timed(fortnight)
    same = fortnight[times["known_at"] >= batches.utc("2013-02-04")]
    from_rows = features.featurize(same, weather).set_index("key")
    pd.testing.assert_frame_equal(from_files.sort_index(), from_rows.sort_index(), check_dtype=False)


@pytest.mark.parametrize("name", ["flights", "weather"])
def test_every_published_row_keeps_the_contract(name, all_flights, weather):
    rows = {"flights": all_flights, "weather": weather}[name]
    rules = getattr(contract, name)
    assert [rule.name for rule in rules.columns] == list(rows.columns)
    assert rules.check(rows).text() == f"{rules.check(rows).checked} rules hold on {len(rows):,} rows"


def test_the_files_keep_the_contract(written, tmp_path):
    weather = batches.write_weather(tmp_path, "2013-02-04", "2013-02-11")
    assert contract.flights.check(pq.read_table(written[0])).ok
    assert contract.weather.check(pq.read_table(weather[0])).ok


@pytest.mark.parametrize(
    ("change", "column"),
    [({"origin": "XYZ"}, "origin"), ({"arr_delay": 100_000.0}, "arr_delay"), ({"distance": -1}, "distance")],
)
def test_a_spoilt_batch_is_named_by_its_column(change, column, fortnight):
    report = contract.flights.check(fortnight.assign(**change))
    assert [broken.column for broken in report.broken] == [column]


def test_a_flight_given_twice_breaks_the_contract(fortnight):
    report = contract.flights.check(pd.concat([fortnight, fortnight.head(1)], ignore_index=True))
    assert [broken.rule for broken in report.broken] == ["unique"]


def test_the_command_fills_both_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["batches.py", str(tmp_path), "--from", "2013-03-04", "--until", "2013-03-11"])
    batches.main()
    assert capsys.readouterr().out.startswith("2 files in ")
    assert np.isclose(len(pd.read_parquet(tmp_path / "flights" / "flights-2013-03-04.parquet")), 6_500, rtol=0.1)
    assert (tmp_path / "weather" / "weather-2013-03-04.parquet").is_file()
