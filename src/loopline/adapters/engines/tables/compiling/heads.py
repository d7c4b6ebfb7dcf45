"""Estimators of scikit-learn: from the table that they were fitted on to a prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from loopline.adapters.engines.tables.compiling import trees
from loopline.adapters.engines.tables.compiling.front import sequence
from loopline.adapters.engines.tables.compiling.writing import Table, View, Writer, known
from loopline.adapters.engines.tables.operations import UFUNCS


@dataclass(frozen=True)
class Answer:
    """What an estimator says: `chance` of class 1 of two; a table with a row a class whose largest wins (`classes`, and
    `shares` where they are probabilities); `sign` of a decision between two; or the `number` itself."""

    kind: Literal["chance", "classes", "shares", "sign", "number"]
    table: Table


Compile = Callable[[Writer, Any, Any, View], Answer]


def compiled(writer: Writer, source: Any, model: Any, view: View) -> None:
    """Write a whole model, as `Runtime` says what it predicts."""
    answer = answered(writer, source, model, view)
    if answer.kind in ("chance", "number"):
        writer.add("value", 1, at=answer.table)
        return
    classes = np.asarray(model.classes_)
    if classes.dtype.kind in "fiub":
        writer.add("labels", 1, {"numbers": classes.astype(np.float64)}, at=answer.table)
        return
    known(all(isinstance(label, str) for label in classes.tolist()), "labels of another kind")
    writer.add("labels", 1, words=[str(label) for label in classes.tolist()], at=answer.table)


def answered(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    """The answer of an estimator, or of a pipeline that ends in one."""
    name = type(model).__name__
    if name == "Pipeline":
        before = sequence(writer, source, [step for _, step in model.steps[:-1]], view)
        return answered(writer, source, model.steps[-1][1], before)
    known(name in _ESTIMATORS, f"the estimator {name}")
    return _ESTIMATORS[name](writer, source, model, view)


def _inner(attribute: str) -> Compile:
    return lambda writer, source, model, view: answered(writer, source, getattr(model, attribute), view)


def _tree_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return _voters(writer, [model], len(model.classes_), view, None)


def _forest_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return _voters(writer, model.estimators_, len(model.classes_), view, len(model.estimators_))


def _voters(writer: Writer, each: Any, classes: int, view: View, divide: int | None) -> Answer:
    known(classes >= 2, "one class")
    wanted = slice(1, 2) if classes == 2 else slice(None)
    grown = [trees.of_tree(tree, wanted) for tree in each]
    base = np.zeros(1 if classes == 2 else classes)
    table = trees.forest(writer, writer.numbers(view), grown, base, divide=divide)
    return Answer("chance" if classes == 2 else "shares", table)


def _tree_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    table = writer.numbers(view)
    return Answer("number", trees.forest(writer, table, [trees.of_tree(model)], [0.0]))


def _forest_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    grown = [trees.of_tree(tree) for tree in model.estimators_]
    return Answer("number", trees.forest(writer, writer.numbers(view), grown, [0.0], divide=len(grown)))


def _boosting_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = trees.of_boosting(writer, model, writer.numbers(view))
    if raw.width > 1:
        return Answer("classes", raw)
    if type(model._loss).__name__ == "ExponentialLoss":
        raw = writer.arithmetic(raw, multiply=2.0)
    return Answer("chance", _through(writer, raw, "expit"))


def _boosting_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return Answer("number", trees.of_boosting(writer, model, writer.numbers(view)))


def _histogram_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = trees.of_histograms(writer, model, _prepared(writer, source, model, view))
    return Answer("classes", raw) if raw.width > 1 else Answer("chance", _through(writer, raw, "expit"))


def _histogram_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = trees.of_histograms(writer, model, _prepared(writer, source, model, view))
    return Answer("number", _linked(writer, raw, model._loss.link))


def _prepared(writer: Writer, source: Any, model: Any, view: View) -> Table:
    before = getattr(model, "_preprocessor", None)
    return writer.numbers(view if before is None else sequence(writer, source, [before], view))


def _linked(writer: Writer, raw: Table, link: Any) -> Table:
    name = type(link).__name__
    known(name in ("IdentityLink", "LogLink"), f"the link {name}")
    return raw if name == "IdentityLink" else writer.add("ufunc", raw.width, name="exp", at=raw)


def _through(writer: Writer, table: Table, op: str) -> Table:
    return writer.add(op, table.width, at=table)


def linear(writer: Writer, table: Table, weights: Any, start: Any) -> Table:
    """Weighted sums. Where the table is put together of looked up parts, the weights go into their tables, so that a
    category costs one number however many there are."""
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    start = np.broadcast_to(np.asarray(start, dtype=np.float64).ravel(), (len(weights),))
    known(weights.shape[1] == table.width, "weights of another table")
    parts = _parts(writer, table)
    if all(writer.ops[part.place]["op"] != "lookup" for part in parts):
        return _weighted(writer, table, weights, start)
    found, place = [], 0
    for part in parts:
        mine = weights[:, place : place + part.width]
        place += part.width
        looked = writer.ops[part.place]["op"] == "lookup"
        found.append(_looked(writer, part, mine) if looked else _weighted(writer, part, mine, start))
        if not looked:
            start = np.zeros(len(weights))
    total = writer.add("total", len(weights), {"weights": np.ones(len(found))}, at=found)
    return writer.arithmetic(total, add=start if start.any() else None)


def _weighted(writer: Writer, table: Table, weights: Any, start: Any) -> Table:
    return writer.add("linear", len(weights), {"weights": weights, "start": start}, at=table)


def _parts(writer: Writer, table: Table) -> list[Table]:
    op = writer.ops[table.place]
    if op["op"] != "join":
        return [table]
    return [each for place in op["from"] for each in _parts(writer, writer.table(place))]


def _looked(writer: Writer, part: Table, weights: Any) -> Table:
    op, place = writer.ops[part.place], 0
    arrays = dict(writer.arrays(part))
    known(op["add"] is False, "a table weighted twice")
    for number in range(len(op["columns"])):
        rows = arrays[f"table{number}"]
        arrays[f"table{number}"] = rows @ weights[:, place : place + rows.shape[1]].T
        place += rows.shape[1]
    return writer.add("lookup", len(weights), arrays, columns=op["columns"], add=True)


def _decision(writer: Writer, model: Any, view: View) -> Table:
    return linear(writer, writer.numbers(view), model.coef_, model.intercept_)


def _linear_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    known(raw.width == 1, "several outputs")
    return Answer("number", raw)


def _generalized(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return Answer("number", _linked(writer, _decision(writer, model, view), model._base_loss.link))


def _logistic(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    if raw.width == 1:
        return Answer("chance", _through(writer, raw, "expit"))
    return Answer("shares", _through(writer, raw, "softmax"))


def _separator(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    return Answer("sign" if raw.width == 1 else "classes", raw)


def _stochastic(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    if raw.width > 1:
        return Answer("classes", raw)
    if model.loss == "log_loss":
        return Answer("chance", _through(writer, raw, "expit"))
    if model.loss != "modified_huber":
        return Answer("sign", raw)
    edges = {"low": np.array([-1.0]), "high": np.array([1.0])}
    cut = writer.add("clip", 1, edges, at=raw)
    return Answer("chance", writer.arithmetic(cut, add=1.0, divide=2.0))


_ACTIVATIONS = {"relu": "relu", "logistic": "expit", "softmax": "softmax"}


def _network(writer: Writer, model: Any, view: View) -> Table:
    table = writer.numbers(view)
    last = len(model.coefs_) - 1
    for place, (weights, start) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        table = linear(writer, table, weights.T, start)
        how = model.out_activation_ if place == last else model.activation
        if how == "tanh":
            table = writer.add("ufunc", table.width, name="tanh", at=table)
        elif how != "identity":
            table = _through(writer, table, _ACTIVATIONS[how])
    return table


def _network_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    table = _network(writer, model, view)
    known(len(model.classes_) == max(2, table.width), "several labels a row")
    return Answer("chance" if table.width == 1 else "shares", table)


def _network_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    table = _network(writer, model, view)
    known(table.width == 1, "several outputs")
    return Answer("number", table)


def _gaussian(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    table = writer.numbers(view)
    arrays = {"mean": model.theta_, "variance": model.var_, "prior": np.log(model.class_prior_)}
    raw = writer.add("gaussian", len(model.classes_), arrays, at=table)
    return _likely(writer, raw)


def _multinomial(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return _likely(writer, linear(writer, writer.numbers(view), model.feature_log_prob_, model.class_log_prior_))


def _likely(writer: Writer, raw: Table) -> Answer:
    shares = _through(writer, raw, "softmax")
    if shares.width > 2:
        return Answer("shares", shares)
    return Answer("chance", _row(writer, shares, 1))


def _row(writer: Writer, table: Table, row: int) -> Table:
    return writer.add("take", 1, {"rows": np.array([row])}, at=table)


def _calibrated(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    before = writer.numbers(view)
    found = []
    for each in model.calibrated_classifiers_:
        known(len(each.calibrators) == (1 if len(model.classes_) == 2 else len(model.classes_)), "calibrators")
        table = _uncalibrated(writer, answered(writer, source, each.estimator, before), each.estimator)
        parts = [_calibrator(writer, one, _row(writer, table, row)) for row, one in enumerate(each.calibrators)]
        found.append(parts[0] if len(parts) == 1 else _through(writer, writer.join(parts), "shares"))
    weights = np.full(len(found), 1.0)
    total = writer.add("total", found[0].width, {"weights": weights}, at=found)
    table = writer.arithmetic(total, divide=float(len(found)))
    return Answer("chance" if table.width == 1 else "shares", table)


def _uncalibrated(writer: Writer, answer: Answer, estimator: Any) -> Table:
    """What a calibrator sees: the decision where there is one, else probabilities."""
    if hasattr(estimator, "decision_function") and answer.kind in ("chance", "shares"):
        ends = writer.ops[answer.table.place]["op"]
        known(ends in ("expit", "softmax"), "a decision that is not known")
        return writer.table(writer.ops[answer.table.place]["from"])
    return answer.table


def _calibrator(writer: Writer, one: Any, table: Table) -> Table:
    if type(one).__name__ == "_SigmoidCalibration":
        return _through(writer, writer.arithmetic(writer.arithmetic(table, multiply=-one.a_), add=-one.b_), "expit")
    known(type(one).__name__ == "IsotonicRegression" and one.out_of_bounds == "clip", "a calibrator")
    points = {"x": one.X_thresholds_, "y": one.y_thresholds_}
    return writer.add("interpolated", 1, points, at=table)


def _vote(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    known(getattr(model, "voting", "soft") == "soft", "a vote of labels")
    before = writer.numbers(view)
    found = [answered(writer, source, each, before) for each in model.estimators_]
    kinds = {one.kind for one in found}
    known(len(kinds) == 1 and kinds <= {"chance", "shares", "number"}, "estimators of different kinds")
    given = [1.0] * len(found) if model.weights is None else [
        weight for weight, (_, each) in zip(model.weights, model.estimators, strict=True) if not isinstance(each, str)
    ]  # fmt: skip
    places = [one.table for one in found]
    total = writer.add("total", found[0].table.width, {"weights": np.array(given, dtype=float)}, at=places)
    return Answer(found[0].kind, writer.arithmetic(total, divide=float(sum(given))))


_SINGLE = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")


def _bagged(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    """The mean of estimators, of which each may see some columns."""
    before = writer.numbers(view)
    features = [list(columns) for columns in model.estimators_features_]
    if all(type(each).__name__ in _SINGLE for each in model.estimators_) and all(
        columns == list(range(before.width)) for columns in features
    ):
        return (_forest_classifier if hasattr(model, "classes_") else _forest_regressor)(writer, source, model, view)
    found = []
    for each, columns in zip(model.estimators_, features, strict=True):
        known(
            not hasattr(model, "classes_") or len(each.classes_) == len(model.classes_), "estimators of other classes"
        )
        seen = writer.add("take", len(columns), {"rows": np.asarray(columns)}, at=before)
        found.append(answered(writer, source, each, seen))
    kind = found[0].kind
    known(kind in ("chance", "shares", "number") and {one.kind for one in found} == {kind}, "votes of labels")
    tables = [one.table for one in found]
    total = writer.add("total", tables[0].width, {"weights": np.ones(len(tables))}, at=tables)
    return Answer(kind, writer.arithmetic(total, divide=float(len(tables))))


def _stacked(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    """Estimators whose answers are the columns of a last one."""
    before = writer.numbers(view)
    parts = []
    for each, method in zip(model.estimators_, model.stack_method_, strict=True):
        one = answered(writer, source, each, before)
        fits = {"predict_proba": ("chance", "shares"), "predict": ("number",)}.get(method, ())
        known(one.kind in fits, f"a column made by {method}")
        parts.append(one.table)
    if model.passthrough:
        parts.append(before)
    return answered(writer, source, model.final_estimator_, writer.join(parts))


def _one_against_rest(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    before = writer.numbers(view)
    found = [answered(writer, source, each, before) for each in model.estimators_]
    known(all(one.kind in ("chance", "sign") for one in found) and not model.multilabel_, "several labels a row")
    if len(found) == 1:
        return found[0]
    # The library takes the largest decision where there is one, else the largest probability: the same order.
    return Answer(
        "classes",
        writer.join([_uncalibrated(writer, one, each) for one, each in zip(found, model.estimators_, strict=True)]),
    )


def _isotonic(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    table = writer.numbers(view)
    known(table.width == 1, "several columns")
    return Answer("number", _calibrator(writer, model, table))


def _target(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = answered(writer, source, model.regressor_, view).table
    back = model.transformer_
    if type(back).__name__ == "StandardScaler":
        scale, mean = (back.scale_ if back.with_std else None), (back.mean_ if back.with_mean else None)
        return Answer("number", writer.arithmetic(raw, multiply=scale, add=mean))
    function = getattr(back, "inverse_func", None)
    name = getattr(function, "__name__", "")
    known(type(back).__name__ == "FunctionTransformer", "a transformed target")
    if function is None:
        return Answer("number", raw)
    known(name in UFUNCS and getattr(np, name) is function, "a transformed target")
    return Answer("number", writer.add("ufunc", 1, name=name, at=raw))


_REGRESSORS = (
    "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lasso LassoCV LinearRegression LinearSVR "
    "QuantileRegressor Ridge RidgeCV SGDRegressor"
)
_ESTIMATORS: dict[str, Compile] = {
    **dict.fromkeys(_REGRESSORS.split(), _linear_regressor),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), _generalized),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"), _logistic),
    **dict.fromkeys(("LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV"), _separator),
    "SGDClassifier": _stochastic,
    **dict.fromkeys(("DecisionTreeClassifier", "ExtraTreeClassifier"), _tree_classifier),
    **dict.fromkeys(("DecisionTreeRegressor", "ExtraTreeRegressor"), _tree_regressor),
    **dict.fromkeys(("RandomForestClassifier", "ExtraTreesClassifier"), _forest_classifier),
    **dict.fromkeys(("RandomForestRegressor", "ExtraTreesRegressor"), _forest_regressor),
    "GradientBoostingClassifier": _boosting_classifier,
    "GradientBoostingRegressor": _boosting_regressor,
    "HistGradientBoostingClassifier": _histogram_classifier,
    "HistGradientBoostingRegressor": _histogram_regressor,
    "MLPClassifier": _network_classifier,
    "MLPRegressor": _network_regressor,
    "GaussianNB": _gaussian,
    "MultinomialNB": _multinomial,
    "CalibratedClassifierCV": _calibrated,
    "IsotonicRegression": _isotonic,
    "BaggingClassifier": _bagged,
    "BaggingRegressor": _bagged,
    "StackingClassifier": _stacked,
    "StackingRegressor": _stacked,
    "OneVsRestClassifier": _one_against_rest,
    "VotingClassifier": _vote,
    "VotingRegressor": _vote,
    "TransformedTargetRegressor": _target,
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV"), _inner("best_estimator_")),
    "FrozenEstimator": _inner("estimator"),
}
