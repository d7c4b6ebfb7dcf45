"""LightGBM's, XGBoost's and CatBoost's own files and ONNX graphs: the same answers as the library, and nothing hostile."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline.adapters.runtimes import RUNTIMES, beside, ubjson, xgboost_audit
from loopline.core.errors import Invalid, LooplineError, Refused, Unavailable
from loopline.core.tables import Column, Signature
from loopline.ports.runtime import Runtime
from loopline.testing import model_zoo
from loopline.testing.contracts.runtimes import DataContract, Fitted, RuntimeContract, inside

pytestmark = pytest.mark.integration
WORDS = np.array(["early", "late", "on time"], dtype=object)
ROWS = 240
NUMBERS = tuple(Column(name, "float", nullable=True) for name in ("distance", "delay", "hour"))


def rows() -> Any:
    return model_zoo.frame(True, False).head(ROWS)


def numbers() -> Any:
    return rows()[["distance", "delay", "hour"]].to_numpy(dtype=float)


def outcome() -> Any:
    return model_zoo.outcome(rows())


def three() -> Any:
    """Three classes by number."""
    return np.digitize(outcome(), [-0.7, 0.7])


def of_zoo(name: str) -> Fitted:
    found = model_zoo.model(name)
    return Fitted(found.model, found.signature, found.columns, found.expected)


def of_numbers(model: Any, target: Any, **options: Any) -> Fitted:
    """Fitted on an array, so that columns go by their place."""
    model.fit(numbers(), target, **options)
    columns = {column.name: numbers()[:, place] for place, column in enumerate(NUMBERS)}
    expected = np.asarray(model.predict(numbers())).ravel()
    text = expected.dtype.kind in "OUS"
    signature = Signature(NUMBERS, Column("late", "string" if text else "float"))
    return Fitted(model, signature, columns, expected.astype(object if text else np.float64))


def of_frame(model: Any, frame: Any, target: Any, signature: tuple[Column, ...]) -> Fitted:
    """Fitted on a frame, so that columns go by their names."""
    model.fit(frame, target)
    expected = np.asarray(model.predict(frame)).ravel().astype(np.float64)
    columns = {
        column.name: np.array([None if one != one else one for one in frame[column.name]], dtype=object)
        if column.type == "string"
        else frame[column.name].to_numpy()
        for column in signature
    }
    return Fitted(model, Signature(signature, Column("late", "float")), columns, expected)


def lightgbm_regression() -> Fitted:
    from lightgbm import LGBMRegressor

    return of_numbers(LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1), outcome())


def lightgbm_linear_trees() -> Fitted:
    from lightgbm import LGBMRegressor

    return of_numbers(LGBMRegressor(n_estimators=3, linear_tree=True, verbose=-1, n_jobs=1), outcome())


def lightgbm_words() -> Fitted:
    from lightgbm import LGBMClassifier

    return of_numbers(LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1), WORDS[three()])


def lightgbm_odd_columns() -> Fitted:
    """Columns with spaces, integers and booleans, and categories that are texts and numbers."""
    from lightgbm import LGBMRegressor

    frame = rows().rename(columns={"delay": "delay in min"})
    frame = frame.assign(carrier=frame["carrier"].astype("category"), hour=frame["hour"].astype("category"))
    signature = (
        Column("wet", "boolean"),
        Column("carrier", "string", nullable=True),
        Column("hour", "integer"),
        Column("delay in min", "float", nullable=True),
        Column("distance", "float", nullable=True),
    )
    return of_frame(LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1), frame, outcome(), signature)


def lightgbm_booster() -> Fitted:
    """A booster without scikit-learn's class around it: three classes are known by their numbers."""
    import lightgbm

    data = lightgbm.Dataset(numbers(), three(), params={"verbose": -1})
    options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(options, data, num_boost_round=3)
    columns = {column.name: numbers()[:, place] for place, column in enumerate(NUMBERS)}
    expected = booster.predict(numbers()).argmax(axis=1).astype(float)
    return Fitted(booster, Signature(NUMBERS, Column("late", "float")), columns, expected)


def xgboost_regression() -> Fitted:
    from xgboost import XGBRegressor

    return of_numbers(XGBRegressor(n_estimators=5, n_jobs=1), outcome())


def xgboost_classes() -> Fitted:
    from xgboost import XGBClassifier

    return of_numbers(XGBClassifier(n_estimators=3, n_jobs=1), three())


def xgboost_early_stopped() -> Fitted:
    from xgboost import XGBRegressor

    model = XGBRegressor(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    return of_numbers(model, outcome(), eval_set=[(numbers()[:40], -outcome()[:40])], verbose=False)


def xgboost_linear() -> Fitted:
    from xgboost import XGBRegressor

    found = of_numbers(XGBRegressor(booster="gblinear", n_estimators=3, n_jobs=1), np.nan_to_num(outcome()))
    full = {name: np.nan_to_num(values) for name, values in found.columns.items()}
    expected = found.model.predict(np.column_stack(list(full.values()))).astype(float)
    return Fitted(found.model, found.signature, full, expected)


def xgboost_dropped() -> Fitted:
    from xgboost import XGBRegressor

    return of_numbers(XGBRegressor(booster="dart", rate_drop=0.3, n_estimators=4, n_jobs=1), outcome())


def xgboost_odd_columns() -> Fitted:
    """Categories that are texts and numbers, integers and booleans."""
    from xgboost import XGBRegressor

    frame = rows().assign(carrier=rows()["carrier"].astype("category"), hour=rows()["hour"].astype("category"))
    return of_frame(XGBRegressor(n_estimators=4, enable_categorical=True, n_jobs=1), frame, outcome(), model_zoo.MIXED)


def catboost_of(kind: str, target: Any, **options: Any) -> Fitted:
    import catboost

    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 5, "depth": 3}
    return of_numbers(getattr(catboost, kind)(**quiet, **options), target)


def catboost_regression() -> Fitted:
    return catboost_of("CatBoostRegressor", outcome())


def catboost_counts() -> Fitted:
    return catboost_of("CatBoostRegressor", np.abs(outcome()).round(), loss_function="Poisson")


def catboost_lossguide() -> Fitted:
    return catboost_of("CatBoostRegressor", outcome(), grow_policy="Lossguide")


def catboost_words() -> Fitted:
    return catboost_of("CatBoostClassifier", WORDS[three()])


def catboost_odd_columns() -> Fitted:
    """Categories that are integers and booleans."""
    import catboost

    frame = rows()[["distance", "hour", "wet"]]
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 5, "depth": 3}
    model = catboost.CatBoostRegressor(cat_features=["hour", "wet"], **quiet)
    signature = (Column("distance", "float", nullable=True), Column("hour", "integer"), Column("wet", "boolean"))
    return of_frame(model, frame, outcome(), signature)


def graph_of(name: str, **options: Any) -> Fitted:
    """An ONNX graph of a model of the zoo; what is expected is what ONNX Runtime says."""
    from onnxruntime import InferenceSession, SessionOptions
    from skl2onnx import to_onnx

    known = model_zoo.model(name)
    table = np.column_stack([known.columns[column.name] for column in known.signature.inputs]).astype(np.float32)
    graph = to_onnx(known.model, table[:1], options=options or None)
    alone = SessionOptions()
    alone.intra_op_num_threads = 1
    session = InferenceSession(graph.SerializeToString(), alone, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: table})
    if known.signature.output.type == "string":
        expected = outputs[0].astype(object)
    else:
        last = outputs[-1]
        expected = (
            [list(one.values())[-1] for one in last] if isinstance(last, list) else last.reshape(len(table), -1)[:, -1]
        )
    return Fitted(
        graph,
        known.signature,
        known.columns,
        np.asarray(expected, dtype=object if known.signature.output.type == "string" else float),
    )


def onnx_zipmap() -> Fitted:
    return graph_of("logistic_regression")


def onnx_number() -> Fitted:
    return replace(graph_of("elastic_net"), within=1e-5)


def onnx_words() -> Fitted:
    return graph_of("gaussian_bayes")


def onnx_columns() -> Fitted:
    """An input for each column, of different types."""
    from onnx import TensorProto, helper

    kinds = {
        "distance": TensorProto.DOUBLE,
        "hour": TensorProto.INT64,
        "wet": TensorProto.BOOL,
        "carrier": TensorProto.STRING,
    }
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()]
    output = helper.make_tensor_value_info("late", TensorProto.DOUBLE, [None, 1])
    words = {"keys_strings": ["AA", "B6"], "values_floats": [1.0, 2.0], "default_float": -1.0}
    nodes = [
        helper.make_node("LabelEncoder", ["carrier"], ["code"], domain="ai.onnx.ml", **words),
        helper.make_node("Cast", ["code"], ["code64"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["hour"], ["hour64"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["wet"], ["wet64"], to=TensorProto.DOUBLE),
        helper.make_node("Sum", ["distance", "hour64", "wet64", "code64"], ["late"]),
    ]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_model(helper.make_graph(nodes, "g", inputs, [output]), opset_imports=opsets, ir_version=9)
    frame = rows().assign(distance=rows()["distance"].fillna(0.0))
    columns = model_zoo.columns_of(frame, model_zoo.MIXED)
    del columns["delay"]
    codes = frame["carrier"].map({"AA": 1.0, "B6": 2.0}).fillna(-1.0)
    expected = (frame["distance"] + frame["hour"] + frame["wet"] + codes).to_numpy()
    signature = Signature(tuple(one for one in model_zoo.MIXED if one.name != "delay"), Column("late", "float"))
    return Fitted(graph, signature, columns, expected)


FORMS: dict[str, list[Callable[[], Fitted]]] = {
    "lightgbm": [
        lambda: of_zoo("lightgbm"),
        lightgbm_regression,
        lightgbm_linear_trees,
        lightgbm_words,
        lightgbm_odd_columns,
        lightgbm_booster,
    ],
    "xgboost": [
        lambda: of_zoo("xgboost"),
        xgboost_regression,
        xgboost_classes,
        xgboost_early_stopped,
        xgboost_linear,
        xgboost_dropped,
        xgboost_odd_columns,
    ],
    "catboost": [
        lambda: of_zoo("catboost"),
        catboost_regression,
        catboost_counts,
        catboost_lossguide,
        catboost_words,
        catboost_odd_columns,
    ],
    "onnx": [lambda: of_zoo("onnx"), onnx_zipmap, onnx_number, onnx_words, onnx_columns],
}
FIRST = [(name, forms[0]) for name, forms in FORMS.items()]
REST = [(name, form) for name, forms in FORMS.items() for form in forms[1:]]


def named(one: tuple[str, Callable[[], Fitted]]) -> str:
    return one[0] if one[1].__name__ == "<lambda>" else one[1].__name__


@cache
def made(form: Callable[[], Fitted]) -> Fitted:
    """Fitted once for all tests."""
    return form()


class Native:
    @pytest.fixture
    def runtime(self, form: tuple[str, Callable[[], Fitted]]) -> Runtime:
        return RUNTIMES[form[0]]

    @pytest.fixture
    def fitted(self, form: tuple[str, Callable[[], Fitted]]) -> Fitted:
        return made(form[1])


@pytest.mark.parametrize("form", FIRST, ids=map(named, FIRST))
class TestFormats(Native, DataContract):
    """Each format with a model of the zoo: all that must hold of it."""


@pytest.mark.parametrize("form", REST, ids=map(named, REST))
class TestForms(Native, RuntimeContract):
    """What else each library makes: the same answers."""


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], Path]:
    """`saved(format)`: the folder of the zoo's model in that format."""

    def save(name: str) -> Path:
        RUNTIMES[name].save(model_zoo.model(name).model, tmp_path)
        return tmp_path

    return save


def refuses(name: str, folder: Path, kind: type[LooplineError] = Refused, match: str = "outside") -> None:
    with pytest.raises(kind, match=match):
        RUNTIMES[name].inspect(inside(folder))
    with pytest.raises(kind, match=match):
        RUNTIMES[name].load(folder, model_zoo.model(name).signature)


def test_each_model_of_the_zoo_is_taken_by_one_format() -> None:
    for name in (*FORMS, "logistic_regression"):
        takes = [one.format for one in RUNTIMES.values() if one.accepts(model_zoo.model(name).model)]
        assert takes == [name if name in FORMS else "sklearn-skops"], name


@pytest.mark.parametrize("name", FORMS)
def test_columns_are_told_by_the_file(name: str, saved: Callable[[str], Path]) -> None:
    runtime: Any = RUNTIMES[name]
    told = runtime.signature(inside(saved(name)))
    found = told.inputs
    assert told.output.type == "float"
    known = model_zoo.model(name).signature.inputs
    types = [one.type if one.type == "string" or name == "xgboost" else "float" for one in known]
    assert [one.type for one in found] == types
    assert [one.name for one in found] == ([one.name for one in known] if name != "onnx" else ["x0", "x1", "x2"])


@pytest.mark.parametrize(("name", "module"), [(name, {"onnx": "onnxruntime"}.get(name, name)) for name in FORMS])
def test_without_its_extra_a_format_says_which_to_install(
    name: str, module: str, saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(name)
    monkeypatch.setitem(sys.modules, module, None)
    assert RUNTIMES[name].inspect(inside(folder)) == 2  # which takes no library
    with pytest.raises(Unavailable, match=f"(?i){name}.* need the package") as refusal:
        RUNTIMES[name].load(folder, model_zoo.model(name).signature)
    assert f"pip install 'loopline[{name}]'" in refusal.value.hint


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_pipelines_get_back_the_class_that_they_gave(name: str, saved: Callable[[str], Path]) -> None:
    known = model_zoo.model(name)
    loaded: Any = RUNTIMES[name].load(saved(name), known.signature)
    frame = model_zoo.typed(model_zoo.frame(True, True))
    assert type(loaded.model) is type(known.model)
    assert loaded.model.predict_proba(frame)[:, 1].tolist() == list(known.expected)
    assert loaded.model.predict(frame).tolist() == known.model.predict(frame).tolist()


def test_new_categories_go_where_the_library_sends_them(tmp_path: Path) -> None:
    known = model_zoo.model("lightgbm")
    RUNTIMES["lightgbm"].save(known.model, tmp_path)
    loaded = RUNTIMES["lightgbm"].load(tmp_path, known.signature)
    new, missing = (
        {**known.columns, "carrier": np.full(len(known.expected), one, dtype=object)} for one in ("ZZ", None)
    )
    assert loaded.predict(new).tolist() == loaded.predict(missing).tolist()
    other = model_zoo.model("xgboost")
    RUNTIMES["xgboost"].save(other.model, tmp_path)
    with pytest.raises(ValueError, match="ZZ"):
        RUNTIMES["xgboost"].load(tmp_path, other.signature).predict(new)


LIGHTGBM = {
    "child beyond": (rb"\nleft_child=-?[0-9]+", b"\nleft_child=4000000"),
    "child before": (rb"\nleft_child=-?[0-9]+", b"\nleft_child=0"),
    "leaf beyond": (rb"\nright_child=-?[0-9]+", b"\nright_child=-900000"),
    "column beyond": (rb"\nsplit_feature=[0-9]+", b"\nsplit_feature=77"),
    "category beyond": (rb"\ncat_boundaries=0 [0-9]+", b"\ncat_boundaries=0 9000"),
    "classes": (rb"\nobjective=binary sigmoid:1", b"\nobjective=multiclass num_class:9000"),
    "one class": (rb"\nobjective=binary sigmoid:1", b"\nobjective=multiclass sigmoid:1"),
}


@pytest.mark.parametrize("forgery", LIGHTGBM)
def test_a_forged_lightgbm_tree_is_refused(forgery: str, saved: Callable[[str], Path]) -> None:
    import re

    path = saved("lightgbm") / "model.txt"
    found, wanted = LIGHTGBM[forgery]
    path.write_bytes(resized(re.sub(found, wanted, path.read_bytes(), count=1)))
    refuses("lightgbm", path.parent)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (b"tree_sizes=", b"tree_sizes=1"),
        (b"num_leaves=", b"num_leaves=9"),
        (b"max_feature_idx=4", b"max_feature_idx=400000000"),
        (b"objective=binary", b"objective=../../x"),
        (b"threshold=", b"threshold=0x"),
        (b"\nis_linear=0", b"\nis_linear=2"),
        (b"\nleaf_weight=", b"\nleaf_weight=x"),
        (b"\nleaf_count=", b"\nleaf_count=7 "),
        (b"\nshrinkage=", b"\nshrinkages="),
        (b"\nnum_cat=", b"\nnum_cat=0\nnum_cat="),
        (b"pandas_categorical:[", b"pandas_categorical:[{},"),
        (b"\nend of parameters", b"\n"),
    ],
)
def test_a_damaged_lightgbm_file_is_invalid(found: bytes, wanted: bytes, saved: Callable[[str], Path]) -> None:
    path = saved("lightgbm") / "model.txt"
    path.write_bytes(path.read_bytes().replace(found, wanted, 1))
    refuses("lightgbm", path.parent, Invalid, "model.txt")


def resized(content: bytes) -> bytes:
    """A LightGBM file whose tree sizes are right again."""
    head, _, rest = content.partition(b"\nTree=0\n")
    body, _, tail = (b"Tree=0\n" + rest).partition(b"end of trees")
    starts = [body.index(b"Tree=%d\n" % number) for number in range(body.count(b"Tree="))]
    sizes = [stop - start for start, stop in zip(starts, [*starts[1:], len(body)], strict=True)]
    before, _, after = head.partition(b"tree_sizes=")
    written = b" ".join(b"%d" % size for size in sizes)
    return before + b"tree_sizes=" + written + after[after.index(b"\n") :] + b"\n" + body + b"end of trees" + tail


def trees(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]["trees"]


def put(values: list[Any], place: int, value: Any) -> None:
    values[place] = value


XGBOOST: dict[str, Callable[[Any], Any]] = {
    "child beyond": lambda d: put(trees(d)[0]["left_children"], 0, 4_000_000),
    "child before": lambda d: put(trees(d)[0]["right_children"], 1, 0),
    "child twice": lambda d: put(trees(d)[0]["right_children"], 0, trees(d)[0]["left_children"][0]),
    "column beyond": lambda d: put(trees(d)[0]["split_indices"], 0, 77),
    "parent beyond": lambda d: put(trees(d)[0]["parents"], 1, 900_000),
    "class beyond": lambda d: put(d["learner"]["gradient_booster"]["model"]["tree_info"], 0, 1_000_000),
    "category beyond": lambda d: forge_categories(d, "categories_sizes"),
    "category before": lambda d: forge_categories(d, "categories_segments"),
    "no categories": lambda d: forge_categories(d, "categories_nodes"),
    "classes": lambda d: d["learner"]["learner_model_param"].update(num_class="9"),
    "base score": lambda d: d["learner"]["learner_model_param"].update(base_score="[1,2,3]"),
    "listed categories": lambda d: put(d["learner"]["gradient_booster"]["model"]["cats"]["sorted_idx"], 0, 99),
    "written categories": lambda d: put(d["learner"]["gradient_booster"]["model"]["cats"]["enc"][2]["offsets"], 1, 99),
}


def forge_categories(document: Any, field: str) -> None:
    tree = next(one for one in trees(document) if one["categories_nodes"])
    tree[field][0] = {"categories_sizes": 9000, "categories_segments": -1, "categories_nodes": 1_000_000}[field]


@pytest.mark.parametrize("forgery", XGBOOST)
def test_a_forged_xgboost_tree_is_refused(forgery: str, saved: Callable[[str], Path]) -> None:
    folder = saved("xgboost")
    document = json.loads(model_zoo.model("xgboost").model.get_booster().save_raw("json"))
    XGBOOST[forgery](document)
    (folder / "model.ubj").unlink()
    (folder / "booster.json").write_text(json.dumps(document))
    refuses("xgboost", folder)


def test_both_forms_of_xgboost_say_the_same(saved: Callable[[str], Path]) -> None:
    folder = saved("xgboost")
    known = model_zoo.model("xgboost")
    text = bytes(known.model.get_booster().save_raw("json"))
    binary = xgboost_audit.audit(folder / "model.ubj")
    assert xgboost_audit.described(json.loads(text))._replace(attributes=binary.attributes) == binary
    (folder / "model.ubj").unlink()
    (folder / "booster.json").write_bytes(text)
    assert RUNTIMES["xgboost"].load(folder, known.signature).predict(known.columns).tolist() == list(known.expected)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff", b"[#l\x7f\xff\xff\xff", b"[" * 1000, b"{}x", b"SL\xff", b"{i\x01aTi\x01aF}",
     b"[$X#i\x01x", b"[$d#i\xff", b"Y", b"Si\x02\xff\xff"],
)  # fmt: skip
def test_damaged_ubjson_is_no_value(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        ubjson.decoded(content)


def cbm(change: Callable[[Any, bytearray], None], folder: Path) -> None:
    """The saved CatBoost file with its trees changed in place."""
    from loopline.adapters.runtimes.flatbuffer import root

    path = folder / "model.cbm"
    content = bytearray(path.read_bytes())
    core = bytes(content[8 : 8 + struct.unpack_from("<I", content, 4)[0]])
    found = root(core).table(1)
    assert found is not None
    change(found, content)
    path.write_bytes(content)


def overwritten(field: int, value: int, form: str = "<i", at: int = 0) -> Callable[[Any, bytearray], None]:
    """Write over a number of a vector in the table of trees."""

    def change(table: Any, content: bytearray) -> None:
        struct.pack_into(form, content, 8 + table._vector(field)[0] + at, value)

    return change


@pytest.mark.parametrize(
    "change",
    [overwritten(1, 900_000), overwritten(1, -1), overwritten(2, 15), overwritten(2, -3), overwritten(3, 7),
     overwritten(17, 60_000, "<H"), overwritten(8, 10_000, "<I", -4)],
    ids=["question beyond", "question before", "deeper", "no depth", "start", "byte", "leaves"],
)  # fmt: skip
def test_a_forged_catboost_tree_is_refused(
    change: Callable[[Any, bytearray], None], saved: Callable[[str], Path]
) -> None:
    folder = saved("catboost")
    cbm(change, folder)
    with pytest.raises((Refused, Invalid)):
        RUNTIMES["catboost"].inspect(inside(folder))


@pytest.mark.parametrize("forgery", ["entry beyond", "no empty place", "another number of places", "fewer counts"])
def test_forged_statistics_of_catboost_are_refused(forgery: str, saved: Callable[[str], Path]) -> None:
    from loopline.adapters.runtimes.flatbuffer import root

    path = saved("catboost") / "model.cbm"
    content = bytearray(path.read_bytes())
    behind = 8 + struct.unpack_from("<I", content, 4)[0] + 8  # behind the trees, the number of tables and a length
    table = root(bytes(content[behind:]))
    index, size = table._vector(1)
    places = range(behind + index, behind + index + size, 12)
    empty = b"\xff" * 8
    if forgery == "entry beyond":
        taken = next(one for one in places if bytes(content[one : one + 8]) != empty)
        struct.pack_into("<I", content, taken + 8, 9_000_000)
    elif forgery == "no empty place":
        for one in places:
            content[one] = 1
    elif forgery == "another number of places":
        struct.pack_into("<I", content, behind + index - 4, size - 12)
    else:
        struct.pack_into("<I", content, behind + table._vector(2)[0] - 4, 8)
    path.write_bytes(content)
    refuses("catboost", path.parent)


def test_a_forged_step_of_a_catboost_tree_is_refused(tmp_path: Path) -> None:
    RUNTIMES["catboost"].save(catboost_lossguide().model, tmp_path)
    cbm(overwritten(10, 60_000, "<H"), tmp_path)
    with pytest.raises(Refused, match="outside"):
        RUNTIMES["catboost"].inspect(inside(tmp_path))


def test_texts_as_features_of_catboost_are_refused(tmp_path: Path) -> None:
    import catboost

    words = np.array([["good day", "x"], ["bad day", "y"], ["good luck", "x"], ["bad bad", "x"]] * 10, dtype=object)
    model = catboost.CatBoostClassifier(
        iterations=2, verbose=0, text_features=[0], cat_features=[1], allow_writing_files=False
    )
    with pytest.raises(Refused, match="texts"):
        RUNTIMES["catboost"].save(model.fit(words, [1, 0, 1, 0] * 10), tmp_path)


def graph(nodes: Any = None, initializer: Any = (), **options: Any) -> Any:
    """A small ONNX model of one matrix [rows, 3]."""
    from onnx import TensorProto, helper

    nodes = nodes or [helper.make_node("ReduceSum", ["x"], ["y"])]
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, options.pop("shape", [None, 3]))
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    made = helper.make_graph(nodes, "g", [takes], [gives], initializer=list(initializer))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, **options)


def hostile_graphs() -> dict[str, tuple[Any, str]]:
    from onnx import TensorProto, helper

    def node(kind: str, domain: str) -> Any:
        return helper.make_node(kind, ["x"], ["y"], domain=domain)

    inner = helper.make_graph([node("Shell", "mine")], "inner", [], [])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    bytes_outside = helper.make_tensor("w", TensorProto.FLOAT, [3], b"\0" * 12, raw=True)
    outside = {}
    for name, place in {"up": "../secret", "root": "/etc/passwd", "missing": "weights.bin"}.items():
        tensor = TensorProto.FromString(bytes_outside.SerializeToString())
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)
        outside[name] = (graph(initializer=[tensor]), "no file of it")
    huge, negative = (TensorProto.FromString(bytes_outside.SerializeToString()) for _ in range(2))
    huge.dims[0], negative.dims[0] = 10**12, -3
    constant = helper.make_node("Constant", [], ["y"], value=huge)
    return outside | {
        "operator of a library": (graph([node("Shell", "mine")]), "mine.Shell"),
        "operator in a branch": (graph([branch]), "mine.Shell"),
        "python": (graph([node("PythonOp", "com.microsoft")]), "PythonOp"),
        "huge": (graph(initializer=[huge]), "as long as it says"),
        "huge constant": (graph([constant]), "as long as it says"),
        "negative": (graph(initializer=[negative]), "negative"),
        "image": (graph(shape=[None, 3, 8]), "no table"),
    }


@pytest.mark.parametrize("name", hostile_graphs())
def test_a_hostile_graph_is_refused(name: str, tmp_path: Path) -> None:
    made, told = hostile_graphs()[name]
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises((Refused, Invalid), match=told):
        RUNTIMES["onnx"].inspect(inside(tmp_path))
    with pytest.raises((Refused, Invalid), match=told):
        RUNTIMES["onnx"].load(tmp_path, model_zoo.model("onnx").signature)


def test_weights_beside_an_onnx_graph_are_read(tmp_path: Path) -> None:
    from onnx import TensorProto, external_data_helper, helper, numpy_helper, save_model

    weights = numpy_helper.from_array(np.arange(3, dtype=np.float32).reshape(3, 1), "w")
    made = graph([helper.make_node("MatMul", ["x", "w"], ["y"])], [weights])
    save_model(made, str(tmp_path / "model.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert weights.data_location == TensorProto.EXTERNAL or external_data_helper.uses_external_data(
        made.graph.initializer[0]
    )
    signature = Signature(tuple(Column(name, "float") for name in "abc"), Column("y", "float"))
    loaded = RUNTIMES["onnx"].load(tmp_path, signature)
    columns = {name: np.array([1.0, 2.0]) for name in "abc"}
    assert loaded.predict(columns).tolist() == [3.0, 6.0]
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8)
    with pytest.raises(Refused, match="outside"):
        RUNTIMES["onnx"].inspect(inside(tmp_path))


def test_a_graph_for_one_row_takes_many(tmp_path: Path) -> None:
    from onnx import helper

    (tmp_path / "model.onnx").write_bytes(
        graph([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)], shape=[1, 3]).SerializeToString()
    )
    signature = Signature(tuple(Column(name, "float") for name in "abc"), Column("y", "float"))
    loaded = RUNTIMES["onnx"].load(tmp_path, signature)
    assert loaded.predict({name: np.array([1.0, 2.0]) for name in "abc"}).tolist() == [3.0, 6.0]


def test_what_lies_beside_is_held_against_the_model(saved: Callable[[str], Path]) -> None:
    folder = saved("lightgbm")
    beside.write(folder, beside.Beside("LGBMClassifier", ["a", "b", "c"]))
    refuses("lightgbm", folder, Invalid, "classes")
    beside.write(folder, beside.Beside(columns=["a", "b"]))
    refuses("lightgbm", folder, Invalid, "columns")
    shutil.copy(folder / "model.txt", folder / "columns.json")
    refuses("lightgbm", folder, Invalid, "columns.json")


CHANGED = """
import random, sys
from pathlib import Path
from loopline.adapters.runtimes import RUNTIMES
from loopline.core.errors import LooplineError
from loopline.testing import model_zoo
name, seed, folder, rounds = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
known, draw, runtime = model_zoo.model(name), random.Random(seed), RUNTIMES[name]
runtime.save(known.model, folder)
path = max(folder.iterdir(), key=lambda one: one.stat().st_size)
whole = path.read_bytes()
for _ in range(rounds):
    changed = bytearray(whole)
    for _ in range(draw.choice([1, 1, 2, 8])):
        changed[draw.randrange(len(changed))] = draw.choice([draw.randrange(256), 0, 255, 0x39, 0x2D])
    path.write_bytes(changed)
    try:
        loaded = runtime.load(folder, known.signature)
    except LooplineError:
        continue
    try:
        loaded.predict(known.columns)
    except Exception:
        continue  # a row that fails is told as one
"""


@pytest.mark.torture
@pytest.mark.parametrize("name", FORMS)
def test_changed_bytes_never_end_the_process(name: str, tmp_path: Path, torture_result: Callable[..., None]) -> None:
    """Whatever is changed in a file, it is refused or predicts something: nothing else comes out, and no signal."""
    for seed in range(5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        command = [sys.executable, "-c", CHANGED, name, str(seed), str(folder), "400"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, (seed, done.returncode, done.stderr[-500:])
    torture_result(f"changed bytes in {name} files", files=2000, ended=0)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_step_hands_on_the_class_that_it_returned(name: str, tmp_path: Path) -> None:
    from loopline.usecases.pipelines.results import Model
    from loopline.usecases.pipelines.values.reading import Reader
    from loopline.usecases.pipelines.values.writing import Writer

    known = model_zoo.model(name)
    (tmp_path / "w").mkdir()
    (tmp_path / "r").mkdir()
    writer = Writer(tmp_path / "w", RUNTIMES)
    tree = writer.tree(Model(known.model, signature=known.signature))
    found = Reader(tmp_path / "r", writer.files, RUNTIMES).value(tree)
    assert type(found.estimator) is type(known.model)
    assert found.estimator.classes_.tolist() == known.model.classes_.tolist()
