"""A short cut for histogram gradient boosting on encoded columns: the same numbers without a frame in between.

One row through a ColumnTransformer costs milliseconds of checking around microseconds of work, and scikit-learn starts
threads for every tree. The short cut fills one array and asks the trees on one thread. It is taken only when it gives,
to the last bit, what the estimator itself gives on rows with known, unknown and missing values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.tables import Signature

Predict = Callable[[Mapping[str, Any]], Any]
PROBES = 64
MANY_ROWS = 4096  # from here on, several threads gain more than they cost
_TREES = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


@dataclass(frozen=True)
class Filled:
    """One column of the trees' input: taken over from `name`, or with `codes` looked up value by value."""

    name: str
    codes: Mapping[Any, float] | None = None
    unknown: float = 0.0
    missing: float = 0.0

    def into(self, values: Any) -> Any:
        """What to write into the column."""
        if self.codes is None:
            return values
        codes, unknown, missing = self.codes, self.unknown, self.missing
        return [missing if value is None or value != value else codes.get(value, unknown) for value in values]


def direct(model: Any, signature: Signature, plain: Predict) -> Predict | None:
    """The short cut for `model`, or None when its form is another or its numbers would differ from `plain`'s."""
    trees = model.steps[-1][1] if type(model).__name__ == "Pipeline" else model
    columns = _columns(model, trees)
    if columns is None or type(trees).__name__ not in _TREES or getattr(trees, "_preprocessor", None) is not None:
        return None
    finish = _finish(trees)
    if finish is None:
        return None

    def predict(given: Mapping[str, Any]) -> Any:
        return finish(_raw(trees, _matrix(columns, given)))

    return predict if _agree(predict, plain, columns, signature) else None


def _columns(model: Any, trees: Any) -> list[Filled] | None:
    """Where each input of the trees comes from, or None for a form that is not known here."""
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if model is trees:
        return [Filled(name) for name in names] or None
    if len(model.steps) != 2 or type(model.steps[0][1]).__name__ != "ColumnTransformer":
        return None
    transformer = model.steps[0][1]
    if not names or transformer.sparse_output_ or transformer.transformer_weights:
        return None
    found: list[Filled] = []
    for name, part, _ in transformer.transformers_:
        inputs = [names[index] for index in transformer._transformer_to_input_indices[name]]
        made = _part(part, inputs)
        if made is None or transformer.output_indices_[name].start != len(found):
            return None
        found += made
    return found


def _part(part: Any, inputs: list[str]) -> list[Filled] | None:
    kind = type(part).__name__
    if not inputs or (isinstance(part, str) and part == "drop"):
        return []
    if (isinstance(part, str) and part == "passthrough") or (kind == "FunctionTransformer" and part.func is None):
        return [Filled(name) for name in inputs]
    if kind != "OrdinalEncoder" or part.handle_unknown != "use_encoded_value" or part._infrequent_enabled:
        return None
    unknown = float(part.unknown_value)
    return [
        _encoded(name, categories.tolist(), unknown, part.encoded_missing_value)
        for name, categories in zip(inputs, part.categories_, strict=True)
    ]


def _encoded(name: str, categories: list[Any], unknown: float, missing: Any) -> Filled:
    gap = any(value is None or value != value for value in categories)
    codes = {value: float(code) for code, value in enumerate(categories) if value is not None and value == value}
    return Filled(name, codes, unknown, float(missing) if gap else unknown)


def _matrix(columns: list[Filled], given: Mapping[str, Any]) -> Any:
    import numpy as np

    table = np.empty((len(given[columns[0].name]), len(columns)), dtype=np.float64)
    for position, column in enumerate(columns):
        table[:, position] = column.into(given[column.name])
    return table


def _raw(trees: Any, table: Any) -> Any:
    """The sum over all trees, in the order in which scikit-learn adds them."""
    import numpy as np

    threads = 1 if len(table) < MANY_ROWS else _threads()
    known, positions = trees._bin_mapper.make_known_categories_bitsets()
    total = np.full(len(table), trees._baseline_prediction.ravel()[0], dtype=np.float64)
    for (predictor,) in trees._predictors:
        total += predictor.predict(table, known, positions, threads)
    return total


def _threads() -> int:
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    return int(_openmp_effective_n_threads())


def _finish(trees: Any) -> Callable[[Any], Any] | None:
    """From the trees' sum to the prediction: probability of class 1, or the value; None for several outputs."""
    import numpy as np

    if trees.n_trees_per_iteration_ != 1:
        return None
    if type(trees).__name__ == "HistGradientBoostingClassifier":
        return lambda raw: np.ascontiguousarray(trees._loss.predict_proba(raw)[:, 1], dtype=np.float64)
    return lambda raw: np.asarray(trees._loss.link.inverse(raw), dtype=np.float64)


def _agree(short: Predict, plain: Predict, columns: list[Filled], signature: Signature) -> bool:
    import numpy as np

    try:
        probes = _probes(columns, signature)
        expected = plain(probes)
        return expected.dtype == np.float64 and bool(np.array_equal(short(probes), expected))
    except (LooplineError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return False


def _probes(columns: list[Filled], signature: Signature) -> dict[str, Any]:
    """Rows with every kind of value that a request may carry: known, unknown, missing, small, large."""
    import numpy as np

    draw = np.random.default_rng(0)
    codes = {column.name: list(column.codes) for column in columns if column.codes is not None}
    probes: dict[str, Any] = {}
    for column in signature.inputs:
        numbers = draw.normal(size=PROBES) * 10.0 ** draw.integers(-2, 4, PROBES)
        if column.type == "string":
            texts = [str(value) for value in codes.get(column.name, ())][: PROBES - 2]
            values = [*texts, "\x00 none of them", *([None] if column.nullable else [])]
            probes[column.name] = np.array([values[n] for n in draw.integers(0, len(values), PROBES)], dtype=object)
        elif column.type == "integer" and not column.nullable:
            probes[column.name] = numbers.astype(np.int64)
        elif column.type == "boolean" and not column.nullable:
            probes[column.name] = numbers > 0
        else:
            probes[column.name] = np.where(draw.random(PROBES) < 0.2, np.nan, numbers) if column.nullable else numbers
    return probes
