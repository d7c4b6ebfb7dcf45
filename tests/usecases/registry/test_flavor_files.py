"""Which files of an MLflow model a runtime reads, and why some are not served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopline.core.tables import Column, Signature
from loopline.usecases.registry.flavor_files import NotServable, stored
from loopline.usecases.registry.flavor_signatures import agreed, translated

pytestmark = pytest.mark.unit


def found(flavor: str, about: dict[str, Any], names: list[str], content: bytes = b"x") -> tuple[str, dict[str, str]]:
    flavors = {flavor: about, "python_function": {"loader_module": f"mlflow.{flavor}"}}
    return stored(flavors, {name: f"digest of {name}" for name in names}, lambda digest, most: content[:most])


@pytest.mark.parametrize(
    ("flavor", "about", "file", "kept"),
    [
        ("sklearn", {"serialization_format": "skops", "pickled_model": "model.skops"}, "model.skops", "model.skops"),
        ("lightgbm", {"data": "model.lgb"}, "model.lgb", "model.txt"),
        ("lightgbm", {"data": "model.skops"}, "model.skops", "model.skops"),
        ("xgboost", {"data": "model.ubj", "model_format": "ubj"}, "model.ubj", "model.ubj"),
        ("xgboost", {"data": "model.json", "model_format": "json"}, "model.json", "booster.json"),
        ("catboost", {"data": "model.cb", "save_format": "cbm"}, "model.cb", "model.cbm"),
        ("onnx", {"data": "model.onnx"}, "model.onnx", "model.onnx"),
    ],
)
def test_each_flavor_names_its_file(flavor: str, about: dict[str, Any], file: str, kept: str) -> None:
    form, files = found(flavor, about, ["MLmodel", "conda.yaml", "requirements.txt", file])
    assert form == ("sklearn-skops" if flavor == "sklearn" else flavor)
    assert files == {kept: f"digest of {file}"}


def test_tensors_beside_a_graph_come_along() -> None:
    names = ["MLmodel", "input_example.json", "model.onnx", "9f8b-weights", "inner/other"]
    assert sorted(found("onnx", {"data": "model.onnx"}, names)[1]) == ["9f8b-weights", "model.onnx"]


@pytest.mark.parametrize(
    ("flavor", "about", "names", "told"),
    [
        ("lightgbm", {"data": "model.pkl"}, ["model.pkl"], "pickle"),
        ("lightgbm", {"data": "model.lgb"}, ["other"], "not there"),
        ("xgboost", {"data": "model.bin", "model_format": "deprecated"}, ["model.bin"], "ubj"),
        ("catboost", {"data": "model.cb", "save_format": "python"}, ["model.cb"], "cbm"),
        ("onnx", {"data": "../../etc/passwd"}, ["model.onnx"], "not there"),
        ("onnx", {"data": "model.onnx", "code": "code"}, ["model.onnx"], "code of its own"),
        ("xgboost", {"data": "model.ubj", "model_format": "ubj"}, ["model.ubj", "x.joblib"], "pickle"),
        ("spacy", {}, ["model.spacy"], "saved as spacy"),
    ],
)
def test_what_is_not_served_says_why(flavor: str, about: dict[str, Any], names: list[str], told: str) -> None:
    with pytest.raises(NotServable, match=told):
        found(flavor, about, names)


OWN = Signature((Column("a", "float", nullable=True), Column("b", "float", nullable=True)), Column("y", "float"))


def written(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> dict[str, str]:
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)}


def test_the_file_helps_out_where_the_signature_is_silent() -> None:
    assert agreed(None, OWN, "It has no signature.", OWN) == OWN
    sides = written([{"name": "a", "type": "double"}, {"name": "b", "type": "long"}], [{"type": "double"}] * 2)
    helped = agreed(sides, OWN, "2 columns", OWN)
    assert helped.inputs == (Column("a", "float", nullable=True), Column("b", "integer"))
    assert helped.output == OWN.output
    with pytest.raises(NotServable, match="no signature"):
        agreed(None, OWN, "It has no signature.", None)


def test_arrays_become_columns() -> None:
    def array(kind: str, shape: list[int], **more: Any) -> dict[str, Any]:
        return {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}, **more}

    gives = [array("float32", [-1, 1])]
    assert [one.name for one in translated(written([array("float32", [-1, 3])], gives)).inputs] == ["x0", "x1", "x2"]
    several = [array("float32", [-1, 1], name="a"), array("int64", [-1], name="b")]
    assert translated(written(several, gives)).inputs == (Column("a", "float"), Column("b", "integer"))
    with pytest.raises(NotServable, match="several tensors"):
        translated(written([array("float32", [-1, 3], name="a"), array("int64", [-1], name="b")], gives))
