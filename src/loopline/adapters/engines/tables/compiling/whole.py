"""A whole model, whichever library it is of."""

from __future__ import annotations

from typing import Any

from loopline.adapters.engines.tables.compiling.boosters import BOOSTERS
from loopline.adapters.engines.tables.compiling.writing import Columns, Writer, known
from loopline.core.tables import Signature, kind_of
from loopline.ports.engine import UnknownForm


def whole(source: Any, signature: Signature) -> bytes:
    """The content for a model; UnknownForm when any part of it is not known."""
    writer = Writer({column.name: kind_of(column) for column in signature.inputs})
    library = getattr(source, "library", "sklearn")
    try:
        if library in BOOSTERS:
            BOOSTERS[library](writer, source)
        else:
            _sklearn(writer, source, getattr(source, "model", None))
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, NotImplementedError) as error:
        raise UnknownForm(f"{type(error).__name__}: {error}") from error  # of a version that keeps its parts elsewhere
    return writer.content()


def _sklearn(writer: Writer, source: Any, model: Any) -> None:
    from loopline.adapters.engines.tables.compiling.answers import ESTIMATORS, compiled
    from loopline.adapters.engines.tables.compiling.compounds import COMPOUNDS
    from loopline.adapters.engines.tables.compiling.heads import HEADS

    ESTIMATORS.update(HEADS | COMPOUNDS)

    known(type(model).__module__.partition(".")[0] == "sklearn", "models of this library")
    fitted = getattr(model, "feature_names_in_", None)
    names = tuple(writer.kinds) if fitted is None else tuple(str(name) for name in fitted)
    compiled(writer, source, model, Columns(names))
