"""What each input contributed to a prediction of a scikit-learn estimator: exactly for linear ones, by TreeSHAP (Lundberg
et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2020)
for trees. What a pipeline makes of an input is added up again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

Explain = Callable[[Mapping[str, Any]], tuple[Any, Any]]
LINEAR = frozenset(
    ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LassoLars",
     "BayesianRidge", "ARDRegression", "HuberRegressor", "TheilSenRegressor", "SGDRegressor", "LogisticRegression",
     "LogisticRegressionCV", "LinearSVR")
)  # fmt: skip
TREES = frozenset(
    ("DecisionTreeClassifier", "DecisionTreeRegressor", "RandomForestClassifier", "RandomForestRegressor",
     "ExtraTreesClassifier", "ExtraTreesRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
     "GradientBoostingClassifier", "GradientBoostingRegressor", "HistGradientBoostingClassifier",
     "HistGradientBoostingRegressor")
)  # fmt: skip
ONE_TO_ONE = frozenset(
    ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer", "QuantileTransformer",
     "OrdinalEncoder", "SimpleImputer", "TargetEncoder", "Binarizer")
)  # fmt: skip


def explainer(model: Any, build: Callable[[Mapping[str, Any]], Any], inputs: Sequence[str]) -> Explain | None:
    """What tells (contributions [rows, inputs] in the order of `inputs`, base) of columns; None for an estimator of which
    it cannot be told: one that is neither linear nor of trees, chooses from several classes, or mixes its inputs."""
    steps, final = _steps(model)
    kind = type(final).__name__
    if not type(final).__module__.startswith("sklearn.") or len(getattr(final, "classes_", (0, 1))) != 2:
        return None
    if kind not in LINEAR and (kind not in TREES or find_spec("shap") is None):
        return None
    fitted = [str(name) for name in getattr(model, "feature_names_in_", inputs)]
    try:
        groups = _through(steps, [inputs.index(name) for name in fitted], fitted)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a transformer that does not say enough
        return None
    if groups is None:
        return None
    core = _linear(final) if kind in LINEAR else _trees(final)
    return _summed(steps, build, core, groups, len(inputs))


def _steps(model: Any) -> tuple[list[Any], Any]:
    """The transformers of a pipeline, and its estimator."""
    steps: list[Any] = []
    while type(model).__name__ == "Pipeline":
        steps += [step for _, step in model.steps[:-1] if step not in (None, "passthrough")]
        model = model.steps[-1][1]
    return steps, model


def _summed(steps: list[Any], build: Any, core: Any, groups: list[int], width: int) -> Explain:
    def explain(columns: Mapping[str, Any]) -> tuple[Any, Any]:
        import numpy as np
        from sklearn import config_context

        with config_context(assume_finite=True, skip_parameter_validation=True):
            table = build(columns)
            for step in steps:
                table = step.transform(table)
            table = table.toarray() if hasattr(table, "toarray") else np.asarray(table, dtype=np.float64)
            parts, base = core(table)
        found = np.zeros((len(table), width))
        for place, group in enumerate(groups):
            found[:, group] += parts[:, place]
        return found, np.broadcast_to(np.asarray(base, dtype=np.float64), (len(table),))

    return explain


def _linear(final: Any) -> Any:
    """Coefficient times value; the base is the intercept. Of a classifier in log-odds."""
    import numpy as np

    weights = np.asarray(final.coef_, dtype=np.float64).reshape(-1)
    base = float(np.asarray(final.intercept_, dtype=np.float64).reshape(-1)[0])
    return lambda table: (table * weights, base)


def _trees(final: Any) -> Any:
    """TreeSHAP against the training rows as the trees counted them; made at first use, as shap takes seconds to import."""
    made: list[Any] = []

    def explain(table: Any) -> tuple[Any, Any]:
        import numpy as np

        if not made:
            made.append(_tree_explainer(final))
        parts = np.asarray(made[0].shap_values(table, check_additivity=False))
        base = np.asarray(made[0].expected_value, dtype=np.float64).reshape(-1)[-1]
        return (parts[:, :, -1] if parts.ndim == 3 else parts), float(base)

    return explain


def _tree_explainer(final: Any) -> Any:
    with warnings.catch_warnings():  # what it draws with is of no use here and warns of its own future
        warnings.simplefilter("ignore")
        import shap

        return shap.TreeExplainer(final, feature_perturbation="tree_path_dependent")


def _through(steps: Sequence[Any], groups: list[int], names: list[str]) -> list[int] | None:
    """Which input each column comes from after these transformers; None where one mixes inputs."""
    for step in steps:
        after = _after(step, groups, names)
        if after is None:
            return None
        groups, names = after, [str(place) for place in range(len(after))]
    return groups


def _after(step: Any, groups: list[int], names: list[str]) -> list[int] | None:
    kind = type(step).__name__
    if kind == "Pipeline":
        return _through([each for _, each in step.steps if each not in (None, "passthrough")], groups, names)
    if kind == "ColumnTransformer":
        return _of_columns(step, groups, names)
    if kind == "OneHotEncoder":
        return [group for group, count in zip(groups, step._n_features_outs, strict=True) for _ in range(count)]
    if kind in ONE_TO_ONE and (kind != "SimpleImputer" or not step.add_indicator):
        return groups
    if hasattr(step, "get_support"):
        return [groups[place] for place in step.get_support(indices=True)]
    if len(set(groups)) == 1:
        return groups[:1] * len(step.get_feature_names_out())
    return None


def _of_columns(step: Any, groups: list[int], names: list[str]) -> list[int] | None:
    found: dict[int, int] = {}
    for name, part, columns in step.transformers_:
        places = _places(columns, names)
        where = step.output_indices_[name]
        if part == "drop" or where.start == where.stop:
            continue
        taken = [groups[place] for place in places]
        plain = part == "passthrough" or (type(part).__name__ == "FunctionTransformer" and part.func is None)
        after = taken if plain else _after(part, taken, [names[place] for place in places])
        if after is None or len(after) != where.stop - where.start:
            return None
        found |= dict(zip(range(where.start, where.stop), after, strict=True))
    return [found[place] for place in range(len(found))]


def _places(columns: Any, names: list[str]) -> list[int]:
    """Where the columns of a part are: they are named, counted, sliced or chosen by a mask."""
    import numpy as np

    if isinstance(columns, slice):
        return list(range(len(names)))[columns]
    every = [columns] if isinstance(columns, str | int) else list(columns)
    if every and isinstance(every[0], bool | np.bool_):
        return [place for place, wanted in enumerate(every) if wanted]
    return [names.index(each) if isinstance(each, str) else int(each) for each in every]


def in_signature(order: Sequence[str], inputs: Sequence[str], found: Any) -> tuple[Any, Any]:
    """What a booster tells, (rows, columns and then the base), in the order of the inputs."""
    import numpy as np

    matrix = np.asarray(found, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(order) + 1:
        raise ValueError("the model chooses from several classes")
    places = {name: place for place, name in enumerate(order)}
    parts = np.zeros((len(matrix), len(inputs)))
    for target, name in enumerate(inputs):
        if name in places:
            parts[:, target] = matrix[:, places[name]]
    return parts, matrix[:, -1].copy()
