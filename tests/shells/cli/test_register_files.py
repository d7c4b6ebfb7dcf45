"""A model that lies in a file becomes a version by one command, and scores as its library does."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopline.adapters.runtimes import RUNTIMES
from loopline.app.wiring import open_home
from loopline.shells.cli import run
from loopline.testing import model_zoo

pytestmark = pytest.mark.integration
FILES = {"lightgbm": "model.txt", "xgboost": "model.ubj", "catboost": "model.cbm", "onnx": "model.onnx"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new installation."""
    place = tmp_path_factory.mktemp("files") / "home"
    open_home(place).close()
    return place


@pytest.fixture(autouse=True)
def at_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command answers."""
    capsys.readouterr()
    code = run([*words, "--json"])
    told = capsys.readouterr()
    assert code == 0, told.err
    return json.loads(told.out)


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert run(list(words)) in (2, 4)
    return capsys.readouterr().err


def saved(name: str) -> tuple[Path, Any]:
    """The file of the zoo's model, and rows with their truth in rows.parquet."""
    known = model_zoo.model(name)
    folder = Path(name)
    folder.mkdir()
    runtime = next(one for one in RUNTIMES.values() if one.accepts(known.model))
    runtime.save(known.model, folder)
    columns = {column: pa.array(list(values), from_pandas=True) for column, values in known.columns.items()}
    truth = {"late": pa.array(np.arange(len(known.expected)) % 2)}
    pq.write_table(pa.table({**columns, **truth}), "rows.parquet")
    pq.write_table(pa.table(columns), "example.parquet")
    return folder / FILES.get(name, "model.skops"), known


@pytest.mark.parametrize("name", [*FILES, "one_hot_logistic"])
def test_a_file_is_registered_and_scores_as_its_library(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, known = saved(name)
    rows = ("--evaluation", "rows.parquet", "--label", "late")
    shape = ("--example", "example.parquet") if name in ("onnx", "one_hot_logistic") else ()
    version = said(capsys, "register", name, str(file), *rows, *shape)
    assert (version["servable"], version["metadata"], version["version"]) == (True, {"label": "late"}, 1)
    assert version["evaluation_digest"]
    assert [(one["name"], one["type"]) for one in version["signature"]["inputs"]] == [
        (one.name, one.type) for one in known.signature.inputs
    ]
    told = said(capsys, "score", name, "rows.parquet", "scored.parquet")
    assert told["rows"] == len(known.expected)
    found = pq.read_table("scored.parquet")["prediction"].to_numpy()
    assert found.tolist() == list(known.expected)
    compared = said(capsys, "report", "--reference", f"{name}/1", "--current", told["profile"])
    inputs = {one.name for one in known.signature.inputs}
    assert inputs <= {column["name"] for column in compared["columns"]}
    assert all(
        column["missing_then"] == column["missing_now"] for column in compared["columns"] if column["name"] in inputs
    )


def test_what_was_downloaded_is_registered_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    file, _ = saved("lightgbm")
    first = said(capsys, "register", "there", str(file.parent))
    folder = said(capsys, "download", "there/1", "--to", "here")["folder"]
    again = said(capsys, "register", "back", folder)
    assert (again["digest"], again["signature"]) == (first["digest"], first["signature"])


def test_an_mlflow_folder_is_registered_with_its_signature(capsys: pytest.CaptureFixture[str]) -> None:
    file, known = saved("xgboost")
    folder = Path("mlflow")
    folder.mkdir()
    (folder / "model.ubj").write_bytes(file.read_bytes())
    inputs = [{"name": "distance", "type": "double"}, {"name": "delay", "type": "double"},
              {"name": "carrier", "type": "string"}, {"name": "hour", "type": "long"},
              {"name": "wet", "type": "boolean"}]  # fmt: skip
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]
    described: dict[str, Any] = {
        "flavors": {
            "python_function": {"loader_module": "mlflow.xgboost", "data": "model.ubj"},
            "xgboost": {"code": None, "data": "model.ubj", "model_format": "ubj"},
        },
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)},
    }
    (folder / "MLmodel").write_text(json.dumps(described))
    version = said(capsys, "register", "from-mlflow", str(folder))
    kinds = [(one["type"], one.get("nullable", False)) for one in version["signature"]["inputs"]]
    assert kinds == [(one.type, one.nullable) for one in known.signature.inputs]
    described["flavors"]["xgboost"]["code"] = "code"
    (folder / "MLmodel").write_text(json.dumps(described))
    assert "code of its own" in refusal(capsys, "register", "from-mlflow", str(folder))


def test_what_is_no_model_is_refused_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    file, _ = saved("one_hot_logistic")
    assert "Say what a row holds" in refusal(capsys, "register", "odd", str(file))
    Path("x.pkl").write_bytes(pickle.dumps({}))
    Path("empty").mkdir()
    assert "no model that is known here" in refusal(capsys, "register", "odd", "x.pkl")
    assert "no model that is known here" in refusal(capsys, "register", "odd", "empty")
    Path("cut.txt").write_bytes(b"tree\nversion=v4\n")
    assert "no readable LightGBM model" in refusal(capsys, "register", "odd", "cut.txt")
    assert "Say one of PATH" in refusal(capsys, "register", "odd", "x.pkl", "--python", "x.py:A")


def test_what_a_run_keeps_is_served_from_its_native_file(capsys: pytest.CaptureFixture[str]) -> None:
    from lightgbm import LGBMClassifier

    import loopline

    rows = model_zoo.frame(True, False).head(200)
    typed = model_zoo.typed(rows).assign(hour=rows["hour"].astype("category"))
    words = np.array(["in time", "late"])[model_zoo.late(rows)]
    model = LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(typed, words)
    with loopline.run("fit", capture=False) as begun:
        begun.model("words", model, example=typed, register="words")
    [version] = said(capsys, "versions", "words")
    assert (version["format"], version["servable"]) == ("lightgbm", True)
    assert [one["type"] for one in version["signature"]["inputs"]] == ["float", "float", "string", "integer", "boolean"]
    assert version["signature"]["output"]["type"] == "float"  # the probability of the second class
    rows.to_parquet("rows.parquet")
    said(capsys, "score", "words", "rows.parquet", "scored.parquet")
    found = pq.read_table("scored.parquet")["prediction"].to_numpy()
    assert found.tolist() == model.predict_proba(typed)[:, 1].tolist()
