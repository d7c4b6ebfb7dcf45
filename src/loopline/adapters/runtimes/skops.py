"""scikit-learn models as skops files: data and names of types from our fixed list, nothing that runs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, Refused, Unavailable
from loopline.core.tables import Signature

FILE = "model.skops"
Build = Callable[[Mapping[str, Any]], Any]


class Skops:
    """The runtime of the format "sklearn-skops"."""

    format = "sklearn-skops"

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a scikit-learn estimator (by its class; scikit-learn is not imported for others)."""
        libraries = {base.__module__.partition(".")[0] for base in type(model).__mro__}
        return "sklearn" in libraries and not libraries & {"lightgbm", "xgboost", "catboost"}

    def save(self, model: Any, folder: Path) -> None:
        """Write `model.skops`; the same fitted model gives the same bytes. Refused for a type that could not be
        loaded again, so that the refusal comes at training and not at serving."""
        from loopline.adapters.runtimes.skops_audit import audit, normalised

        io_module = _skops()
        buffer = io.BytesIO()
        try:
            io_module.dump(model, buffer)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Refused(
                f"The model cannot be saved as plain data: {reason}",
                "Use scikit-learn's own estimators and functions only.",
            ) from None
        buffer.seek(0)
        normalised(buffer, folder / FILE)
        audit(folder / FILE)

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Refused for a type that is not on our list, Invalid for a damaged file; scikit-learn is not imported."""
        from loopline.adapters.runtimes.skops_audit import audit, class_count

        if FILE not in files:
            raise Invalid(f"The model has no {FILE}.", "Save the model again.")
        schema = audit(files[FILE])
        try:
            return class_count(files[FILE], schema)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OSError):  # a forged state
            return None

    def load(self, folder: Path, signature: Signature) -> Estimator:
        """The model, after the file and everything in it was checked."""
        from loopline.adapters.runtimes.skops_audit import audit, library_versions
        from loopline.adapters.runtimes.skops_structure import check_structure
        from loopline.adapters.runtimes.skops_types import TRUSTED

        path = folder / FILE
        if not path.is_file():
            raise Invalid(f"The model folder {folder.name!r} has no {FILE}.", "Register the model again.")
        schema = audit(path)
        io_module = _skops()
        _check_version(library_versions(schema))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the version was compared above, more strictly
                model = io_module.load(path, trusted=TRUSTED)
            check_structure(model)
            return Estimator(model, signature)
        except (Invalid, Refused):
            raise
        except Exception as error:  # a forged state may fail in any way; it must end as a refusal
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise Invalid(f"{FILE} does not hold a usable model ({reason}).", "Save the model again.") from None


class Estimator:
    """A fitted scikit-learn estimator in memory. Satisfies `LoadedModel`."""

    def __init__(self, model: Any, signature: Signature) -> None:
        from threadpoolctl import ThreadpoolController

        from loopline.adapters.runtimes.contributions import explainer
        from loopline.adapters.runtimes.skops_direct import MANY_ROWS, direct

        self._many_rows = MANY_ROWS
        self._build = _builder(model, signature)
        self._score = _scorer(model)
        self._threads = ThreadpoolController()
        self._direct = direct(model, signature, self._plain)
        self.model = model
        if self._direct is not None:
            self.plain = _Plain(self._plain)
        explain = explainer(model, self._build, [column.name for column in signature.inputs])
        if explain is not None:
            self.explain = explain

    def table(self, columns: Mapping[str, Any]) -> Any:
        """What the estimator was fitted on, made of columns."""
        return self._build(columns)

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. scikit-learn's own checks of finite input and parameters are skipped: the
        signature was checked at the door and the parameters when the model was fitted."""
        return self._plain(columns) if self._direct is None else self._direct(columns)

    def _plain(self, columns: Mapping[str, Any]) -> Any:
        from sklearn import config_context

        with config_context(assume_finite=True, skip_parameter_validation=True):
            table = self._build(columns)
            if len(table) >= self._many_rows:
                return self._score(table)
            with self._threads.limit(limits=1, user_api="openmp"):  # for few rows threads cost more than they gain
                return self._score(table)


class _Plain:
    """The estimator without the short cut."""

    def __init__(self, predict: Callable[[Mapping[str, Any]], Any]) -> None:
        self.predict = predict


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        hint = "Install it with `pip install 'loopline[sklearn]'`."
        raise Unavailable("scikit-learn models need the packages scikit-learn and skops.", hint) from None
    return skops.io


def _check_version(saved: set[str]) -> None:
    import sklearn

    here = sklearn.__version__.split(".")[:2]
    for version in sorted(saved):
        if version.split(".")[:2] != here:
            raise Invalid(
                f"The model was fitted with scikit-learn {version}, and this is {sklearn.__version__}.",
                f"Install scikit-learn {version} here, or train the model again.",
            )


def _scorer(model: Any) -> Callable[[Any], Any]:
    """What turns the estimator's input into one prediction a row."""
    import numpy as np

    classes = getattr(model, "classes_", None)
    if classes is not None and len(classes) == 2 and hasattr(model, "predict_proba"):
        return lambda frame: np.ascontiguousarray(model.predict_proba(frame)[:, 1], dtype=np.float64)

    def predicted(frame: Any) -> Any:
        answer = np.asarray(model.predict(frame)).reshape(len(frame), -1)[:, 0]
        return answer.astype(np.float64) if answer.dtype.kind in "fiub" else answer.astype(object)

    return predicted


def _builder(model: Any, signature: Signature) -> Build:
    """What turns columns into the table on which the estimator was fitted."""
    names = [column.name for column in signature.inputs]
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is not None:
        return _frame_builder(model, [str(name) for name in fitted], signature)
    expected = getattr(model, "n_features_in_", len(names))
    if expected != len(names):
        raise Invalid(
            f"The model takes {expected} columns and its signature names {len(names)}.", "Register the right signature."
        )
    return _array_builder(names, signature)


def _array_builder(names: list[str], signature: Signature) -> Build:
    import numpy as np

    dtype = object if any(column.type == "string" for column in signature.inputs) else np.float64

    def build(columns: Mapping[str, Any]) -> Any:
        table = np.empty((len(columns[names[0]]), len(names)), dtype=dtype)
        for position, name in enumerate(names):
            table[:, position] = columns[name]
        return table

    return build


def _frame_builder(model: Any, fitted: list[str], signature: Signature) -> Build:
    missing = sorted(set(fitted) - {column.name for column in signature.inputs})
    if missing:
        raise Invalid(
            f"The model was fitted on {', '.join(missing)}, which its signature does not name.",
            "Give the signature all columns of the frame on which the model was fitted.",
        )
    pandas = _pandas()
    categories = _category_columns(model, fitted)
    texts = {column.name for column in signature.inputs if column.type == "string"}
    convert = {name: "category" if name in categories else "str" for name in fitted if name in texts}
    if int(pandas.__version__.split(".")[0]) < 3:  # there a string column of a frame holds plain objects
        convert = {name: kind for name, kind in convert.items() if kind == "category"}

    def build(columns: Mapping[str, Any]) -> Any:
        data = {
            name: pandas.Series(columns[name], dtype=convert[name]) if name in convert else columns[name]
            for name in fitted
        }
        return pandas.DataFrame(data, copy=False)

    return build


def _category_columns(model: Any, fitted: list[str]) -> set[str]:
    """Columns that histogram gradient boosting, fitted directly on a frame, expects as pandas categories."""
    if getattr(model, "categorical_features", None) != "from_dtype" or model.is_categorical_ is None:
        return set()
    return {name for name, flag in zip(fitted, model.is_categorical_, strict=True) if flag}


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        hint = "Install it with `pip install 'loopline[pandas]'`, or fit the model on an array."
        raise Unavailable("The model was fitted on a pandas frame, and pandas is not installed.", hint) from None
    return pandas
