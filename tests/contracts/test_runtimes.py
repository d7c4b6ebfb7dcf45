"""The model formats keep the port's promises, and hostile files are refused before anything of them is built."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from loopline.adapters.runtimes import RUNTIMES
from loopline.adapters.runtimes.skops import FILE, Skops
from loopline.core.errors import Invalid, Refused
from loopline.core.tables import Column, Signature
from loopline.ports.runtime import Runtime
from loopline.testing import model_zoo
from loopline.testing.contracts.runtimes import Fitted, RuntimeContract

pytestmark = pytest.mark.integration

SIGNATURE = Signature(
    (Column("carrier", "string", nullable=True), Column("distance", "float", nullable=True), Column("hour", "integer")),
    Column("late", "float"),
)
NUMBERS = Signature((Column("distance", "float"), Column("hour", "integer")), Column("late", "float"))


def flights(rows: int = 240) -> pd.DataFrame:
    draw = np.random.default_rng(7)
    carrier = pd.Series(draw.choice(["AA", "B6", "UA"], rows)).where(draw.random(rows) > 0.05)
    distance = draw.normal(900, 300, rows)
    distance[::17] = np.nan
    return pd.DataFrame({"carrier": carrier, "distance": distance, "hour": draw.integers(0, 24, rows)})


def labels(frame: pd.DataFrame) -> Any:
    noise = np.random.default_rng(8).normal(size=len(frame))
    return (frame["distance"].fillna(900) / 300 + frame["hour"] / 8 + noise > 4.5).to_numpy().astype(int)


def as_columns(frame: pd.DataFrame) -> dict[str, Any]:
    text = frame["carrier"].astype(object).where(frame["carrier"].notna(), None).to_numpy()
    return {"carrier": text, "distance": frame["distance"].to_numpy(), "hour": frame["hour"].to_numpy()}


def encoded(*rest: Any) -> Pipeline:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return make_pipeline(ColumnTransformer([("carrier", encoder, ["carrier"])], remainder="passthrough"), *rest)


def boosted() -> Fitted:
    frame = flights()
    model = encoded(HistGradientBoostingClassifier(max_iter=8, categorical_features=[0])).fit(frame, labels(frame))
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict_proba(frame)[:, 1])


def categories() -> Fitted:
    frame = flights()
    typed = frame.assign(carrier=frame["carrier"].astype("category"))
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype").fit(typed, labels(frame))
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict(typed))


def logistic() -> Fitted:
    frame = flights().fillna({"distance": 900.0})
    columns = [("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"]), ("n", StandardScaler(), ["distance"])]
    model = make_pipeline(ColumnTransformer(columns), LogisticRegression()).fit(frame, labels(frame))
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict_proba(frame)[:, 1])


def forest_of_numbers() -> Fitted:
    frame = flights().fillna({"distance": 900.0})[["distance", "hour"]]
    model = RandomForestClassifier(5, random_state=0).fit(frame.to_numpy(), labels(frame))
    columns = {name: frame[name].to_numpy() for name in frame}
    return Fitted(model, NUMBERS, columns, model.predict_proba(frame.to_numpy())[:, 1])


def encoded_trees() -> Fitted:
    frame = flights()
    model = encoded(HistGradientBoostingClassifier(max_iter=8)).fit(frame, labels(frame))
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict_proba(frame)[:, 1])


def counted() -> Fitted:
    frame = flights()
    model = encoded(HistGradientBoostingRegressor(loss="poisson", max_iter=8)).fit(frame, labels(frame))
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict(frame))


def several_classes() -> Fitted:
    frame = flights()
    y = np.array(["early", "late", "on time"], dtype=object)[frame["hour"].to_numpy() // 8]
    model = encoded(HistGradientBoostingClassifier(max_iter=3)).fit(frame, y)
    return Fitted(model, SIGNATURE, as_columns(frame), model.predict(frame))


FORMS = [boosted, categories, counted, encoded_trees, logistic, forest_of_numbers, several_classes]


@pytest.fixture(scope="module", params=FORMS)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    made: Fitted = request.param()
    return made


class TestSkops(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return RUNTIMES["sklearn-skops"]


@pytest.mark.parametrize(
    ("form", "short"), [(encoded_trees, True), (counted, True), (boosted, False), (logistic, False)]
)
def test_the_short_cut_is_taken_where_it_gives_the_same(
    form: Callable[[], Fitted], short: bool, tmp_path: Path
) -> None:
    made = form()
    Skops().save(made.model, tmp_path)
    loaded = Skops().load(tmp_path, made.signature)
    assert (loaded._direct is not None) == short
    odd = {**made.columns, "carrier": np.array(["ZZ", None, np.nan] * 80, dtype=object)}
    if form is not logistic:
        assert loaded.predict(odd).tolist() == loaded._plain(odd).tolist()


def test_a_short_cut_that_differs_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loopline.adapters.runtimes import skops_direct

    raw = skops_direct._raw
    monkeypatch.setattr(skops_direct, "_raw", lambda trees, table: raw(trees, table) + 1e-15)
    made = encoded_trees()
    Skops().save(made.model, tmp_path)
    assert Skops().load(tmp_path, made.signature)._direct is None


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    Skops().save(boosted().model, folder)
    return folder / FILE


def test_a_type_that_is_not_listed_is_refused_at_saving_and_named(tmp_path: Path) -> None:
    frame = flights().fillna({"distance": 900.0})[["distance", "hour"]]
    with pytest.raises(Refused, match="RadiusNeighborsClassifier"):
        Skops().save(RadiusNeighborsClassifier().fit(frame, labels(frame)), tmp_path)
    with pytest.raises(Refused, match="KDTree"):
        Skops().save(KNeighborsClassifier(algorithm="kd_tree").fit(frame, labels(frame)), tmp_path)


def test_a_function_of_the_project_is_refused_at_saving(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(labels), LogisticRegression())
    with pytest.raises(Refused, match="labels"):
        Skops().save(model, tmp_path)


def test_a_signature_without_a_column_of_the_frame_is_invalid(saved: Path) -> None:
    with pytest.raises(Invalid, match="carrier"):
        Skops().load(saved.parent, NUMBERS)


def rewritten(saved: Path, folder: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """The saved file with its schema and arrays changed."""
    with zipfile.ZipFile(saved) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(entries.pop("schema.json"))
    change(schema, entries)
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
        for name, content in entries.items():
            archive.writestr(name, content)
    return folder


def entry(**values: Any) -> dict[str, Any]:
    return {"__module__": "builtins", "__class__": "dict", "__id__": 900_001, **values}


TEXT = entry(__class__="str", __loader__="JsonNode", content='"touch"')
WORDS = entry(__class__="tuple", __loader__="TupleNode", content=[TEXT])
EMPTY = entry(__loader__="DictNode", content={}, key_types=entry(__class__="list", __loader__="ListNode", content=[]))
HOSTILE = {
    "function": entry(__module__="os", __class__="system", __loader__="FunctionNode"),
    "type": entry(__module__="subprocess", __class__="Popen", __loader__="TypeNode"),
    "object": entry(__module__="subprocess", __class__="Popen", __loader__="ObjectNode", content=EMPTY),
    "constructor": entry(
        __module__="subprocess", __class__="Popen", __loader__="ConstructorFromReduceNode", content=WORDS
    ),
    "constructor of a listed type": entry(
        __module__="sklearn.tree._tree", __class__="Tree", __loader__="ConstructorFromReduceNode", content=WORDS
    ),
    "method": entry(__loader__="MethodNode", content={"func": "clear", "obj": EMPTY}),
    "operator": entry(__module__="operator", __class__="methodcaller", __loader__="OperatorFuncNode", attrs=WORDS),
    "text vectorizer": entry(
        __module__="sklearn.feature_extraction.text",
        __class__="CountVectorizer",
        __loader__="ObjectNode",
        content=EMPTY,
    ),
    "unknown loader": entry(__loader__="PickleNode", content="cos"),
    "loader that is no text": entry(__loader__=["DictNode"], content={}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_entry_that_could_run_something_is_refused(name: str, saved: Path, tmp_path: Path) -> None:
    def smuggle(schema: dict[str, Any], _: dict[str, bytes]) -> None:
        schema["content"]["content"]["verbose"] = HOSTILE[name]

    with pytest.raises(Refused):
        Skops().load(rewritten(saved, tmp_path, smuggle), SIGNATURE)


@pytest.mark.parametrize("protocol", [0, 1, 3, "2", None, True])
def test_another_protocol_is_refused(protocol: Any, saved: Path, tmp_path: Path) -> None:
    def change(schema: dict[str, Any], _: dict[str, bytes]) -> None:
        schema["protocol"] = protocol

    with pytest.raises(Refused):
        Skops().load(rewritten(saved, tmp_path, change), SIGNATURE)


def test_another_version_of_the_library_is_named(saved: Path, tmp_path: Path) -> None:
    def change(schema: dict[str, Any], _: dict[str, bytes]) -> None:
        schema["content"]["content"]["_sklearn_version"]["content"] = '"1.2.2"'

    with pytest.raises(Invalid, match=r"1\.2\.2"):
        Skops().load(rewritten(saved, tmp_path, change), SIGNATURE)


def npy(shape: tuple[int, ...], descr: str = "<f8", body: bytes = b"") -> bytes:
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    "array",
    [
        npy((10**12,)),
        npy((-1,)),
        npy((4,), "<f8", b"\0" * 31),
        npy((1,), "|O", pickle.dumps([os.system])),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"x",
        b"not an array",
        pickle.dumps(os.system),
        b"",
        npy((10**30, 10**30)),
    ],
    ids=["bomb", "negative", "short", "objects", "long header", "noise", "pickle", "empty", "huge"],
)
def test_a_hostile_array_is_refused(array: bytes, saved: Path, tmp_path: Path) -> None:
    def change(_: dict[str, Any], entries: dict[str, bytes]) -> None:
        entries[sorted(entries)[0]] = array

    with pytest.raises((Invalid, Refused)):
        Skops().load(rewritten(saved, tmp_path, change), SIGNATURE)


def archive(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as result:
        for name, content in entries:
            result.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        archive([("schema.json", b" " * 10_000_000)], zipfile.ZIP_DEFLATED),
        archive([("schema.json", b'{"protocol": 2}'), ("../../x.npy", b"")]),
        archive([("schema.json", b'{"protocol": 2}'), ("/etc/x.npy", b"")]),
        archive([("schema.json", b'{"protocol": 2}'), ("a.pkl", pickle.dumps(os.system))]),
        archive([("schema.json", b"[" * 100_000)]),
        archive([("schema.json", b"{")]),
        archive([("schema.json", b"[]")]),
        archive([("other.json", b"{}")]),
        pickle.dumps(os.system),
        b"",
        b"PK\x03\x04" + b"\0" * 100,
    ],
    ids=["bomb", "up", "root", "pickle inside", "deep", "torn", "list", "no schema", "pickle", "empty", "header only"],
)
def test_a_hostile_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises((Invalid, Refused)):
        Skops().load(tmp_path, SIGNATURE)


def test_a_pickle_is_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / FILE).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(Invalid):
        Skops().load(tmp_path, SIGNATURE)
    assert not (tmp_path / "sprung").exists()


def forged(model: Any, folder: Path, change: Callable[[Any], None]) -> Path:
    change(model)
    Skops().save(model, folder)
    return folder


def reach_out(nodes: Any, field: str, value: int) -> None:
    nodes[field][0] = value


@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 4_000_000), ("right", 4_000_000), ("left", 0), ("feature_idx", 77), ("feature_idx", -1)],
)
def test_a_forged_boosted_tree_is_refused(field: str, value: int, tmp_path: Path) -> None:
    def change(model: Any) -> None:
        reach_out(model[-1]._predictors[0][0].nodes, field, value)

    with pytest.raises(Refused, match="outside"):
        Skops().load(forged(boosted().model, tmp_path, change), SIGNATURE)


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**9), ("right_child", 0), ("feature", 99)])
def test_a_forged_decision_tree_is_refused(field: str, value: int, tmp_path: Path) -> None:
    frame = flights().fillna({"distance": 900.0})[["distance", "hour"]]
    model = DecisionTreeRegressor(max_depth=3).fit(frame, labels(frame))
    Skops().save(model, tmp_path)

    def change(_: dict[str, Any], entries: dict[str, bytes]) -> None:
        for name, content in entries.items():
            array = np.load(io.BytesIO(content))
            if array.dtype.names and "left_child" in array.dtype.names:
                array[field][0] = value
                buffer = io.BytesIO()
                np.save(buffer, array)
                entries[name] = buffer.getvalue()

    (tmp_path / "forged").mkdir()
    with pytest.raises(Refused, match="outside"):
        Skops().load(rewritten(tmp_path / FILE, tmp_path / "forged", change), NUMBERS)


def test_a_forged_forest_of_narrower_trees_is_refused(tmp_path: Path) -> None:
    frame = flights().fillna({"distance": 900.0})[["distance", "hour"]]
    model = GradientBoostingRegressor(n_estimators=2).fit(frame, labels(frame))

    def change(model: Any) -> None:
        model.n_features_in_ = 1

    with pytest.raises(Refused, match="outside"):
        Skops().load(forged(model, tmp_path, change), NUMBERS)


def test_a_forged_one_hot_encoder_is_refused(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        model[0].transformers_[0][1]._n_features_outs = [1]

    with pytest.raises(Refused, match="outside"):
        Skops().load(forged(logistic().model, tmp_path, change), SIGNATURE)


@pytest.mark.parametrize("name", ["support_vectors", "nearest_neighbours", "isotonic", "calibrated", "perceptron"])
def test_models_of_the_zoo_are_read_back(name: str, tmp_path: Path) -> None:
    known = model_zoo.model(name)
    Skops().save(known.model, tmp_path)
    assert Skops().load(tmp_path, known.signature).predict(known.columns).tolist() == list(known.expected)


VECTORS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "fewer columns": ("support_vectors", lambda m: setattr(m, "support_vectors_", m.support_vectors_[:, :2].copy())),
    "more classes": ("support_vectors", lambda m: setattr(m, "_n_support", np.array([9, 9, 9, 9], dtype=np.int32))),
    "more vectors": ("support_vectors", lambda m: setattr(m, "_n_support", m._n_support + np.int32(90_000))),
    "fewer thresholds": ("support_vectors", lambda m: setattr(m, "_intercept_", np.zeros(0))),
    "fewer coefficients": ("support_vectors", lambda m: setattr(m, "_dual_coef_", np.zeros((0, 1)))),
    "probabilities": ("support_vectors", lambda m: setattr(m, "_probA", np.zeros(7))),
    "another kernel": ("support_vectors", lambda m: setattr(m, "kernel", "precomputed")),
    "labels": ("nearest_neighbours", lambda m: m._y.__setitem__(0, 10**9)),
    "labels below": ("nearest_neighbours", lambda m: m._y.__setitem__(0, -5)),
    "rows": ("nearest_neighbours", lambda m: setattr(m, "_fit_X", m._fit_X[:, :1].copy())),
    "more neighbours": ("nearest_neighbours", lambda m: setattr(m, "n_neighbors", 10**9)),
    "metric": ("nearest_neighbours", lambda m: setattr(m, "effective_metric_", "precomputed")),
}


@pytest.mark.parametrize("name", VECTORS)
def test_forged_rows_in_a_model_are_refused(name: str, tmp_path: Path) -> None:
    kind, change = VECTORS[name]
    known = model_zoo.model(kind)

    def forge(model: Any) -> None:
        change(model[-1])

    with pytest.raises(Refused, match="outside"):
        Skops().load(forged(copy.deepcopy(known.model), tmp_path, forge), known.signature)
