"""Whether what one step gives is what another takes, as far as their annotations tell."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import Any

from loopline.usecases.pipelines.steps import is_dataset
from loopline.usecases.pipelines.values.tables import annotated_kind

_UNKNOWN = (None, Any, inspect.Parameter.empty, object)
_WIDER = {bool: (int, float, complex), int: (float, complex), float: (complex,)}


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated `given` may be handed where `wanted` is annotated; True wherever that cannot be known."""
    try:
        return _fits(given, wanted)
    except TypeError:  # an annotation that cannot be hashed
        return _fits.__wrapped__(given, wanted)


@functools.lru_cache(maxsize=4096)
def _fits(given: Any, wanted: Any) -> bool:
    if any(one in _UNKNOWN or isinstance(one, str | typing.TypeVar) for one in (given, wanted)):
        return True
    for one, other in ((given, wanted), (wanted, given)):
        if typing.get_origin(one) in (typing.Union, types.UnionType):
            return any(fits(*((each, other) if one is given else (other, each))) for each in typing.get_args(one))
    if is_frame(given) and is_frame(wanted):
        return True
    return _of_kinds(given, wanted)


def is_frame(annotation: Any) -> bool:
    """Whether an annotation is a table or frame, any of which is made into any other on the way."""
    return is_dataset(annotation) or bool(annotated_kind(annotation))


def item_of(annotation: Any) -> Any:
    """The annotation of the items of a list or dict, None when it does not say."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (list, tuple) and inner and (origin is list or inner[-1] is ...):
        return inner[0]
    return inner[1] if origin is dict and len(inner) == 2 else None


def is_several(annotation: Any) -> bool:
    """Whether an annotation may be that of a list or dict."""
    if annotation in _UNKNOWN or isinstance(annotation, str | typing.TypeVar):
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(is_several(one) for one in typing.get_args(annotation))
    kind = typing.get_origin(annotation) or annotation
    return not isinstance(kind, type) or issubclass(kind, list | tuple | dict)


def shown(annotation: Any) -> str:
    """An annotation as people write it."""
    return annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)


def _of_kinds(given: Any, wanted: Any) -> bool:
    if typing.get_origin(wanted) is typing.Literal:
        return True
    one, other = typing.get_origin(given) or given, typing.get_origin(wanted) or wanted
    if typing.get_origin(given) is typing.Literal:
        return any(fits(type(value), wanted) for value in typing.get_args(given))
    if not isinstance(one, type) or not isinstance(other, type):
        return True
    try:
        related = issubclass(one, other) or issubclass(other, one)
    except TypeError:  # a protocol that does not say what belongs to it
        return True
    if not related:
        return any(_WIDER.get(kind) and other in _WIDER[kind] for kind in one.__mro__) or _made_one(one, other)
    inner, asked = typing.get_args(given), typing.get_args(wanted)
    same = len(inner) == len(asked) and one in (list, tuple, dict) and ... not in (*inner, *asked)
    return all(fits(*pair) for pair in zip(inner, asked, strict=True)) if same else True


def _made_one(one: type, other: type) -> bool:
    """Kinds that are not each other's but whose values are handed over as such: named tuples as tuples, lists as
    sequences and the like are known by Python; numbers of numpy are not."""
    return one.__module__ == "numpy" and other in (int, float, bool, complex)
