"""CatBoost models as its own .cbm files: nothing in them runs, and the trees are checked before CatBoost reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes import beside, catboost_audit
from loopline.adapters.runtimes.catboost_audit import Description
from loopline.adapters.runtimes.contributions import in_signature
from loopline.adapters.runtimes.matrix import MANY_ROWS, check_texts, in_order
from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Column, Signature

FILE = "model.cbm"
ESTIMATORS = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
EXPONENTS = ("Poisson", "Tweedie")  # losses whose models give the exponent of what their trees add up to


class CatBoost:
    """The runtime of the format "catboost"."""

    format = "catboost"
    file = FILE

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a CatBoost model."""
        return any(
            base.__module__.startswith("catboost.") and base.__name__ in ESTIMATORS for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path) -> None:
        """Write `model.cbm`; the same model gives the same bytes. Refused for texts and embeddings as features."""
        if not model.is_fitted():
            raise Invalid("The CatBoost model is not fitted.", "Fit it first.")
        model.save_model(str(folder / FILE), format="cbm")
        catboost_audit.audit(folder / FILE)

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid for a damaged file, Refused for one that points outside of itself; CatBoost is not imported."""
        found = _read(files)
        return None if found.classes is None else len(found.classes)

    def signature(self, files: Mapping[str, Path]) -> Signature | None:
        """What the file tells of its columns, of which categories are texts and have no gaps, and of its output."""
        found = _read(files)
        held = set(found.categorical)
        inputs = (
            Column(name, "string") if place in held else Column(name, "float", True)
            for place, name in enumerate(found.columns)
        )
        return Signature(tuple(inputs), beside.output(found.classes, len(found.classes or ())))

    def load(self, folder: Path, signature: Signature) -> Model:
        """The model, after the file was checked."""
        found = _read(beside.of_folder(folder))
        library = _library()
        model = library.CatBoostClassifier() if found.classes else library.CatBoostRegressor()
        try:
            model.load_model(blob=(folder / FILE).read_bytes())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise Invalid(f"CatBoost cannot read {FILE} ({reason}).", "Save the model again.") from None
        return Model(model, found, signature)


class Model:
    """A CatBoost model in memory. Satisfies `LoadedModel`; may be asked by several threads."""

    library = "catboost"

    def __init__(self, model: Any, found: Description, signature: Signature) -> None:
        order = in_order(found.columns, signature)
        kinds = {column.name: column.type for column in signature.inputs}
        held = {order[place]: kinds[order[place]] for place in found.categorical}
        check_texts(order, {name: {} for name in held}, signature)
        self._order, self._held = order, held
        self._answer = _answer(model, found)
        self.model = model
        self._inputs = [column.name for column in signature.inputs]
        if found.classes is None or len(found.classes) == 2:
            self.explain = self._explain
        self.order: list[str] = order
        self.coded: dict[str, Any] = {}

    def _explain(self, columns: Mapping[str, Any]) -> tuple[Any, Any]:
        """CatBoost's own contributions (TreeSHAP), of the raw score."""
        places = [place for place, name in enumerate(self._order) if name in self._held]
        pool = _library().Pool(self._table(columns), cat_features=places)
        found = self.model.get_feature_importance(pool, type="ShapValues", thread_count=1)
        return in_signature(self._order, self._inputs, found)

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. For few rows one thread, as more cost more than they gain."""
        return self._answer(self._table(columns), 1 if len(columns[self._order[0]]) < MANY_ROWS else -1)

    def _table(self, columns: Mapping[str, Any]) -> Any:
        import numpy as np

        rows = len(columns[self._order[0]])
        table = np.empty((rows, len(self._order)), dtype=object if self._held else np.float64)
        for place, name in enumerate(self._order):
            kind = self._held.get(name)
            table[:, place] = columns[name] if kind is None else categories(name, kind, columns[name])
        return table


def categories(name: str, kind: str, values: Any) -> list[Any]:
    """A column of categories as CatBoost takes it: texts and integers. ValueError for a gap, which it has no form for."""
    found = values.tolist()
    for value in found:
        if value is None or value != value:
            raise ValueError(f"the category {name!r} is missing, and CatBoost takes none that is")
    if kind == "boolean":
        return [int(value) for value in found]
    return [int(value) if isinstance(value, float) and value.is_integer() else str(value) for value in found]


def _read(files: Mapping[str, Path]) -> Description:
    if FILE not in files:
        raise Invalid(f"The model has no {FILE}.", "Save the model again.")
    found = catboost_audit.audit(files[FILE])
    if found.classes is None and found.width > 1:
        raise Invalid(f"The CatBoost model gives {found.width} values a row; one is served.", "Fit it for one target.")
    return found


def _answer(model: Any, found: Description) -> Callable[[Any, int], Any]:
    """What turns rows into one prediction each: of two classes the probability of the second, of more the label."""
    import numpy as np

    if found.classes is not None and len(found.classes) == 2:
        return lambda rows, threads: np.ascontiguousarray(model.predict_proba(rows, thread_count=threads)[:, 1])
    if found.classes is not None:
        kind = object if any(isinstance(one, str) for one in found.classes) else np.float64
        return lambda rows, threads: np.asarray(model.predict(rows, thread_count=threads)).ravel().astype(kind)
    what = "Exponent" if found.loss.startswith(EXPONENTS) else "RawFormulaVal"
    return lambda rows, threads: np.asarray(model.predict(rows, what, thread_count=threads), dtype=np.float64).ravel()


def _library() -> Any:
    try:
        import catboost
    except (ImportError, OSError):
        hint = "Install it with `pip install 'loopline[catboost]'`."
        raise Unavailable("CatBoost models need the package catboost.", hint) from None
    return catboost
