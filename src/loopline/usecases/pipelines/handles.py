"""What stands for a step's result while a pipeline is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from loopline.core.errors import Invalid


class Handle:
    """What a step will give, while a pipeline is traced: to be handed to other steps or returned, not looked into.

    Its parts can be taken where the step's annotation says which there are: `tuple[A, B]`, a NamedTuple, `dict[str, A]`.
    """

    __slots__ = ("annotation", "path", "position", "step")

    def __init__(self, step: str, position: int, path: tuple[int | str, ...] = (), annotation: Any = None) -> None:
        self.step = step
        self.position = position
        self.path = path
        self.annotation = annotation

    def __getitem__(self, part: int | str) -> Handle:
        kinds = parts_of(self.annotation)
        if isinstance(kinds, list) and isinstance(part, int) and -len(kinds) <= part < len(kinds):
            return self._part(part % len(kinds), kinds[part])
        if isinstance(kinds, dict) and isinstance(part, str):
            return self._part(part, kinds[""])
        raise self._refused(f"taken apart with [{part!r}]")

    def __iter__(self) -> Iterator[Handle]:
        kinds = parts_of(self.annotation)
        if not isinstance(kinds, list):
            raise self._refused("gone through")
        return iter([self._part(position, kind) for position, kind in enumerate(kinds)])

    def __getattr__(self, name: str) -> Handle:
        fields = getattr(self.annotation, "_fields", ())
        if name in fields:
            return self[fields.index(name)]
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._refused(f"asked for .{name}")

    def _part(self, part: int | str, annotation: Any) -> Handle:
        return Handle(self.step, self.position, (*self.path, part), annotation)

    def _refused(self, what: str) -> Invalid:
        return Invalid(
            f"The result of the step {self.step!r} is {what} inside the pipeline, but it is not known before the step ran.",
            "Do that inside a step; annotate several results as tuple[A, B], a NamedTuple or dict[str, A].",
        )

    def __repr__(self) -> str:
        return f"<what {self.step} gives>"


def _refusing(sign: str) -> Callable[..., Any]:
    def refuse(self: Handle, *_: Any) -> Any:
        raise self._refused(f"used with {sign}")

    return refuse


for _name in [
    "bool",
    "len",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "floordiv",
    "rfloordiv",
    "mod",
    "rmod",
    "pow",
    "rpow",
    "matmul",
    "rmatmul",
    "and",
    "rand",
    "or",
    "ror",
    "xor",
    "rxor",
    "invert",
    "neg",
    "pos",
    "abs",
    "round",
    "float",
    "int",
    "index",
    "str",
    "format",
    "call",
    "contains",
]:
    setattr(Handle, f"__{_name}__", _refusing(_name))
Handle.__hash__ = object.__hash__  # type: ignore[method-assign]


def parts_of(annotation: Any) -> list[Any] | dict[str, Any] | None:
    """What an annotation says of the parts of a value: a list for a tuple, {"": kind} for a dict, None for others."""
    from typing import get_args, get_origin

    if hasattr(annotation, "_fields"):
        hints = getattr(annotation, "__annotations__", {})
        return [hints.get(name) for name in annotation._fields]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is tuple and inner and inner[-1] is not ...:
        return list(inner)
    if annotation is dict or origin is dict:
        return {"": inner[1] if len(inner) == 2 else None}
    return None
