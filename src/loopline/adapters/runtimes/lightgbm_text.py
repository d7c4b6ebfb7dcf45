"""LightGBM models as its own text files: nothing in them runs, and every index is checked before LightGBM reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes import beside, lightgbm_audit
from loopline.adapters.runtimes.beside import Beside, Label
from loopline.adapters.runtimes.contributions import in_signature
from loopline.adapters.runtimes.lightgbm_audit import Text
from loopline.adapters.runtimes.matrix import MANY_ROWS, check_texts, chosen, codes_of, filler, in_order
from loopline.adapters.runtimes.skops_audit import plain_array, plain_schema
from loopline.core.errors import Invalid, LooplineError, Unavailable
from loopline.core.tables import Column, Signature

FILE = "model.txt"
SKOPS_FILE = "model.skops"  # how MLflow keeps LightGBM's scikit-learn classes: the text of the booster is inside
ESTIMATORS = ("LGBMClassifier", "LGBMRegressor", "LGBMRanker")


class LightGBM:
    """The runtime of the format "lightgbm"."""

    format = "lightgbm"
    file = FILE

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a LightGBM booster or one of its scikit-learn classes."""
        return any(
            base.__module__.startswith("lightgbm.") and base.__name__ in ("Booster", *ESTIMATORS)
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path) -> None:
        """Write `model.txt`, and `columns.json` for what it does not tell; the same model gives the same bytes."""
        booster = getattr(model, "booster_", model)
        if booster.num_trees() < 1:
            raise Invalid("The LightGBM model has no tree.", "Fit it for at least one round.")
        booster.save_model(str(folder / FILE), importance_type="split")
        kind = next((base.__name__ for base in type(model).__mro__ if base.__name__ in ESTIMATORS), "")
        about = Beside(kind, beside.plain_classes(model) if kind else None, _frame_names(model))
        beside.write(folder, about)
        lightgbm_audit.audit(folder / FILE)

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid for a damaged file, Refused for one that points outside of itself; LightGBM is not imported."""
        _, text, about = _read(files)
        if text.classes > 1:
            return text.classes
        return 2 if about.classes or text.objective.split(" ")[0] in ("binary", "cross_entropy") else None

    def signature(self, files: Mapping[str, Path]) -> Signature | None:
        """What the file tells of its columns and its output."""
        _, text, about = _read(files)
        held = _category_places(text, None) or []
        inputs = tuple(
            Column(name, "string" if place in held and _texts(text.categories[held.index(place)]) else "float", True)
            for place, name in enumerate(about.columns or text.columns)
        )
        return Signature(inputs, beside.output(about.classes, text.classes))

    def load(self, folder: Path, signature: Signature) -> Booster:
        """The model, after the file was checked."""
        content, text, about = _read(beside.of_folder(folder))
        library = _library()
        try:
            booster = library.Booster(model_str=content.decode())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise Invalid(f"LightGBM cannot read {FILE} ({reason}).", "Save the model again.") from None
        return Booster(booster, text, about, signature)


class Booster:
    """A LightGBM booster in memory. Satisfies `LoadedModel`; may be asked by several threads."""

    library = "lightgbm"

    def __init__(self, booster: Any, text: Text, about: Beside, signature: Signature) -> None:
        names = about.columns if len(about.columns) == len(text.columns) else text.columns
        order = in_order(names, signature)
        coded = _coded(text, order, signature)
        check_texts(order, coded, signature)
        self._fill = filler(order, coded, lambda name, value: float("nan"))  # as LightGBM does with new categories
        self._answer = _answer(text, about.labels)
        self._booster = self.booster = booster
        self.order, self.coded, self.labels = order, coded, about.labels
        self._about = about
        self._order, self._inputs = order, [column.name for column in signature.inputs]
        if text.classes <= 1:
            self.explain = self._explain

    @property
    def model(self) -> Any:
        """What was saved: the booster, or the scikit-learn class around it."""
        return _estimator(self._booster, self._about) if self._about.estimator else self._booster

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. For few rows one thread, as more cost more than they gain."""
        table = self._fill(columns)
        threads = 1 if len(table) < MANY_ROWS else 0
        return self._answer(self._booster.predict(table, num_threads=threads))

    def _explain(self, columns: Mapping[str, Any]) -> tuple[Any, Any]:
        """LightGBM's own contributions (TreeSHAP), of the raw score."""
        found = self._booster.predict(self._fill(columns), pred_contrib=True, num_threads=1)
        return in_signature(self._order, self._inputs, found)


def _read(files: Mapping[str, Path]) -> tuple[bytes, Text, Beside]:
    """The text of the booster, what it says, and what is known beside it."""
    path = files.get(FILE) or files.get(SKOPS_FILE)
    if path is None:
        raise Invalid(f"The model has no {FILE}.", "Save the model again.")
    if FILE in files:
        content, about = lightgbm_audit.checked(path, path.read_bytes), beside.read(files)
    else:
        content, about = lightgbm_audit.checked(path, lambda: _inside(path))
    text = lightgbm_audit.audit_content(path, content)
    if about.classes is not None and len(about.classes) != max(text.classes, 2):
        raise Invalid(f"{beside.FILE} names {len(about.classes)} classes and the model has others.", "Save it again.")
    if about.columns and len(about.columns) != len(text.columns):
        raise Invalid(f"{beside.FILE} names {len(about.columns)} columns and the model has others.", "Save it again.")
    return content, text, about


def _inside(path: Path) -> tuple[bytes, Beside]:
    """The booster's text and the classes out of a skops file, of which nothing is built."""
    schema = plain_schema(path)
    if schema.get("__module__") != "lightgbm.sklearn" or schema.get("__class__") not in ESTIMATORS:
        raise ValueError("it holds no LightGBM model")
    state = schema["content"]["content"]
    content = json.loads(state["_Booster"]["content"]["content"]["_handle"]["content"])
    classes = state.get("_classes")
    labels = plain_array(path, classes) if classes else None
    return str(content).encode(), Beside(str(schema["__class__"]), labels)


def _category_places(text: Text, signature_places: list[int] | None) -> list[int] | None:
    """The places of the pandas categories: those that the file calls categorical, else the columns of texts."""
    for places in (text.categorical, signature_places):
        if places is not None and len(places) == len(text.categories):
            return places
    return None if text.categories else []


def _texts(values: list[Label]) -> bool:
    return any(isinstance(value, str) for value in values)


def _coded(text: Text, order: list[str], signature: Signature) -> dict[str, dict[Any, float]]:
    kinds = {column.name: column.type for column in signature.inputs}
    texts = [place for place, name in enumerate(order) if kinds[name] == "string"]
    places = _category_places(text, texts)
    if places is None or any(place >= len(order) for place in places):
        raise Invalid(
            f"The model knows the categories of {len(text.categories)} columns, and which these are cannot be told.",
            "Give those columns the type string in the signature.",
        )
    return {
        order[place]: codes_of(values, kinds[order[place]] == "string")
        for place, values in zip(places, text.categories, strict=True)
    }


def _answer(text: Text, labels: list[Any] | None) -> Callable[[Any], Any]:
    """What turns LightGBM's scores into one prediction a row."""
    if text.classes > 1:
        return lambda scores: chosen(scores, labels)
    return lambda scores: scores


def _frame_names(model: Any) -> list[str]:
    """The names of the columns before LightGBM wrote a space as `_`."""
    return beside.plain_names(getattr(model, "feature_names_in_", None))


def _estimator(booster: Any, about: Beside) -> Any:
    """The scikit-learn class around a booster. LightGBM reads none back, so that its fitted state is set here."""
    import numpy as np

    if about.estimator not in ESTIMATORS:
        raise Invalid(f"{beside.FILE} names {about.estimator[:40]!r}, which LightGBM does not have.", "Save it again.")
    estimator = getattr(_library(), about.estimator)()
    estimator._Booster, estimator.fitted_ = booster, True
    estimator._n_features = estimator._n_features_in = booster.num_feature()
    estimator._objective = booster.dump_model(num_iteration=1).get("objective", "none").split(" ")[0]
    estimator._best_iteration = -1
    if about.classes is not None:
        from sklearn.preprocessing import LabelEncoder

        estimator._le = LabelEncoder()
        estimator._le.classes_ = estimator._classes = np.array(about.classes)
        estimator._n_classes = len(about.classes)
    return estimator


def _library() -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        if isinstance(error, LooplineError):
            raise
        hint = "Install it with `pip install 'loopline[lightgbm]'`."
        raise Unavailable("LightGBM models need the package lightgbm.", hint) from None
    return lightgbm
