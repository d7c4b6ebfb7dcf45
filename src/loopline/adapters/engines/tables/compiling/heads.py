"""Estimators of scikit-learn: from the table that they were fitted on to a prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling import trees
from loopline.adapters.engines.tables.compiling.answers import Answer, Compile, one_row, through
from loopline.adapters.engines.tables.compiling.front import sequence
from loopline.adapters.engines.tables.compiling.writing import Table, View, Writer, known


def _tree_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return _voters(writer, [model], len(model.classes_), view, None)


def forest_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
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


def forest_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    grown = [trees.of_tree(tree) for tree in model.estimators_]
    return Answer("number", trees.forest(writer, writer.numbers(view), grown, [0.0], divide=len(grown)))


def _boosting_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = trees.of_boosting(writer, model, writer.numbers(view))
    if raw.width > 1:
        return Answer("classes", raw)
    if type(model._loss).__name__ == "ExponentialLoss":
        raw = writer.arithmetic(raw, multiply=2.0)
    return Answer("chance", through(writer, raw, "expit"))


def _boosting_regressor(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    return Answer("number", trees.of_boosting(writer, model, writer.numbers(view)))


def _histogram_classifier(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = trees.of_histograms(writer, model, _prepared(writer, source, model, view))
    return Answer("classes", raw) if raw.width > 1 else Answer("chance", through(writer, raw, "expit"))


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
        return Answer("chance", through(writer, raw, "expit"))
    return Answer("shares", through(writer, raw, "softmax"))


def _separator(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    return Answer("sign" if raw.width == 1 else "classes", raw)


def _stochastic(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    raw = _decision(writer, model, view)
    if raw.width > 1:
        return Answer("classes", raw)
    if model.loss == "log_loss":
        return Answer("chance", through(writer, raw, "expit"))
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
            table = through(writer, table, _ACTIVATIONS[how])
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
    shares = through(writer, raw, "softmax")
    if shares.width > 2:
        return Answer("shares", shares)
    return Answer("chance", one_row(writer, shares, 1))


_REGRESSORS = (
    "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lasso LassoCV LinearRegression LinearSVR "
    "QuantileRegressor Ridge RidgeCV SGDRegressor"
)
HEADS: dict[str, Compile] = {
    **dict.fromkeys(_REGRESSORS.split(), _linear_regressor),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), _generalized),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"), _logistic),
    **dict.fromkeys(("LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV"), _separator),
    "SGDClassifier": _stochastic,
    **dict.fromkeys(("DecisionTreeClassifier", "ExtraTreeClassifier"), _tree_classifier),
    **dict.fromkeys(("DecisionTreeRegressor", "ExtraTreeRegressor"), _tree_regressor),
    **dict.fromkeys(("RandomForestClassifier", "ExtraTreesClassifier"), forest_classifier),
    **dict.fromkeys(("RandomForestRegressor", "ExtraTreesRegressor"), forest_regressor),
    "GradientBoostingClassifier": _boosting_classifier,
    "GradientBoostingRegressor": _boosting_regressor,
    "HistGradientBoostingClassifier": _histogram_classifier,
    "HistGradientBoostingRegressor": _histogram_regressor,
    "MLPClassifier": _network_classifier,
    "MLPRegressor": _network_regressor,
    "GaussianNB": _gaussian,
    "MultinomialNB": _multinomial,
}
