"""YAML read as plain data, with the line and column of every key and value.

The core of YAML 1.2: only `true`, `false`, `null` and numbers are not text, so `on`, `no` and `2013-04-01` stay what was
written. Tags and merge keys are refused; aliases are read, up to a size that no honest file reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]
MOST_NODES = 20_000
DEEPEST = 40


@dataclass(frozen=True, order=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


class YamlError(ValueError):
    """What was written is no YAML that we read; `place` says where."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


@dataclass(frozen=True)
class Document:
    """`data` is made of dicts with text keys, lists, texts, numbers, booleans and None. Places are by path: of each
    value, and of each key of a mapping."""

    data: Any
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, at_key: bool = False) -> Place:
        """Where something stands; for what is not there, where the thing around it does."""
        if not at_key and path in self.values:
            return self.values[path]
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Place(1, 1)


def read(text: str) -> Document:
    """The one document in `text`. Raises YamlError at the first place that cannot be read."""
    root = _composed(text)
    if root is None:
        return Document(None)
    return _Reader().document(root)


def _composed(text: str) -> Any:
    import yaml

    try:
        loader = _loader()(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise YamlError(f"this is no YAML: {error.problem or error.context}", place) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"the character #x{error.character:04x} is not allowed", Place(line, 1)) from None
    except RecursionError:
        raise YamlError("this is nested too deep", Place(1, 1)) from None


def _loader() -> Any:
    """A safe loader that resolves as YAML 1.2's core schema does. Made at first use: importing yaml takes a while."""
    global _made
    if _made is None:
        import yaml

        class Loader(yaml.SafeLoader):
            yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

        for tag, pattern, first in (
            ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
            ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
            ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
            ("tag:yaml.org,2002:float", _FLOAT, "-+.0123456789"),
        ):
            Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})\\Z"), list(first))
        _made = Loader
    return _made


_made: Any = None
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class _Reader:
    def __init__(self) -> None:
        self._values: dict[Path, Place] = {}
        self._keys: dict[Path, Place] = {}
        self._seen = 0

    def document(self, root: Any) -> Document:
        return Document(self._value(root, ()), self._values, self._keys)

    def _value(self, node: Any, path: Path) -> Any:
        place = _place(node)
        self._seen += 1
        if self._seen > MOST_NODES or len(path) > DEEPEST:
            raise YamlError("this is too large or nested too deep", place)
        self._values[path] = place
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if node.id == "mapping" and kind == "map":
            return dict(self._items(node, path))
        if node.id == "sequence" and kind == "seq":
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        if node.id == "scalar" and kind in _SCALARS:
            return _SCALARS[kind](node.value)
        raise YamlError(f"the tag {node.tag} is not known here", place)

    def _items(self, node: Any, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.id != "scalar" or key_node.tag == "tag:yaml.org,2002:null":
                raise YamlError("a key must be a plain word", _place(key_node))
            key = str(key_node.value)
            if key in seen:
                raise YamlError(f"the key {key!r} is given twice", _place(key_node))
            seen.add(key)
            self._keys[(*path, key)] = _place(key_node)
            yield key, self._value(value_node, (*path, key))


def _place(node: Any) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _integer(text: str) -> int | float:
    return int(text) if len(text) < 20 else float(text)


_SCALARS: dict[str, Any] = {
    "str": str,
    "int": _integer,
    "float": _number,
    "bool": lambda text: text.lower() == "true",
    "null": lambda _: None,
}
