"""What may stand in a PyTorch program that is taken apart: operators, expressions of sizes, raw tensors; nothing that runs.

A `.pt2` archive (torch.export.save) keeps sample inputs as a pickle, tensors of unusual kinds as pickles, sizes as Python
expressions that its reader evaluates, and traces with names that it looks up. Kept here are the program's JSON without
traces, and raw tensors; each operator is of PyTorch's own ATen set, each expression made of listed names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from loopline.core.errors import Refused

TRAINED = "Export the model with torch.export from plain tensor operations, and register it again."
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_]+|_operator\.(add|sub|mul|floordiv|mod|neg|eq|ne|ge|gt|le|lt)"
)
_FORBIDDEN = ("from_file", "save", "_print")
_EXPRESSION = re.compile(r"[A-Za-z0-9_'=,+*/()\s-]{1,2000}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES = {
    "Symbol", "Integer", "Mul", "Add", "Pow", "Max", "Min", "FloorDiv", "CleanDiv", "CeilDiv", "Mod", "PythonMod", "positive",
    "integer", "nonnegative", "True", "False",
}  # fmt: skip
_SYMBOL = re.compile(r"[szu]\d{1,6}")
_MODULES = {"call_module", "hop", "as_graph"}


def cleaned(program: Any) -> Any:
    """The program's JSON without what only tells of its making. Refused for anything that could run code."""
    for key, value in pairs(program):
        if key == "target" and isinstance(value, str):
            check_operator(value)
        elif key == "expr_str":
            check_expression(value)
        elif key in ("as_custom_obj", "as_graph", "as_operator") and value:
            raise Refused(f"The program holds {key!r}, which is not loaded.", TRAINED)
    return without_traces(program)


def check_operator(name: str) -> None:
    """Refused for what is not an operator on tensors."""
    words = name.split(".")
    if not _OPERATOR.fullmatch(name) or any(word.startswith(_FORBIDDEN) for word in words[3:4]):
        raise Refused(f"The program calls {name[:80]!r}, which is no operator of ATen.", TRAINED)


def check_expression(text: Any) -> None:
    """Refused for what is more than a size."""
    names = _NAME.findall(text) if isinstance(text, str) and _EXPRESSION.fullmatch(text) else ["?"]
    if any(name not in _NAMES and not _SYMBOL.fullmatch(name) for name in names):
        raise Refused(f"The program holds the expression {str(text)[:80]!r}, which is no size.", TRAINED)


def check_tensors(config: Mapping[str, Any]) -> None:
    """Refused for tensors that are kept as pickles, or under names that are paths."""
    for name, about in config.items():
        place = str(about.get("path_name", ""))
        if about.get("use_pickle") is not False or not re.fullmatch(r"(weight|tensor)_\d{1,9}", place):
            raise Refused(
                f"The tensor {name[:80]!r} is kept as a pickle, which could run any code when loaded.", TRAINED
            )


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at whatever depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def without_traces(value: Any) -> Any:
    """The same with the metadata of every node emptied."""
    if isinstance(value, dict):
        return {
            key: {} if key == "metadata" and isinstance(one, dict) else without_traces(one)
            for key, one in value.items()
        }
    return [without_traces(one) for one in value] if isinstance(value, list) else value
