"""Transformers of scikit-learn: what happens to columns before the model proper sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling.asking import ENCODERS, asked
from loopline.adapters.engines.tables.compiling.writing import Columns, Table, View, Writer, known
from loopline.adapters.engines.tables.operations import UFUNCS
from loopline.ports.engine import UnknownForm

Source = Any
_BY_COLUMN = (*ENCODERS, "SimpleImputer", "FunctionTransformer")


def transformed(writer: Writer, source: Source, part: Any, view: View) -> View:
    """What a transformer makes of a view; UnknownForm when that is not known."""
    if part is None or (isinstance(part, str) and part == "passthrough"):
        return view
    return sequence(writer, source, [part], view)


def sequence(writer: Writer, source: Source, parts: Sequence[Any], view: View) -> View:
    """Transformers one after the other. Those from text to an encoder's numbers are asked for all that they may say."""
    flat = [each for part in parts for each in _steps(part)]
    while flat:
        names = [type(each).__name__ for each in flat]
        encoder = next((place for place, name in enumerate(names) if name in ENCODERS), None)
        if encoder is not None and all(name in _BY_COLUMN for name in names[:encoder]):
            view, flat = asked(writer, source, flat[: encoder + 1], view), flat[encoder + 1 :]
            continue
        do = _TRANSFORMERS.get(names[0])
        if do is None:
            raise UnknownForm(f"the transformer {names[0]}")
        view, flat = do(writer, source, flat[0], view), flat[1:]
    return view


def _steps(part: Any) -> list[Any]:
    if part is None or (isinstance(part, str) and part == "passthrough"):
        return []
    if type(part).__name__ == "Pipeline":
        return [each for _, step in part.steps for each in _steps(step)]
    return [part]


def _columns(writer: Writer, source: Source, part: Any, view: View) -> View:
    """ColumnTransformer: each part gets its columns, and the results stand side by side."""
    weights = part.transformer_weights or {}
    found: list[Table] = []
    for name, each, _ in part.transformers_:
        places = list(part._transformer_to_input_indices[name])
        if not places or (isinstance(each, str) and each == "drop"):
            continue
        made = transformed(writer, source, each, _selected(writer, view, places))
        start = part.output_indices_[name].start
        table = writer.numbers(made)
        known(start == sum(one.width for one in found), "columns in another order")
        found.append(writer.arithmetic(table, multiply=weights.get(name)))
    return writer.join(found)


def _selected(writer: Writer, view: View, places: Sequence[int]) -> View:
    if isinstance(view, Columns):
        return Columns(tuple(view.names[place] for place in places))
    if list(places) == list(range(view.width)):
        return view
    return writer.add("take", len(places), {"rows": np.asarray(places)}, at=view)


def _union(writer: Writer, source: Source, part: Any, view: View) -> View:
    weights = part.transformer_weights or {}
    found = []
    for name, each in part.transformer_list:
        if each == "drop":
            continue
        table = writer.numbers(transformed(writer, source, each, view))
        found.append(writer.arithmetic(table, multiply=weights.get(name)))
    return writer.join(found)


def _standard(writer: Writer, source: Source, part: Any, view: View) -> View:
    mean = part.mean_ if part.with_mean else None
    return writer.arithmetic(writer.numbers(view), subtract=mean, divide=part.scale_ if part.with_std else None)


def _min_max(writer: Writer, source: Source, part: Any, view: View) -> View:
    table = writer.arithmetic(writer.numbers(view), multiply=part.scale_, add=part.min_)
    if not part.clip:
        return table
    low, high = (np.full(table.width, edge, dtype=np.float64) for edge in part.feature_range)
    return writer.add("clip", table.width, {"low": low, "high": high}, at=table)


def _max_abs(writer: Writer, source: Source, part: Any, view: View) -> View:
    return writer.arithmetic(writer.numbers(view), divide=part.scale_)


def _robust(writer: Writer, source: Source, part: Any, view: View) -> View:
    center = part.center_ if part.with_centering else None
    return writer.arithmetic(writer.numbers(view), subtract=center, divide=part.scale_ if part.with_scaling else None)


def _imputer(writer: Writer, source: Source, part: Any, view: View) -> View:
    table = writer.numbers(view)
    missing = part.missing_values
    known(isinstance(missing, float) and np.isnan(missing), "another mark of missing values")
    instead = np.asarray(part.statistics_, dtype=np.float64)
    known(not np.isnan(instead).any(), "an imputer without a value")
    filled = writer.add("fill", table.width, {"instead": instead}, at=table)
    if part.indicator_ is None:
        return filled
    return writer.join([filled, _marks(writer, part.indicator_, table)])


def _marks(writer: Writer, part: Any, table: Table) -> Table:
    known(isinstance(part.missing_values, float), "another mark of missing values")
    chosen = writer.numbers(_selected(writer, table, part.features_.tolist()))
    return writer.add("gaps", chosen.width, at=chosen)


def _indicator(writer: Writer, source: Source, part: Any, view: View) -> View:
    return _marks(writer, part, writer.numbers(view))


def _selection(writer: Writer, source: Source, part: Any, view: View) -> View:
    return _selected(writer, view, part.get_support(indices=True).tolist())


def _function(writer: Writer, source: Source, part: Any, view: View) -> View:
    function = part.func
    if function is None or getattr(getattr(function, "func", None), "__name__", "") == "check_array":
        return view
    name = getattr(function, "__name__", "")
    known(name in UFUNCS and getattr(np, name) is function and not part.kw_args, "a function")
    table = writer.numbers(view)
    return writer.add("ufunc", table.width, name=name, at=table)


def _polynomial(writer: Writer, source: Source, part: Any, view: View) -> View:
    table = writer.numbers(view)
    powers = part.powers_
    longest = max(1, int(powers.sum(axis=1).max()))
    rows = [np.repeat(np.arange(table.width), each) for each in powers]
    factors = np.array([np.pad(row, (longest - len(row), 0), constant_values=-1) for row in rows])
    return writer.add("products", len(factors), {"factors": factors}, at=table)


def _projection(writer: Writer, source: Source, part: Any, view: View) -> View:
    known(not getattr(part, "whiten", False), "whitening")
    table = writer.numbers(view)
    mean = getattr(part, "mean_", None)
    centred = writer.arithmetic(table, subtract=mean)
    arrays = {"weights": part.components_, "start": np.zeros(len(part.components_))}
    return writer.add("linear", len(part.components_), arrays, at=centred)


_TRANSFORMERS: dict[str, Callable[[Writer, Source, Any, View], View]] = {
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "MissingIndicator": _indicator,
    "SelectKBest": _selection,
    "SelectPercentile": _selection,
    "SelectFromModel": _selection,
    "VarianceThreshold": _selection,
    "FunctionTransformer": _function,
    "PolynomialFeatures": _polynomial,
    "PCA": _projection,
    "TruncatedSVD": _projection,
}
