"""Comparisons joined by AND (`name LIKE 'late%' AND tags.team = 'ops'`): read, and held against values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from loopline.core.errors import Invalid

LONGEST = 100_000
_SPACE = re.compile(r"\s*")
_LEFT = re.compile(r"(?:([A-Za-z_]+)\s*\.\s*)?(?:`([^`]*)`|\"([^\"]*)\"|'([^']*)'|([\w.\-/]+))")
_OPERATOR = re.compile(
    r"!=|<>|<=|>=|=|<|>|NOT\s+IN\b|IN\b|NOT\s+LIKE\b|LIKE\b|ILIKE\b|IS\s+NOT\s+NULL\b|IS\s+NULL\b", re.I
)
_TEXT = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")
_AND = re.compile(r"AND\b", re.I)
_HINT = "Write comparisons joined by AND, as name = 'late' AND tags.team LIKE 'ops%'."


class Comparison(NamedTuple):
    """`entity` is the word before the first dot ("" when there is none). `op` is one of = != < <= > >= LIKE ILIKE IN
    NOT IN IS NULL IS NOT NULL; `value` a text, a number, a tuple of these, or None. `at` is its place in the text."""

    entity: str
    key: str
    op: str
    value: Any
    at: int


def comparisons(text: str) -> list[Comparison]:
    """The comparisons in a filter; none for an empty one. Invalid, with the place, for anything else."""
    if len(text) > LONGEST:
        raise Invalid(f"A filter of {len(text):,} characters is too long.", f"At most {LONGEST:,} are read.")
    return list(_read(text))


def _read(text: str) -> Iterator[Comparison]:
    at = _skip(text, 0)
    while at < len(text):
        found, at = _comparison(text, at)
        yield found
        at = _skip(text, at)
        if at == len(text):
            return
        joined = _AND.match(text, at)
        if joined is None:
            raise _wrong(text, at, "AND")
        at = _skip(text, joined.end())
        if at == len(text):
            raise _wrong(text, at, "a comparison")


def _comparison(text: str, start: int) -> tuple[Comparison, int]:
    left = _LEFT.match(text, start)
    if left is None:
        raise _wrong(text, start, "a name")
    at = _skip(text, left.end())
    operator = _OPERATOR.match(text, at)
    if operator is None:
        raise _wrong(text, at, "an operator")
    op = " ".join(operator[0].upper().split()).replace("<>", "!=")
    entity, key = _named(left)
    at = _skip(text, operator.end())
    if op.startswith("IS "):
        return Comparison(entity, key, op, None, start), operator.end()
    value, at = _list(text, at) if op.endswith("IN") else _value(text, at)
    return Comparison(entity, key, op, value, start), at


def _named(left: re.Match[str]) -> tuple[str, str]:
    """Entity and key; a bare key may hold dots itself (`tags.a.b`)."""
    entity, *quoted, bare = left.groups()
    key = next(one for one in (*quoted, bare, "") if one is not None)
    if entity is None and bare is not None and "." in bare:
        entity, _, key = bare.partition(".")
    return (entity or "").lower(), key


def _value(text: str, at: int) -> tuple[Any, int]:
    if found := _TEXT.match(text, at):
        single, double = found.groups()
        return (single.replace("''", "'") if double is None else double.replace('""', '"')), found.end()
    if found := _NUMBER.match(text, at):
        digits = found[0].lstrip("+-").isdecimal() and len(found[0]) <= 20
        return (int(found[0]) if digits else float(found[0])), found.end()
    raise _wrong(text, at, "a quoted text or a number")


def _list(text: str, at: int) -> tuple[tuple[Any, ...], int]:
    if text[at : at + 1] != "(":
        raise _wrong(text, at, "a list in parentheses")
    values = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != ")":
        value, at = _value(text, at)
        values.append(value)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != ")":
            raise _wrong(text, at, "a comma or a closing parenthesis")
    if not values:
        raise _wrong(text, at, "a value")
    return tuple(values), at + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _wrong(text: str, at: int, wanted: str) -> Invalid:
    rest = text[at : at + 40] or "the end"
    return Invalid(
        f"The filter has no {wanted.removeprefix('a ').removeprefix('an ')} at character {at + 1}: {rest!r}.", _HINT
    )


def holds(op: str, value: Any, wanted: Any) -> bool:
    """Whether a value that is there (or None) stands in that relation to what was asked for. What is missing only
    satisfies IS NULL."""
    if op in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (op == "IS NULL")
    if value is None:
        return False
    relation = _RELATIONS.get(op)
    try:
        return bool(relation(value, wanted)) if relation else False
    except TypeError:
        return False


def like(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches a pattern with % for any characters and _ for one, in time linear in the text."""
    parts = [
        (re.compile("".join("." if one == "_" else re.escape(one) for one in part), re.S), len(part))
        for part in pattern.split("%")
    ]

    def matches(text: str) -> bool:
        (first, _), (last, size) = parts[0], parts[-1]
        if len(parts) == 1:
            return first.fullmatch(text) is not None
        found = first.match(text)
        for middle, _ in parts[1:-1]:
            found = middle.search(text, found.end()) if found else None
        return found is not None and found.end() <= len(text) - size and last.match(text, len(text) - size) is not None

    return matches


_like = lru_cache(256)(like)
_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
    "IN": lambda value, wanted: value in wanted,
    "NOT IN": lambda value, wanted: value not in wanted,
    "LIKE": lambda value, wanted: _like(wanted)(value),
    "ILIKE": lambda value, wanted: _like(wanted.lower())(value.lower()),
}


def ordering(text: str, keys: Callable[[str], str]) -> tuple[str, bool]:
    """(key, ascending) for `name`, `name ASC` or `name DESC`; `keys` names the key that a word stands for, or raises
    Invalid."""
    words = text.split()
    direction = words[-1].upper() if len(words) > 1 else "ASC"
    if not words or len(words) > 2 or direction not in ("ASC", "DESC"):
        raise Invalid(f"{text[:100]!r} is no ordering.", "Write a name, then ASC or DESC.")
    return keys(words[0].strip('`"')), direction == "ASC"
