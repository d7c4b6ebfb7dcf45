"""Models of many kinds, small and fitted at once with fixed seeds, for what must hold of every kind.

The rows are made up: numbers with gaps, a category with gaps, an integer, a boolean, and an outcome that depends on
all of them. `model(name)` fits one; the libraries that a kind needs are imported then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from loopline.core.tables import Column, Signature

MIXED = (
    Column("distance", "float", nullable=True),
    Column("delay", "float", nullable=True),
    Column("carrier", "string", nullable=True),
    Column("hour", "integer"),
    Column("wet", "boolean"),
)
FULL = tuple(Column(column.name, column.type) for column in MIXED)
NUMBERS = tuple(Column(name, "float") for name in ("distance", "delay", "hour"))
FITTED_ROWS, HELD_OUT_ROWS = 500, 300
CARRIERS = ("AA", "B6", "DL", "UA", "WN")


class Specimen(NamedTuple):
    """A fitted model, what it takes and gives, rows that it has not seen (as columns, float64, int64, bool or object
    of str and None), and what its own library predicts for them."""

    model: Any
    signature: Signature
    columns: Mapping[str, Any]
    expected: Any


def model(name: str) -> Specimen:
    """The specimen of that name; fitted at the first call, the same object afterwards."""
    return _fitted(name)


@cache
def _fitted(name: str) -> Specimen:
    return KINDS[name]()


@cache
def frame(gaps: bool, held_out: bool) -> Any:
    """The rows as a pandas frame: those to fit on, or those held out."""
    import numpy as np
    import pandas as pd

    rows, draw = (HELD_OUT_ROWS, 12) if held_out else (FITTED_ROWS, 11)
    random = np.random.default_rng(draw)
    made = pd.DataFrame(
        {
            "distance": random.gamma(3.0, 300.0, rows),
            "delay": random.normal(8.0, 20.0, rows),
            "carrier": random.choice(CARRIERS, rows, p=[0.3, 0.25, 0.2, 0.15, 0.1]),
            "hour": random.integers(5, 24, rows),
            "wet": random.random(rows) < 0.3,
        }
    )
    if gaps:
        for column, share in (("distance", 0.05), ("delay", 0.1), ("carrier", 0.05)):
            made[column] = made[column].where(random.random(rows) >= share)
    return made


def outcome(rows: Any) -> Any:
    """A number that depends on every column, with noise."""
    import numpy as np

    noise = np.random.default_rng(len(rows)).normal(0.0, 0.6, len(rows))
    carrier = rows["carrier"].map(dict(zip(CARRIERS, (0.0, 1.5, -1.0, 0.5, -0.5), strict=True))).fillna(0.2)
    late = rows["delay"].fillna(8.0) / 15 + rows["hour"] / 8 - rows["distance"].fillna(900.0) / 900
    return (late + carrier + 1.2 * rows["wet"] - 2.0 + noise).to_numpy(dtype=np.float64)


def late(rows: Any) -> Any:
    """Whether the outcome is high, as 0 and 1."""
    return (outcome(rows) > 0.0).astype(int)


def columns_of(rows: Any, wanted: tuple[Column, ...]) -> dict[str, Any]:
    """A frame as a runtime gets it."""
    import numpy as np

    found: dict[str, Any] = {}
    for column in wanted:
        values = rows[column.name]
        if column.type == "string":
            found[column.name] = np.array([None if one != one else one for one in values], dtype=object)
        elif column.type == "float":
            found[column.name] = values.to_numpy(dtype=np.float64)
        else:
            found[column.name] = values.to_numpy()
    return found


def on_frames(estimator: Any, target: Callable[[Any], Any], gaps: bool = True, prepared: Any = None) -> Specimen:
    """Fitted on frames of all columns; `prepared` changes a frame first, as its library wants it."""
    wanted = MIXED if gaps else FULL
    prepare = prepared or (lambda rows: rows)
    known, unseen = frame(gaps, False), frame(gaps, True)
    estimator.fit(prepare(known), target(known))
    return specimen(estimator, wanted, columns_of(unseen, wanted), prepare(unseen))


def on_numbers(estimator: Any, target: Callable[[Any], Any], wanted: tuple[Column, ...] = NUMBERS) -> Specimen:
    """Fitted on an array of the columns that are full numbers."""
    import numpy as np

    names = [column.name for column in wanted]
    known, unseen = frame(False, False), frame(False, True)
    estimator.fit(known[names].to_numpy(dtype=float), target(known))
    rows = np.ascontiguousarray(unseen[names].to_numpy(dtype=float))  # libraries add up in another order otherwise
    return specimen(estimator, wanted, columns_of(unseen, wanted), rows)


def specimen(estimator: Any, wanted: tuple[Column, ...], columns: Mapping[str, Any], rows: Any) -> Specimen:
    """With what the library itself says: of two classes the probability of the second, else the prediction."""
    import numpy as np

    classes = getattr(estimator, "classes_", ())
    if len(classes) == 2 and hasattr(estimator, "predict_proba"):
        expected = np.asarray(estimator.predict_proba(rows))[:, 1].astype(np.float64)
    else:
        found = np.asarray(estimator.predict(rows)).reshape(len(rows), -1)[:, 0]
        expected = found.astype(np.float64 if found.dtype.kind in "fiub" else object)
    kind = "string" if expected.dtype == object else "float"
    return Specimen(
        estimator, Signature(wanted, Column("late", "string" if kind == "string" else "float")), columns, expected
    )


def hist_gradient_boosting() -> Specimen:
    """Histogram gradient boosting behind an ordinal encoder, with gaps."""
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer([("carrier", encoder, ["carrier"])], remainder="passthrough")
    return on_frames(make_pipeline(columns, HistGradientBoostingClassifier(max_iter=30, random_state=1)), late)


def gradient_boosting() -> Specimen:
    """Gradient boosting behind a scaler."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return on_numbers(
        make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=30, random_state=1)), late
    )


def random_forest() -> Specimen:
    """A forest that classifies."""
    from sklearn.ensemble import RandomForestClassifier

    return on_numbers(RandomForestClassifier(20, max_depth=6, random_state=1), late)


def extra_trees() -> Specimen:
    """A forest of extremely randomised trees that gives numbers."""
    from sklearn.ensemble import ExtraTreesRegressor

    return on_numbers(ExtraTreesRegressor(20, max_depth=6, random_state=1), outcome)


def logistic_regression() -> Specimen:
    """Logistic regression behind a scaler."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return on_numbers(make_pipeline(StandardScaler(), LogisticRegression()), late)


def elastic_net() -> Specimen:
    """A linear model with two penalties behind a scaler."""
    from sklearn.linear_model import ElasticNet
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return on_numbers(make_pipeline(StandardScaler(), ElasticNet(alpha=0.05)), outcome)


def one_hot_logistic() -> Specimen:
    """Categories one-hot encoded, numbers imputed and scaled, then logistic regression, with gaps."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["distance", "delay", "hour"]),
            ("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            ("wet", "passthrough", ["wet"]),
        ]
    )
    return on_frames(make_pipeline(columns, LogisticRegression(max_iter=500)), late)


def support_vectors() -> Specimen:
    """A support vector machine with a radial kernel; it gives labels."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return on_numbers(make_pipeline(StandardScaler(), SVC(kernel="rbf")), late)


def nearest_neighbours() -> Specimen:
    """The seven nearest neighbours, found by comparing with all."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return on_numbers(make_pipeline(StandardScaler(), KNeighborsClassifier(7, algorithm="brute")), late)


def perceptron() -> Specimen:
    """A small neural network behind a scaler."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((12,), solver="lbfgs", max_iter=2000, tol=1e-2, random_state=1)
    return on_numbers(make_pipeline(StandardScaler(), network), late)


def gaussian_bayes() -> Specimen:
    """Naive Bayes with three classes that are texts."""
    import numpy as np
    from sklearn.naive_bayes import GaussianNB

    words = np.array(["early", "on time", "late"], dtype=object)
    return on_numbers(GaussianNB(), lambda rows: words[np.digitize(outcome(rows), [-0.7, 0.7])])


def isotonic() -> Specimen:
    """A monotone function of one column."""
    from sklearn.isotonic import IsotonicRegression

    return on_numbers(IsotonicRegression(out_of_bounds="clip"), outcome, (Column("delay", "float"),))


def calibrated() -> Specimen:
    """A linear support vector classifier with calibrated probabilities."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    return on_numbers(CalibratedClassifierCV(make_pipeline(StandardScaler(), LinearSVC(random_state=1)), cv=3), late)


def lightgbm() -> Specimen:
    """LightGBM's classifier with a pandas category and gaps."""
    from lightgbm import LGBMClassifier

    return on_frames(
        LGBMClassifier(n_estimators=20, num_leaves=15, random_state=1, n_jobs=1, verbose=-1), late, True, typed
    )


def xgboost() -> Specimen:
    """XGBoost's classifier with a pandas category and gaps."""
    from xgboost import XGBClassifier

    return on_frames(XGBClassifier(n_estimators=20, max_depth=4, enable_categorical=True, n_jobs=1), late, True, typed)


def catboost() -> Specimen:
    """CatBoost's classifier with a category; numbers have gaps, the category has none."""
    from catboost import CatBoostClassifier

    def filled(rows: Any) -> Any:
        return rows.assign(carrier=rows["carrier"].fillna("none"))

    def prepared(rows: Any) -> Any:
        return filled(rows).astype({"carrier": str, "wet": float})

    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    found = on_frames(
        CatBoostClassifier(iterations=20, depth=4, cat_features=["carrier"], random_seed=1, **quiet),
        late,
        True,
        prepared,
    )
    columns = tuple(Column(one.name, one.type, one.nullable and one.type == "float") for one in MIXED)
    unseen = filled(frame(True, True))
    return Specimen(
        found.model, Signature(columns, found.signature.output), columns_of(unseen, columns), found.expected
    )


def onnx() -> Specimen:
    """A forest as an ONNX graph of one matrix; what is expected is what ONNX Runtime says."""
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions
    from skl2onnx import to_onnx

    forest = random_forest()
    rows = np.column_stack([forest.columns[column.name] for column in NUMBERS]).astype(np.float32)
    graph = to_onnx(forest.model, rows[:1], options={"zipmap": False})
    alone = SessionOptions()
    alone.intra_op_num_threads = 1  # several would add up the trees in another order
    session = InferenceSession(graph.SerializeToString(), alone, providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: rows})[1][:, 1].astype(np.float64)
    return Specimen(graph, forest.signature, forest.columns, expected)


def typed(rows: Any) -> Any:
    """A frame whose texts are a pandas category."""
    import pandas as pd

    return rows.assign(carrier=pd.Categorical(rows["carrier"], categories=list(CARRIERS)))


KINDS: Mapping[str, Callable[[], Specimen]] = {
    one.__name__: one
    for one in (
        hist_gradient_boosting,
        gradient_boosting,
        random_forest,
        extra_trees,
        logistic_regression,
        elastic_net,
        one_hot_logistic,
        support_vectors,
        nearest_neighbours,
        perceptron,
        gaussian_bayes,
        isotonic,
        calibrated,
        lightgbm,
        xgboost,
        catboost,
        onnx,
    )
}
