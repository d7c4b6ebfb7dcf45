"""Images, tables, figures, sounds, confusion matrices, models, and data by digest: each kept as a stated kind of file."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import loopline
from loopline.core.errors import Invalid
from loopline.shells.sdk.client import Local
from loopline.testing.factories import installation
from loopline.usecases.tracking.client import Run
from loopline.usecases.tracking.objects import audio, figures, images, tables
from loopline.usecases.tracking.objects.digesting import digested


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    with installation(tmp_path) as loopline:
        yield Local(loopline, "ann")


def content(client: Local, run: Run, name: str) -> bytes:
    found = client.call("tracking.artifact", run_id=run.id, name=name)["content"]
    return base64.b64decode(found) if isinstance(found, str) else found


class Plotly:
    __module__ = "plotly.graph_objs"

    def to_json(self) -> str:
        return '{"data": []}'


class Altair:
    __module__ = "altair.vegalite"

    def to_json(self) -> str:
        return '{"mark": "bar"}'


class Matplotlib:
    def savefig(self, buffer: Any, format: str, **_: Any) -> None:  # noqa: A002
        buffer.write(format.encode())


@pytest.mark.integration
def test_objects_are_kept_under_their_names(client: Local, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.txt").write_text("a")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    with Run(client, "objects") as run:
        run.image("digit", np.zeros((4, 5), np.uint8), step=3)
        run.image("file", images.of_array(np.ones((2, 2, 3))))
        run.table("errors", frame)
        run.figure("plotly", Plotly())
        run.figure("altair", Altair())
        run.figure("plot", Matplotlib())
        run.audio("beep", np.sin(np.arange(800) / 5), rate=8000)
        run.confusion("test", ["a", "b", "b"], ["a", "a", "b"])
        run.text("note", "well")
        run.json("settings", {"depth": 3})
        run.artifact(tmp_path / "folder")
    kinds = {one["name"]: one["media_type"] for one in client.call("tracking.artifacts", run_id=run.id)}
    assert kinds == {
        "images/digit/00000003.png": "image/png",
        "images/file.png": "image/png",
        "tables/errors.json": "application/vnd.loopline.table+json",
        "figures/plotly.plotly.json": "application/vnd.plotly.v1+json",
        "figures/altair.vegalite.json": "application/vnd.vegalite.v5+json",
        "figures/plot.png": "image/png",
        "figures/plot.svg": "image/svg+xml",
        "audio/beep.wav": "audio/wav",
        "confusions/test.json": "application/vnd.loopline.confusion+json",
        "texts/note.txt": "text/plain",
        "texts/settings.json": "application/json",
        "folder/deep/a.txt": "text/plain",
    }
    table = json.loads(content(client, run, "tables/errors.json"))
    assert [one["name"] for one in table["columns"]] == ["a", "b"]
    assert (table["rows"], table["total"]) == ([[1, "x"], [2, None]], 2)
    assert json.loads(content(client, run, "confusions/test.json")) == {
        "labels": ["a", "b"],
        "counts": [[1, 0], [1, 1]],
    }
    with wave.open(io.BytesIO(content(client, run, "audio/beep.wav"))) as sound:
        assert (sound.getframerate(), sound.getnframes(), sound.getnchannels()) == (8000, 800, 1)


@pytest.mark.unit
def test_an_array_becomes_the_picture_that_it_is() -> None:
    import zlib

    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    png = images.of_array(pixels)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    start = png.index(b"IDAT")
    size = int.from_bytes(png[start - 4 : start], "big")
    rows = np.frombuffer(zlib.decompress(png[start + 4 : start + 4 + size]), np.uint8).reshape(2, 10)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:].reshape(2, 3, 3) == pixels).all()
    assert images.of_array(np.array([[0.0, 1.0], [2.0, np.nan]])) == images.of_array(np.array([[0, 255], [255, 0]]))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("act", "what"),
    [
        (images.encoded, np.zeros((2, 2, 7))),
        (images.encoded, np.array(["a"])),
        (images.encoded, b"no image"),
        (images.encoded, "no/such.png"),
        (figures.encoded, 3),
        (tables.encoded, 3),
        (lambda what: audio.encoded(what, 0), [0.1]),
        (lambda what: audio.encoded(what, 8000), "no/such.wav"),
        (lambda what: audio.encoded(what, 8000), ["a"]),
        (lambda what: tables.confusion(what, [1]), [1, 2]),
        (lambda what: tables.confusion(what, [2], labels=[1]), [1]),
        (digested, Path("no/such/file")),
        (digested, 3.5),
        (tables.encoded, [{"a": 10**30}]),
    ],
)
def test_what_is_no_such_thing_is_refused_in_a_sentence(act: Any, what: Any) -> None:
    with pytest.raises(Invalid) as caught:
        act(what)
    assert caught.value.message.endswith(".")
    assert caught.value.hint


@pytest.mark.unit
def test_a_table_is_cut_and_its_cells_are_plain() -> None:
    table = json.loads(tables.encoded({"n": range(10_001), "x": [float("nan")] * 10_001}))
    assert (len(table["rows"]), table["total"]) == (10_000, 10_001)
    assert table["rows"][0] == [0, "NaN"]
    mixed = json.loads(tables.encoded(pd.DataFrame({"a": [1, "x"], "t": pd.to_datetime(["2013-01-01"] * 2)})))
    assert mixed["rows"][1] == ["x", "2013-01-01 00:00:00"]
    assert json.loads(tables.encoded([{"a": 1}, {"a": None}]))["rows"] == [[1], [None]]


@pytest.mark.unit
def test_equal_data_has_one_digest_whatever_holds_it(tmp_path: Path) -> None:
    columns = {"a": [1, 2, 3], "b": ["x", "y", None], "c": [0.5, None, 1.5]}
    table = pa.table(columns)
    halves = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    digests = {digested(one).digest for one in (table, halves, pl.DataFrame(columns), pl.LazyFrame(columns))}
    digests.add(digested(pd.DataFrame(columns)).digest)
    assert len(digests) == 1
    assert digested(table).profile["rows"] == 3
    assert digested(table.slice(1)).digest not in digests
    array = np.arange(6).reshape(2, 3)
    assert digested(array).digest == digested(np.asfortranarray(array)).digest
    assert digested(array).digest != digested(array.reshape(3, 2)).digest
    (tmp_path / "a").write_text("x")
    assert digested(tmp_path / "a").digest == digested(str(tmp_path / "a")).digest
    assert digested(tmp_path).profile == {"form": "folder", "files": 1, "bytes": 1}
    assert digested("d" * 64).digest == "d" * 64


@pytest.mark.integration
def test_inputs_are_linked_by_digest_with_their_shape(client: Local) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    with Run(client, "inputs") as run:
        run.input("flights", frame)
        run.input("raw", "d" * 64, "dataset")
        run.output("array", np.zeros(3))
    links = {one["name"]: one for one in client.call("tracking.get", run_id=run.id)["links"]}
    assert (links["flights"]["digest"], links["flights"]["kind"]) == (digested(frame).digest, "dataset")
    assert links["flights"]["tags"]["rows"] == 2
    assert links["raw"]["digest"] == "d" * 64
    assert (links["array"]["direction"], links["array"]["kind"]) == ("output", "value")


@pytest.mark.integration
def test_a_model_is_kept_in_a_safe_format(client: Local) -> None:
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    with loopline.run("model", client=client, capture=False) as run:
        run.model("late", LinearRegression().fit(frame, [1, 2, 3]), example=frame, register="late-arrival")
        with pytest.raises(Invalid, match="no safe format"):
            run.model("object", object())
    (version,) = client.call("registry.versions", model="late-arrival")
    assert (version["run_id"], version["servable"], version["format"]) == (run.id, True, "sklearn-skops")
    assert client.call("registry.take", model="late-arrival", run_id=run.id, kept="late")["version"] == 1
    assert client.call("registry.aliases", model="late-arrival") == {}
    about = json.loads(content(client, run, "models/late/loopline.json"))
    assert about["format"] == "sklearn-skops"
    assert about["signature"]["inputs"] == [{"name": "a", "type": "float", "nullable": False}]


@pytest.mark.unit
@pytest.mark.parametrize("wrong", [{"a//b": 1.0}, {"": 1.0}, {"a": "x"}, {"a": None}, {"a": [1, 2]}])
def test_what_is_wrong_in_a_call_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))

    class Fine:
        def call(self, name: str, /, **fields: Any) -> Any:
            return None

    with Run(Fine()) as run:
        with pytest.raises(Invalid):
            run.log(wrong)
        with pytest.raises(Invalid):
            run.log(loss=1.0, step=1.5)  # type: ignore[arg-type]
        with pytest.raises(Invalid):
            run.keep("../x", b"")
        with pytest.raises(Invalid):
            run.artifact("no/such/file")
    with pytest.raises(Invalid):
        Run(Fine(), experiment="")
    with pytest.raises(Invalid):
        Run(Fine(), run_id="x")
