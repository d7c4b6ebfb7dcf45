"""The client and `loopline predict` against a real router."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

import loopline
from loopline.core.errors import CheckFailed, Invalid, NotFound, Refused

pytestmark = pytest.mark.integration


def test_predictions_and_truth(shared: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    monkeypatch.delenv("LOOPLINE_SERVING_URL", raising=False)
    with loopline.endpoint("late", home=shared.home, token=TOKEN) as late:
        assert late.ready()
        assert next(each["name"] for each in late.describe()["inputs"]) == "dep_hour"
        assert late.predict(ROW) == [107.5]
        many = late.predict([{**ROW, "dep_hour": float(hour)} for hour in range(50)], chunk_rows=20)
        assert many == [100.0 + hour for hour in range(50)]
        assert shared.record(many.ids[-1])["prediction"] == 149.0
        assert late.truth(many.ids[0], 1.0)["accepted"] == 1
        with pytest.raises(Invalid, match="distance"):
            late.predict({**ROW, "distance": "far"})
        with pytest.raises(CheckFailed, match="could not score"):
            late.predict({**ROW, "dep_hour": -1.0})
    with pytest.raises(NotFound, match="nobody"), loopline.endpoint("nobody", home=shared.home, token=TOKEN) as none:
        none.predict(ROW)
    with pytest.raises(Refused), loopline.endpoint("late", home=shared.home, token="loop_unknown") as stranger:
        stranger.predict(ROW)


def test_large_tables_travel_as_columns(shared: Router) -> None:
    import pandas as pd
    import polars as pl

    columns = {
        "dep_hour": [float(hour % 24) for hour in range(1000)],
        "distance": list(range(1000)),
        "temp": [None, 1.5] * 500,
        "carrier": ["UA", None] * 500,
        "holiday": [False, True] * 500,
    }
    frame = pd.DataFrame(columns)
    with loopline.endpoint("late", home=shared.home, token=TOKEN) as late:
        for table in (frame, frame.astype({"carrier": "category"}), pl.DataFrame(columns), pa.table(columns)):
            found = late.predict(table)
            assert found == [100.0 + hour for hour in columns["dep_hour"]], type(table)
            assert (len(set(found.ids)), found.version) == (1000, 1)
        assert shared.record(found.ids[999])["distance"] == 999
        with pytest.raises(Invalid, match="distance"):
            late.predict(frame.drop(columns="distance"))
        with pytest.raises(Invalid, match="Give each column one type"):
            late.predict(pd.DataFrame({"x": [1, "a"] * 200}))


def test_a_restart_in_between_is_not_noticed(shared: Router) -> None:
    with loopline.endpoint("late", home=shared.home, token=TOKEN, timeout=60) as late:
        assert late.predict(ROW) == [107.5]
        shared.stop()
        shared.start()
        assert late.predict(ROW) == [107.5]


def predict(router: Router, *words: str, given: bytes = b"", token: str = TOKEN) -> subprocess.CompletedProcess[bytes]:
    url = f"http://127.0.0.1:{router.port}"
    command = [sys.executable, "-m", "loopline", "predict", "late", "--home", str(router.home), "--serving-url", url]
    environment = os.environ | {"LOOPLINE_TOKEN": token}
    return subprocess.run(
        [*command, *words], input=given, capture_output=True, env=environment, timeout=60, check=False
    )


CSV = b"dep_hour,distance,temp,carrier,holiday,flight\n7.5,1400,,UA,false,007\n9,200,1.5,,true,\n"
ROWS: list[dict[str, Any]] = [
    {"dep_hour": 7.5, "distance": 1400, "temp": None, "carrier": "UA", "holiday": False, "flight": "007"},
    {"dep_hour": 9.0, "distance": 200, "temp": 1.5, "carrier": None, "holiday": True, "flight": None},
]


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "stdin csv", "stdin json"])
def test_rows_come_from_files(shared: Router, tmp_path: Path, form: str) -> None:
    content = CSV if "csv" in form else json.dumps({"rows": ROWS}).encode()
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    elif "stdin" not in form:
        (tmp_path / f"rows.{form}").write_bytes(content)
    source = "-" if "stdin" in form else str(tmp_path / f"rows.{form}")
    done = predict(shared, "--rows", source, "--json", given=content)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["predictions"], len(answer["ids"]), answer["version"]) == ([107.5, 109.0], 2, 1)
    assert shared.record(answer["ids"][0])["key"] == "007"


@pytest.mark.parametrize(
    ("words", "content", "code", "told"),
    [
        (("dep_hour=7.5", "--rows", "-"), b"[]", 2, "Give one of them"),
        (("--rows", "/nowhere.csv"), b"", 2, "cannot be read"),
        (("--rows", "-"), b"dep_hour,distance\n1\n", 2, "line 2"),
        (("--rows", "-"), b"dep_hour,distance\nx,1\n", 2, "dep_hour is 'x'"),
        (("--rows", "-"), b"{]", 2, "is not JSON"),
        (("--rows", "-"), b"\xff\xfe", 2, "UTF-8"),
        (("--rows", "-"), b"PAR1 no", 2, "not Parquet"),
        (("dep_hour=-1", "distance=1", "temp=null", "carrier=UA", "holiday=true"), b"", 1, "could not score"),
    ],
)
def test_refusals_are_one_sentence(
    shared: Router, words: tuple[str, ...], content: bytes, code: int, told: str
) -> None:
    done = predict(shared, *words, given=content)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_what_each_input_contributed(router: Router) -> None:
    router.describe([["explains", 100.0]])
    router.start()
    router.deploy(1)
    with loopline.endpoint("late", home=router.home, token=TOKEN) as late:
        found = late.predict([ROW, ROW], explain=True)
        assert [list(each["contributions"]) for each in found.explanations if each] == [list(ROW)] * 2
        assert late.predict(ROW).explanations == []
    words = [f"{name}={json.dumps(value)}" for name, value in ROW.items()]
    done = predict(router, *words, "--explain", "--json")
    assert json.loads(done.stdout)["explanations"][0]["contributions"].keys() == ROW.keys()
    assert b"dep_hour" in predict(router, *words, "--explain").stdout
