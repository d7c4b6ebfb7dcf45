"""XGBoost models as its own UBJSON (or JSON) files: plain data whose indices are checked before XGBoost reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes import beside, xgboost_audit
from loopline.adapters.runtimes.beside import Beside
from loopline.adapters.runtimes.contributions import in_signature
from loopline.adapters.runtimes.matrix import MANY_ROWS, check_texts, chosen, codes_of, filler, in_order
from loopline.adapters.runtimes.xgboost_audit import Description
from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Column, ColumnType, Signature

FILE, JSON_FILE = "model.ubj", "booster.json"
TYPES: dict[str, ColumnType] = {
    "int": "integer",
    "i": "boolean",
}  # what XGBoost calls columns of a frame; others are floats
ESTIMATORS = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")


class XGBoost:
    """The runtime of the format "xgboost"."""

    format = "xgboost"
    file = FILE

    def accepts(self, model: Any) -> bool:
        """Whether `model` is an XGBoost booster or one of its scikit-learn classes."""
        return any(
            base.__module__.startswith("xgboost.") and base.__name__ in ("Booster", *ESTIMATORS)
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path) -> None:
        """Write `model.ubj`, and `columns.json` for what it does not tell; the same model gives the same bytes.
        Refused for pandas categories that this version of XGBoost does not keep in its file."""
        model.save_model(str(folder / FILE))
        kind = next((base.__name__ for base in reversed(type(model).__mro__) if base.__name__ in ESTIMATORS), "")
        kind = type(model).__name__ if type(model).__name__ in ESTIMATORS else kind
        beside.write(folder, Beside(kind, beside.plain_classes(model) if "Classifier" in kind else None))
        xgboost_audit.audit(folder / FILE)

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid for a damaged file, Refused for one that points outside of itself; XGBoost is not imported."""
        _, found, _ = _read(files)
        if found.classes > 1:
            return found.classes
        return 2 if found.objective.startswith("binary:") else None

    def signature(self, files: Mapping[str, Path]) -> Signature | None:
        """What the file tells of its columns and its output."""
        _, found, about = _read(files)
        names = found.columns or [f"x{place}" for place in range(found.width)]
        texts = {place for place, values in found.categories.items() if any(isinstance(one, str) for one in values)}
        kinds = {place: TYPES.get(kind, "float") for place, kind in enumerate(found.types)}
        inputs = (
            Column(name, "string", True)
            if place in texts
            else Column(name, kinds.get(place, "float"), kinds.get(place, "float") == "float")
            for place, name in enumerate(names)
        )
        return Signature(tuple(inputs), beside.output(about.classes, found.classes))

    def load(self, folder: Path, signature: Signature) -> Booster:
        """The model, after the file was checked."""
        path, found, about = _read(beside.of_folder(folder))
        booster = _library().Booster()
        try:
            booster.load_model(bytearray(path.read_bytes()))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise Invalid(f"XGBoost cannot read {path.name} ({reason}).", "Save the model again.") from None
        return Booster(booster, found, about, signature)


class Booster:
    """An XGBoost booster in memory. Satisfies `LoadedModel`; may be asked by several threads."""

    library = "xgboost"

    def __init__(self, booster: Any, found: Description, about: Beside, signature: Signature) -> None:
        order = in_order(found.columns or [f"x{place}" for place in range(found.width)], signature)
        kinds = {column.name: column.type for column in signature.inputs}
        coded = {
            order[place]: codes_of(values, kinds[order[place]] == "string")
            for place, values in found.categories.items()
        }
        check_texts(order, coded, signature)
        self._fill = filler(order, coded, _unknown)
        self._types = found.types or None
        self._linear = found.linear
        self._rounds = (0, _rounds(found, about))
        self._few, self._many = booster, booster.copy()
        self._few.set_param({"nthread": 1})
        self._many.set_param({"nthread": 0})
        self._answer = _answer(found, about.labels)
        self._about = about
        self.booster, self.rounds = booster, self._rounds[1]
        self.order, self.coded, self.labels = order, coded, about.labels
        self._inputs = [column.name for column in signature.inputs]
        if found.classes <= 1:
            self.explain = self._explain

    @property
    def model(self) -> Any:
        """What was saved: the booster, or the scikit-learn class around it."""
        if self._about.estimator not in ESTIMATORS:
            return self._many
        estimator = getattr(_library(), self._about.estimator)()
        estimator.load_model(bytearray(self._many.save_raw("ubj")))
        return estimator

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. For few rows one thread, as more cost more than they gain."""
        table = self._fill(columns)
        booster = self._few if len(table) < MANY_ROWS else self._many
        if not self._linear:
            return self._answer(booster.inplace_predict(table, iteration_range=self._rounds, validate_features=False))
        rows = _library().DMatrix(table, feature_types=self._types)
        return self._answer(booster.predict(rows, validate_features=False))

    def _explain(self, columns: Mapping[str, Any]) -> tuple[Any, Any]:
        """XGBoost's own contributions (TreeSHAP), of the raw score."""
        rows = _library().DMatrix(self._fill(columns), feature_types=self._types, enable_categorical=True)
        given = {} if self._linear else {"iteration_range": self._rounds}
        found = self._few.predict(rows, pred_contribs=True, validate_features=False, **given)
        return in_signature(self.order, self._inputs, found)


def _read(files: Mapping[str, Path]) -> tuple[Path, Description, Beside]:
    path = files.get(FILE) or files.get(JSON_FILE)
    if path is None:
        raise Invalid(f"The model has no {FILE}.", "Save the model again.")
    found, about = xgboost_audit.audit(path), beside.read(files)
    if about.classes is not None and len(about.classes) != max(found.classes, 2):
        raise Invalid(f"{beside.FILE} names {len(about.classes)} classes and the model has others.", "Save it again.")
    lost = [place for place, kind in enumerate(found.types) if kind == "c" and place not in found.categories]
    if lost and about.estimator:
        message = "The model was fitted on pandas categories, and its file does not keep them."
        raise Invalid(message, "Save it with XGBoost 3.1 or newer, or encode the columns before.")
    return path, found, about


def _unknown(name: str, value: Any) -> float:
    """XGBoost itself refuses a category that was not there when the model was fitted."""
    raise ValueError(f"the model knows no category {value!r} in the column {name!r}")


def _rounds(found: Description, about: Beside) -> int:
    """How many rounds count: those up to the best one where training stopped early, as its scikit-learn classes do."""
    best = found.attributes.get("best_iteration", "")
    if best.isdecimal() and (about.estimator or "scikit_learn" in found.attributes):
        return int(best) + 1
    return 0


def _answer(found: Description, labels: list[Any] | None) -> Callable[[Any], Any]:
    """What turns XGBoost's scores into one prediction a row."""
    import numpy as np

    if found.classes > 1 and found.objective != "multi:softmax":
        return lambda scores: chosen(scores, labels)
    if found.classes > 1 and labels is not None:
        kind = object if any(isinstance(one, str) for one in labels) else np.float64
        known = np.array(labels, dtype=kind)
        return lambda scores: known[np.asarray(scores).ravel().astype(np.int64)]
    return lambda scores: np.asarray(scores, dtype=np.float64).reshape(len(scores), -1)[:, 0]


def _library() -> Any:
    try:
        import xgboost
    except (ImportError, OSError):
        hint = "Install it with `pip install 'loopline[xgboost]'`."
        raise Unavailable("XGBoost models need the package xgboost.", hint) from None
    return xgboost
