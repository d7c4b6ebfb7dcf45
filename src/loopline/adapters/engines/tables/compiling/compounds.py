"""Estimators made of estimators: votes, bags, stacks, calibrated and wrapped ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling.answers import Answer, Compile, answered, one_row, through
from loopline.adapters.engines.tables.compiling.heads import forest_classifier, forest_regressor
from loopline.adapters.engines.tables.compiling.writing import Table, View, Writer, known
from loopline.adapters.engines.tables.operations import UFUNCS


def _inner(attribute: str) -> Compile:
    return lambda writer, source, model, view: answered(writer, source, getattr(model, attribute), view)


def _calibrated(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    before = writer.numbers(view)
    found = []
    for each in model.calibrated_classifiers_:
        known(len(each.calibrators) == (1 if len(model.classes_) == 2 else len(model.classes_)), "calibrators")
        table = _uncalibrated(writer, answered(writer, source, each.estimator, before), each.estimator)
        parts = [_calibrator(writer, one, one_row(writer, table, row)) for row, one in enumerate(each.calibrators)]
        found.append(parts[0] if len(parts) == 1 else through(writer, writer.join(parts), "shares"))
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
        return through(writer, writer.arithmetic(writer.arithmetic(table, multiply=-one.a_), add=-one.b_), "expit")
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
        return (forest_classifier if hasattr(model, "classes_") else forest_regressor)(writer, source, model, view)
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


COMPOUNDS: dict[str, Compile] = {
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
    "FrozenEstimator": _inner("estimator"),
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV"), _inner("best_estimator_")),
}
