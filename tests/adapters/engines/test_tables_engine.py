"""The tables engine answers what the library answers, refuses whatever is no content of its own, and needs numpy alone."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from loopline.adapters.engines.tables import Tables
from loopline.adapters.engines.tables.content import packed, unpacked
from loopline.adapters.runtimes.skops import Estimator
from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.ports.engine import UnknownForm

pytestmark = pytest.mark.integration

ROWS = 400
NUMBERS, TEXTS = ("distance", "hour", "wind", "fee"), ("carrier", "origin")
DRAW = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {name: DRAW.normal(3.0, 2.0, ROWS).round(2) for name in NUMBERS}
    | {"carrier": DRAW.choice(["AA", "B6", "UA", "rare"], ROWS, p=[0.4, 0.3, 0.28, 0.02])}
    | {"origin": DRAW.choice(["EWR", "JFK", "LGA"], ROWS)}
).astype({"carrier": "str", "origin": "str"})
GAPS = FRAME.copy()
GAPS.loc[::7, "wind"] = np.nan
GAPS.loc[::11, "carrier"] = np.nan
HEAT = (FRAME["distance"] + FRAME["hour"] * FRAME["wind"] / 3 + DRAW.normal(size=ROWS)).to_numpy()
LATE, WORDS = HEAT > 5, np.array(["no", "soon", "yes"])[np.digitize(HEAT, [4, 8])]
PLAIN = FRAME[list(NUMBERS)]


def boxed(**options: Any) -> ColumnTransformer:
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", **options))
    return ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)), ("t", texts, list(TEXTS))]
    )


def ordinal(**options: Any) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, **options)
    return make_column_transformer((encoder, list(TEXTS)), remainder="passthrough")


# Name → model, rows, labels.
ZOO: dict[str, tuple[Any, pd.DataFrame, Any]] = {
    "boosting": (make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=20)), PLAIN, LATE),
    "exponential boosting": (GradientBoostingClassifier(n_estimators=5, loss="exponential"), PLAIN, LATE),
    "boosting of three": (GradientBoostingClassifier(n_estimators=5), PLAIN, WORDS),
    "boosted one-hot": (make_pipeline(boxed(), GradientBoostingRegressor(n_estimators=20)), GAPS, HEAT),
    "logistic": (make_pipeline(MinMaxScaler(clip=True), LogisticRegression()), PLAIN, LATE),
    "logistic one-hot": (make_pipeline(boxed(min_frequency=20), LogisticRegression()), GAPS, LATE),
    "logistic of three": (make_pipeline(boxed(drop="first"), LogisticRegression()), GAPS, WORDS),
    "forest": (RandomForestClassifier(15, random_state=1), PLAIN, LATE),
    "small forest of three": (RandomForestClassifier(15, max_depth=4, random_state=1), PLAIN, WORDS),
    "forest with gaps": (RandomForestClassifier(15, random_state=1), GAPS[list(NUMBERS)], LATE),
    "extra trees": (ExtraTreesRegressor(10, max_depth=5), PLAIN, HEAT),
    "one tree": (DecisionTreeClassifier(), PLAIN, WORDS),
    "histograms": (make_pipeline(ordinal(), HistGradientBoostingClassifier(max_iter=5, categorical_features=[0, 1])), GAPS, LATE),
    "histograms of categories": (HistGradientBoostingRegressor(max_iter=5), GAPS.astype(dict.fromkeys(TEXTS, "category")), HEAT),
    "histograms of counts": (HistGradientBoostingRegressor(loss="poisson", max_iter=5, max_leaf_nodes=60), PLAIN, np.abs(HEAT)),
    "wide histograms": (HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=100, min_samples_leaf=2), PLAIN, WORDS),
    "squares": (make_pipeline(RobustScaler(), PolynomialFeatures(3), Ridge()), PLAIN, HEAT),
    "counts": (make_pipeline(MaxAbsScaler(), PoissonRegressor()), PLAIN, np.abs(HEAT)),
    "bayes": (GaussianNB(), PLAIN, LATE),
    "multinomial bayes": (make_pipeline(MinMaxScaler(), MultinomialNB()), PLAIN, WORDS),
    "network": (make_pipeline(StandardScaler(), MLPClassifier((8, 4), activation="tanh", max_iter=99, tol=9)), PLAIN, LATE),
    "separator": (LinearSVC(), PLAIN, np.where(LATE, "late", "on time")),
    "calibrated": (CalibratedClassifierCV(RandomForestClassifier(5, max_depth=4), method="isotonic", cv=2), PLAIN, LATE),
    "calibrated separator": (CalibratedClassifierCV(LinearSVC(), cv=2), PLAIN, WORDS),
    "vote": (VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft", weights=[1, 2]), PLAIN, LATE),
    "target encoder": (make_pipeline(make_column_transformer((TargetEncoder(), list(TEXTS)), remainder="passthrough"), Ridge()), FRAME, HEAT),
    "logs": (TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), PLAIN, np.abs(HEAT)),
    "descent": (make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber")), PLAIN, LATE),
    "bags": (BaggingClassifier(LogisticRegression(), 3, max_features=0.5), PLAIN, LATE),
    "bags of trees": (BaggingRegressor(n_estimators=5, random_state=1), PLAIN, HEAT),
    "stack": (StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], passthrough=True, cv=2), PLAIN, LATE),
    "one against the rest": (OneVsRestClassifier(make_pipeline(StandardScaler(), LogisticRegression())), PLAIN, WORDS),
    "components": (make_pipeline(FunctionTransformer(np.cbrt), PCA(2), LogisticRegression()), PLAIN, LATE),
    "selected": (make_pipeline(SimpleImputer(add_indicator=True), SelectKBest(f_regression, k=2), LinearRegression()), GAPS[list(NUMBERS)], HEAT),
}  # fmt: skip


def signature(frame: pd.DataFrame, labels: Any) -> Signature:
    inputs = [Column(name, "string" if name in TEXTS else "float", nullable=True) for name in frame]
    return Signature(tuple(inputs), Column("y", "string" if np.asarray(labels).dtype.kind == "U" else "float"))


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    def plain(values: pd.Series) -> Any:
        return values.astype(object).where(values.notna(), None).to_numpy()

    return {name: plain(frame[name]) if name in TEXTS else frame[name].to_numpy() for name in frame}


def compiled(name: str) -> tuple[Estimator, bytes, Signature]:
    model, frame, labels = ZOO[name]
    found = Estimator(model.fit(frame, labels), signature(frame, labels))
    content = Tables().compile(found, signature(frame, labels))
    return found, content, signature(frame, labels)


def plain(estimator: Estimator, rows: Mapping[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of unknown categories
        return estimator._plain(rows)


def same(found: Any, expected: Any, tolerance: float) -> bool:
    if expected.dtype == object:
        return found.tolist() == expected.tolist()
    return bool(np.allclose(found, expected, rtol=tolerance, atol=1e-3 * tolerance))


@pytest.mark.parametrize("name", ZOO)
def test_it_answers_what_the_library_answers(name: str) -> None:
    estimator, content, taken = compiled(name)
    model = Tables().load(content, taken)
    given = columns(ZOO[name][1])
    unheard = dict(given) | {text: np.array(["?"] * ROWS, dtype=object) for text in TEXTS if text in given}
    for rows in (given, unheard):
        expected = plain(estimator, rows)
        assert same(model.predict(rows), expected, model.tolerance)
        for part in (slice(0, 1), slice(5, 38)):
            some = {key: values[part] for key, values in rows.items()}
            assert same(model.predict(some), expected[part], model.tolerance)


@pytest.mark.parametrize("name", ["boosting", "forest", "histograms", "extra trees"])
def test_sums_of_trees_are_equal_to_the_last_bit(name: str) -> None:
    estimator, content, taken = compiled(name)
    given = columns(ZOO[name][1])
    assert Tables().load(content, taken).predict(given).tolist() == estimator._plain(given).tolist()


def test_extreme_values_go_where_the_library_sends_them() -> None:
    estimator, content, taken = compiled("histograms of counts")
    edges = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, 1e308, -1e308])
    rows = {column.name: np.roll(edges, shift) for shift, column in enumerate(taken.inputs)}
    assert Tables().load(content, taken).predict(rows).tolist() == estimator._plain(rows).tolist()


def test_an_encoder_that_refuses_unknown_values_still_does() -> None:
    model = make_pipeline(make_column_transformer((OneHotEncoder(), list(TEXTS))), LogisticRegression()).fit(
        FRAME, LATE
    )
    taken = signature(FRAME, LATE)
    content = Tables().compile(Estimator(model, taken), taken)
    given = columns(FRAME.head(3))
    given["origin"] = np.array(["JFK", "Mars", "EWR"], dtype=object)
    with pytest.raises(ValueError, match="unknown categories"):
        Tables().load(content, taken).predict(given)


def test_a_form_that_is_not_known_is_left_to_others() -> None:
    model = KNeighborsClassifier().fit(PLAIN, LATE)
    with pytest.raises(UnknownForm, match="the estimator KNeighborsClassifier"):
        Tables().compile(Estimator(model, signature(PLAIN, LATE)), signature(PLAIN, LATE))


def test_the_same_model_gives_the_same_content() -> None:
    assert compiled("logistic one-hot")[1] == compiled("logistic one-hot")[1]


def test_another_signature_is_refused() -> None:
    _, content, taken = compiled("logistic")
    for inputs in (taken.inputs[1:], taken.inputs[::-1], tuple(Column(one.name, "string") for one in taken.inputs)):
        with pytest.raises(Invalid):
            Tables().load(content, Signature(inputs, taken.output))


@pytest.mark.parametrize("name", ["logistic one-hot", "boosted one-hot", "forest", "histograms", "calibrated"])
def test_damaged_content_is_refused_or_answers_numbers(name: str) -> None:
    """Whatever bytes are changed: a refusal, or a model that answers as many values as there are rows."""
    _, content, taken = compiled(name)
    given = {key: values[:3] for key, values in columns(ZOO[name][1]).items()}
    draw = np.random.default_rng(1)
    for _ in range(60):
        forged = bytearray(content)
        for place in draw.integers(0, min(len(forged), 1 << draw.integers(4, 24)), draw.integers(1, 4)):
            forged[place] = draw.integers(0, 256)
        answered(bytes(forged), taken, given)
        answered(content[: draw.integers(0, len(content))], taken, given)


def answered(content: bytes, taken: Signature, given: Mapping[str, Any]) -> None:
    try:
        model = Tables().load(content, taken)
    except Invalid:
        return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(model.predict(given)) == 3


@pytest.mark.parametrize(
    ("array", "place", "value"),
    [("left", 0, 0), ("left", 0, 10**6), ("right", 0, -5), ("feature", 0, 99), ("roots", 0, 1), ("left", 1, 1)],
)
def test_forged_trees_are_refused(array: str, place: int, value: int) -> None:
    """Cycles, children of another tree, features that are not there."""
    _, content, taken = compiled("forest")
    header, arrays = unpacked(content)
    op = next(each for each in header["ops"] if each["op"] == "forest")
    forged = [each.copy() for each in arrays]
    forged[op["arrays"][array]][place] = value
    with pytest.raises(Invalid):
        Tables().load(packed(header, forged), taken)


@pytest.mark.parametrize(
    "content",
    [b"", b"LOOPTAB1", b"\x80\x04K\x01.", b"LOOPTAB1" + struct.pack("<Q", 2**63), b"LOOPTAB1" + struct.pack("<Q", 2) + b"[]",
     b"LOOPTAB1" + struct.pack("<Q", 40_000) + b"[" * 40_000,
     b"LOOPTAB1" + struct.pack("<Q", 54) + json.dumps({"arrays": [["<f8", [2**40, 2**40]]], "inputs": [], "ops": []}).encode()[:54]],
)  # fmt: skip
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        Tables().load(content, signature(PLAIN, LATE))


def test_a_compiled_model_needs_numpy_alone(tmp_path: Path) -> None:
    estimator, content, taken = compiled("logistic one-hot")
    (tmp_path / "content").write_bytes(content)
    given = {key: values[:1].tolist() for key, values in columns(GAPS).items()}
    script = f"""
import sys
from math import nan
from pathlib import Path
import numpy as np
from loopline.adapters.engines import engines
from loopline.core.tables import Column, Signature
taken = {taken!r}
model = engines({{}})["tables"].load(Path({str(tmp_path / "content")!r}).read_bytes(), taken)
given = {{name: np.array(values, dtype=float if isinstance(values[0], float) else object) for name, values in {given!r}.items()}}
print(repr(float(model.predict(given)[0])))
assert not {{"sklearn", "scipy", "skops", "pandas", "pyarrow", "sqlalchemy"}} & set(sys.modules), sorted(sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert float(found) == pytest.approx(float(estimator._plain(columns(GAPS.head(1)))[0]), rel=1e-12)
