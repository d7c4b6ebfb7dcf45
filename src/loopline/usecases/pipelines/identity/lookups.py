"""What is asked of functions, modules and names on the way."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Mapping
from typing import Any

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity import plain
from loopline.usecases.pipelines.identity.source import Part, Source


def is_ours(value: Any) -> bool:
    """Whether something is Loopline's own: a step, a pipeline, a decorator."""
    while isinstance(value, functools.partial):
        value = value.func
    home = value.__module__ if isinstance(value, types.FunctionType | type) else type(value).__module__
    return str(home).partition(".")[0] == "loopline"


def file_of(module: str | None) -> str:
    """Where a loaded module lies; empty for one that has no file."""
    return getattr(sys.modules.get(module or ""), "__file__", None) or ""


def module_of(function: types.FunctionType) -> str:
    """The module in which a function's code was written, whatever a decorator made of `__module__`."""
    return str(function.__globals__.get("__name__") or function.__module__ or "")


def cells(function: types.FunctionType) -> dict[str, Any]:
    """The values that a closure holds, by name."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def compiled(code: types.CodeType) -> str:
    """The digest of compiled code and its constants without positions."""
    constants = [compiled(one) if isinstance(one, types.CodeType) else plain.digest_of(one) for one in code.co_consts]
    return digest("bytecode", code.co_code, *code.co_names, "", *code.co_varnames, "", *constants)


def ambiguous(source: Source | None, part: Part | None, code: types.CodeType) -> str:
    """What tells a function from others of the same name in its file, as lambdas are; empty when the name does."""
    if part is None:
        return compiled(code)
    same = source.by_name.get(code.co_qualname, ()) if source else ()
    return part.digest if len(same) != 1 else ""


def names_in(code: types.CodeType) -> set[str]:
    """All names that compiled code mentions, inner functions included."""
    inner = [names_in(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return {*code.co_names, *code.co_freevars}.union(*inner)


def at(scope: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What a dotted name stands for in a scope; None when it is not there."""
    found = scope.get(path[0]) if path else None
    for name in path[1:]:
        found = getattr(found, name, None)
    return found


def current_subclasses(cls: type) -> list[type]:
    """The direct subclasses of a class that their modules still hold."""
    direct: list[type] = type.__subclasses__(cls)
    found = [one for one in direct if is_held(one)]
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


def is_held(cls: type) -> bool:
    """Whether a class is the one that its module has now; one of a module imported anew may linger in memory."""
    module = sys.modules.get(cls.__module__)
    return module is not None and at(vars(module), tuple(cls.__qualname__.split("."))) is cls


@functools.lru_cache(maxsize=4096)
def meaning(text: str) -> str:
    """The digest of what a name stands for."""
    return digest("name", text)


def label(module: Any, name: str) -> str:
    """What a library's function or class is called."""
    return f"{module}.{name}"


def shown(word: str) -> str:
    """The word with its article."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
