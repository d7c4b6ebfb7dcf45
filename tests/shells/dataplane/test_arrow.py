"""Arrow streams as requests and answers: large batches, every plain type, and whatever bytes arrive."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import io
import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.arrow import from_arrow
from loopline.shells.dataplane.rows import Rows

pytestmark = pytest.mark.integration
KIND = "application/vnd.apache.arrow.stream"
PLAIN, INFER = "/v1/endpoints/late/predict", "/v2/models/late/infer"
SIGNATURE = Signature(
    (
        Column("f", "float", True),
        Column("i", "integer", True),
        Column("s", "string", True),
        Column("b", "boolean", True),
        Column("t", "timestamp", True),
    ),
    Column("y", "float"),
)
NOON = datetime.datetime(2013, 4, 1, 12, tzinfo=datetime.UTC).replace(tzinfo=None)
CONTRACT = Rows(SIGNATURE, "k", None, 10, most_columnar=100)


def stream(table: Any, most: int | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=most)
    return sink.getvalue()


def table(**changed: Any) -> Any:
    columns: dict[str, Any] = {"f": [1.5, None], "i": [1, None], "s": ["a", None], "b": [True, None],
                               "t": [NOON, None]}  # fmt: skip
    return pa.table({**columns, **changed})


def flights(rows: int) -> Any:
    hours = np.arange(rows) % 24 + 0.5
    return pa.table({
        "dep_hour": hours, "distance": pa.array(np.full(rows, 1400)), "temp": pa.array(hours, mask=hours < 5),
        "carrier": pa.array(["UA"] * rows).dictionary_encode(), "holiday": pa.array([False] * rows),
        "flight": pa.array([f"F{row}" for row in range(rows)]),
    })  # fmt: skip


def sent(router: Router, content: bytes, path: str = PLAIN, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=60)
    given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": KIND, **headers}
    try:
        connection.request("POST", path, content, given)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


TAKEN = [(1.5, 1, "a", True, "2013-04-01T12:00:00.000Z", None), (None, None, None, None, None, None)]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"f": pa.array([1.5, None], pa.float16()), "i": pa.array([1, None], pa.uint8())},
        {"f": pa.array([1.5, float("nan")], pa.float32()), "i": pa.array([1.0, float("nan")])},
        {"s": pa.array(["a", None]).dictionary_encode(), "t": pa.array(["2013-04-01T12:00:00Z", None])},
        {"s": pa.array(["a", None], pa.large_string()), "i": pa.array([1, None], pa.uint64())},
        {"t": pa.array([NOON, None], pa.timestamp("ns", "UTC"))},
        {"t": pa.array([NOON, None], pa.timestamp("s"))},
        {"k": pa.array([None, None], pa.null())},
    ],
)
def test_every_plain_type(changed: Any) -> None:
    assert from_arrow(CONTRACT, stream(table(**changed))) == TAKEN


def test_slices_and_several_batches() -> None:
    whole = pa.concat_tables([table()] * 6).slice(1, 7)
    assert from_arrow(CONTRACT, stream(whole, 2)) == [TAKEN[1], *TAKEN * 3]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (table(f=["x", "y"]), "Row 0: the field 'f' must be a number, not text."),
        (table(i=[1, 1.5]), "Row 1: the field 'i' must be an integer, not a number with a fraction."),
        (table(f=[float("inf"), 1]), "Row 0: the field 'f' is too large for a number."),
        (table(i=pa.array([2**64 - 1, 1], pa.uint64())), "Row 0: the field 'i' is too large for an integer."),
        (table(t=pa.array([2**60, 1], pa.timestamp("s"))), "The column 't' cannot be read"),
        (table(x=[1, 2]), "The input 'x' is unknown."),
        (table().drop_columns(["s"]), "The input 's' is missing."),
        (table(s=[["a"], ["b"]]), "The column 's' is of the type list<"),
        (table(s=[b"a", b"b"]), "The column 's' is of the type binary."),
        (table().rename_columns(["f", "i", "s", "b", "f"]), "The column 'f' is there twice."),
        (table().slice(0, 0), "There are no rows in the request."),
        (pa.concat_tables([table()] * 51), "A request may have 100 rows."),
    ],
)
def test_what_is_wrong_is_named(given: Any, sentence: str) -> None:
    with pytest.raises(Fault) as refused:
        from_arrow(CONTRACT, stream(given))
    assert refused.value.message.startswith(sentence), refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("coding", ["zstd", "lz4"])
def test_compressed_buffers_are_refused(coding: str) -> None:
    with pytest.raises(Fault, match="compressed"):
        from_arrow(CONTRACT, stream(table(), compression=coding))


@pytest.mark.parametrize("rounds", [3000, pytest.param(100_000, marks=pytest.mark.torture)], ids=["few", "many"])
def test_damaged_streams(rounds: int) -> None:
    chance = random.Random(rounds)
    good = stream(table(s=pa.array(["a", None]).dictionary_encode()))
    for _ in range(rounds):
        content = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(content))
            content[place : place + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
        with contextlib.suppress(Fault):  # anything else fails
            from_arrow(CONTRACT, bytes(content))


def test_a_hundred_thousand_rows(shared: Router) -> None:
    """Answered in pieces under one id, and small requests are answered meanwhile."""
    rows = 100_000
    given = flights(rows)
    status, headers, said = sent(shared, stream(given), Accept=KIND)
    assert (status, headers["content-type"]) == (200, KIND), said[:300]
    found = pa.ipc.open_stream(said).read_all()
    assert found["prediction"].to_pylist() == (given["dep_hour"].to_numpy() + 100).tolist()
    name = headers["x-loopline-prediction-id"]
    assert found.schema.metadata[b"prediction_id"].decode() == name
    record = shared.record(f"{name}-{rows - 1}", patience=30)
    assert (record["key"], record["prediction"]) == (f"F{rows - 1}", (rows - 1) % 24 + 100.5)


def test_as_json_on_both_addresses(shared: Router) -> None:
    given = stream(flights(5000))
    status, _, said = sent(shared, given)
    plain = json.loads(said)
    assert (status, len(plain["predictions"]), len(plain["ids"])) == (200, 5000, 5000)
    assert shared.record(plain["ids"][4999])["key"] == "F4999"
    status, _, said = sent(shared, given, INFER)
    assert (status, json.loads(said)["outputs"][0]["data"]) == (200, plain["predictions"])
    _, _, said = sent(shared, given, INFER, Accept=f"{KIND}, */*")
    assert pa.ipc.open_stream(said).read_all()["prediction"].to_pylist() == plain["predictions"]


def test_a_piece_that_the_model_refuses_refuses_all(shared: Router) -> None:
    given = flights(9000)
    hours = given["dep_hour"].to_numpy().copy()
    hours[8500] = -1
    status, _, said = sent(shared, stream(given.set_column(0, "dep_hour", pa.array(hours))))
    assert status == 422
    assert json.loads(said)["error"].startswith("Row 8500: the model could not score this row: ValueError: negative")
    assert shared.predict()[0] == 200


def test_packed_for_the_way(shared: Router) -> None:
    import gzip

    import zstandard

    given = stream(flights(3000))
    for coding, packed in (("gzip", gzip.compress(given)), ("zstd", zstandard.compress(given))):
        status, _, said = sent(shared, packed, **{"Content-Encoding": coding})
        assert (status, len(json.loads(said)["predictions"])) == (200, 3000)


@pytest.mark.parametrize("content", [b"", b"{}", b"ARROW1\0\0", b"\xff" * 1000, stream(flights(3))[:-300]])
def test_odd_bytes(shared: Router, content: bytes) -> None:
    for path in (PLAIN, INFER):
        status, _, said = sent(shared, content, path)
        assert (status, json.loads(said)["error"][:40]) == (
            400,
            "The body is not an Arrow IPC stream: "[:40],
        ) or status == 400
    assert shared.predict(ROW)[0] == 200
