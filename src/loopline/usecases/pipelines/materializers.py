"""`@materializer(MyType)`: how values of a type that Loopline does not know are written down and read back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from loopline.core.errors import Invalid

if TYPE_CHECKING:
    from loopline.usecases.pipelines.identity.territory import Territory
    from loopline.usecases.pipelines.model import Code

C = TypeVar("C", bound=type)
_registered: dict[str, type] = {}  # "module:name" of a type → the class that writes and reads its values


def materializer(*kinds: type | str) -> Callable[[C], C]:
    """Make a class the one that writes and reads values of these types and of the types derived from them.

    It has `save(self, value, folder)`, which writes files into an empty folder, and `load(self, folder)`, which answers
    an equal value; both get a `pathlib.Path`. The same value must give the same bytes, so write no times into them. A
    type may be named as text ("geopandas:GeoDataFrame") so that it is not imported for this. Of several that fit, the one
    for the nearest base wins, and the last registered for the same type.

        @materializer(Graph)
        class GraphFiles:
            def save(self, value, folder):
                (folder / "edges.txt").write_text("\\n".join(value.edges))

            def load(self, folder):
                return Graph((folder / "edges.txt").read_text().splitlines())

    Its code counts for the steps of the pipelines whose project imports it: an edit makes them run again. Raises Invalid
    for a class without both methods, and for types that are none.
    """
    places = [place_of_kind(kind) for kind in kinds]
    if not places:
        raise Invalid("A materializer was registered for no type.", "Write @materializer(MyType).")

    def register(cls: C) -> C:
        if not all(callable(getattr(cls, name, None)) for name in ("save", "load", "__init_subclass__")):
            raise Invalid(
                f"{getattr(cls, '__name__', cls)!r} cannot be a materializer.",
                "Write a class with save(self, value, folder) and load(self, folder).",
            )
        if "<locals>" in cls.__qualname__:
            raise Invalid(
                f"The materializer {cls.__name__!r} stands inside a function.", "Put it at the top of a module."
            )
        _registered.update(dict.fromkeys(places, cls))
        return cls

    return register


def place_of_kind(kind: Any) -> str:
    """A type as "module:name"."""
    if isinstance(kind, type):
        return f"{kind.__module__}:{kind.__qualname__}"
    if isinstance(kind, str) and all(kind.partition(":")[::2]):
        return kind
    raise Invalid(f"{kind!r} is no type.", 'Write @materializer(MyType) or @materializer("package.module:MyType").')


def materializer_of(kind: type) -> type | None:
    """The class registered for a type or its nearest base."""
    if not _registered:
        return None
    for base in kind.__mro__[:-1]:
        cls = _registered.get(f"{base.__module__}:{base.__qualname__}")
        if cls is not None and stands(cls):
            return cls
    return None


def stands(cls: type) -> bool:
    """Whether a class is still what its module has under its name: older code of a project may have been forgotten."""
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is cls


def save(cls: type, value: Any, folder: Path) -> None:
    """Have a materializer write a value; Invalid when it writes nothing."""
    cls().save(value, folder)
    if not any(folder.iterdir()):
        raise Invalid(
            f"The materializer {cls.__qualname__} wrote no file for a {type(value).__qualname__}.", "Write one."
        )


def load(place: str, folder: Path) -> Any:
    """Have the materializer at "module:name" read a value; Invalid when it is gone."""
    module, _, name = place.partition(":")
    found: Any = None
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        found = None
    if (
        found not in _registered.values()
    ):  # a result from elsewhere may name anything, and only these are meant to be called
        raise Invalid(
            f"There is no materializer {place!r} any more, and a value was kept by it.",
            "Bring it back, or run the step that made the value again.",
        )
    return found().load(folder)


def counted(found: tuple[Code, dict[str, str]], territory: Territory) -> tuple[Code, dict[str, str]]:
    """A step's code, and its files beyond the project's folder, with those of every registered materializer: which
    values the step will get is known only later."""
    from loopline.usecases.pipelines.hashing import digest
    from loopline.usecases.pipelines.identity import code_of

    code, outside = found
    standing = {cls for cls in _registered.values() if stands(cls)}
    if not standing:
        return found
    ordered: list[Any] = sorted(standing, key=lambda cls: (cls.__module__, cls.__qualname__))
    more = [code_of(cls, territory) for cls in ordered]
    known = {(piece.kind, piece.name, piece.file) for piece in code.pieces}
    added = {(piece.kind, piece.name, piece.file): piece for one, _ in more for piece in one.pieces}
    pieces = (*code.pieces, *(piece for key, piece in sorted(added.items()) if key not in known))
    distributions = dict(
        sorted({k: v for one in (*(one for one, _ in more), code) for k, v in one.distributions.items()}.items())
    )
    whole = digest("materializers", code.digest, *(one.digest for one, _ in more))
    files = {file: content for _, beyond in more for file, content in beyond.items()}
    return msgspec.structs.replace(code, digest=whole, pieces=pieces, distributions=distributions), {**files, **outside}
