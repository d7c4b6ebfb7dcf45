"""Rules around a loaded model. Runs the rules' code: imported only in a model's process."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from loopline.core.errors import Invalid, LooplineError, Refused
from loopline.core.rows import array_of, columns_of, rows_of
from loopline.core.tables import Signature
from loopline.ports.runtime import LoadedModel
from loopline.usecases.serving.rules.model import Rules

Row = dict[str, Any]


class Ruled:
    """A model between `before(rows)` and `after(rows, predictions)`. Satisfies `LoadedModel`.

    Rows are dicts of plain values (None where a row is empty). `before` answers a row for each, with the model's inputs in
    it; `after` gets the rows as `before` left them, and answers a value for each.
    """

    def __init__(self, loaded: LoadedModel, of_model: Signature, rules: Rules) -> None:
        self._loaded = loaded
        self._of_model = of_model
        self._rules = rules
        self._outside = rules.declared.signature(of_model)
        module = executed(rules)
        self._before: Callable[[list[Row]], Any] | None = getattr(module, "before", None)
        self._after: Callable[[list[Row], list[Any]], Any] | None = getattr(module, "after", None)
        if hasattr(loaded, "explain") and rules.declared.inputs is None:
            self.explain = self._explained

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. Refused names the rule that refuses a row."""
        rows, inner = self._inner(columns)
        found = self._loaded.predict(inner)
        if self._after is None:
            return found
        predictions = found.tolist() if hasattr(found, "tolist") else list(found)
        values = self._called("after", self._after, len(rows), rows, predictions)
        try:
            return array_of(values, self._outside.output)
        except Invalid as error:
            raise Refused(f"rules {self._rules.reference}: after: {error.message}", error.hint) from None

    def close(self) -> None:
        """Let go of the model."""
        if hasattr(self._loaded, "close"):
            self._loaded.close()

    def _inner(self, columns: Mapping[str, Any]) -> tuple[list[Row], Mapping[str, Any]]:
        rows = rows_of(columns, self._outside.inputs)
        if self._before is None:
            return rows, columns
        rows = self._called("before", self._before, len(rows), rows)
        try:
            return rows, columns_of(rows, self._of_model.inputs)
        except (Invalid, AttributeError) as error:
            what = error.message if isinstance(error, Invalid) else "it answered what is no row."
            raise Refused(f"rules {self._rules.reference}: before: {what}", "Mend the rules.") from None

    def _explained(self, columns: Mapping[str, Any]) -> Any:
        return self._loaded.explain(self._inner(columns)[1])  # type: ignore[attr-defined]

    def _called(self, name: str, function: Callable[..., Any], count: int, *given: Any) -> list[Any]:
        where = f"rules {self._rules.reference}: {name}"
        try:
            found = list(function(*given))
        except LooplineError:
            raise
        except (Exception, SystemExit) as error:  # whatever a rule raises belongs to the row
            raise Refused(
                f"{where}: {type(error).__name__}: {str(error)[:300]}", "The rules refuse this row."
            ) from None
        if len(found) != count:
            raise Refused(f"{where} answered {len(found)} values for {count} rows", "Mend the rules.")
        return found


def executed(rules: Rules) -> types.ModuleType:
    """The file of rules as a module. Invalid when it cannot be run."""
    module = types.ModuleType(f"rules_{rules.name.replace('-', '_')}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(rules.source, f"rules {rules.reference}", "exec"), module.__dict__)  # noqa: S102
    except Exception as error:
        told = f"{type(error).__name__}: {error}"[:300]
        raise Invalid(f"The rules {rules.reference} cannot be run here ({told}).", "See what they import.") from None
    return module
