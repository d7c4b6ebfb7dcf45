"""Which records are meant: comparisons joined by `and`, a small grammar that never reaches an SQL engine.

carrier = 'UA' and dep_hour >= 6 and arm in (canary, live) and key is not null
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import to_ms

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST, MOST = 4000, 50
HINT = "Write it as dep_hour >= 6 and carrier = 'UA'; in (a, b), is null and is not null are known too."
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,)|(?P<word>[^\s'"(),<>=!]+))"""
)
SIGNS = ("=", "!=", "<", "<=", ">", ">=")


class Condition(msgspec.Struct, frozen=True):
    """A comparison with a column. `sign`: one of SIGNS, "in", "null" or "some" (not null)."""

    column: str
    sign: str
    values: tuple[Any, ...] = ()


def parsed(text: str) -> tuple[Condition, ...]:
    """The conditions in a text. Invalid says what cannot be understood."""
    if len(text) > LONGEST:
        raise Invalid(f"A condition may have {LONGEST} characters.", HINT)
    tokens = _tokens(text)
    found: list[Condition] = []
    while tokens:
        if found and _word(tokens.pop(0)) != "and":
            raise Invalid("Conditions are joined by `and`.", HINT)
        found.append(_condition(tokens))
        if len(found) > MOST:
            raise Invalid(f"There may be {MOST} conditions.", HINT)
    return tuple(found)


def expression(conditions: Iterable[Condition], schema: pa.Schema) -> Any:
    """The conditions as an expression over a table with that schema: None for no condition, False where none of its
    rows can be meant (it lacks a column). Invalid for a value that the column cannot be compared with."""
    found: Any = None
    for condition in conditions:
        if condition.column not in schema.names:
            if condition.sign != "null":
                return False
            continue
        one = _compared(condition, schema.field(condition.column).type)
        found = one if found is None else found & one
    return found


def _compared(condition: Condition, kind: pa.DataType) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    field = pc.field(condition.column)
    if condition.sign == "null":
        return field.is_null()
    if condition.sign == "some":
        return field.is_valid()
    values = [_value(condition.column, value, kind) for value in condition.values]
    if condition.sign == "in":
        return field.isin(pa.array(values, kind if not pa.types.is_integer(kind) else pa.float64()))
    scalar = pa.scalar(values[0], pa.float64() if pa.types.is_integer(kind) else kind)
    by_sign = {"=": field == scalar, "!=": field != scalar, "<": field < scalar, "<=": field <= scalar,
               ">": field > scalar, ">=": field >= scalar}  # fmt: skip
    return by_sign[condition.sign]


def _value(column: str, value: Any, kind: pa.DataType) -> Any:
    """A value as the column has them."""
    import pyarrow as pa

    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_timestamp(kind):
        return value if isinstance(value, int) else to_ms(str(value))
    if pa.types.is_boolean(kind) and str(value).lower() in ("true", "false", "1", "0"):
        return str(value).lower() in ("true", "1")
    try:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return float(value)
    except ValueError:
        pass
    raise Invalid(f"The column {column!r} cannot be compared with {value!r}.", HINT)


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token."""
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise Invalid(f"The condition cannot be understood at {text[place : place + 40].strip()!r}.", HINT)
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


def _condition(tokens: list[tuple[str, str]]) -> Condition:
    column = _plain(_next(tokens))
    kind, sign = _next(tokens)
    if kind == "sign" and sign in (*SIGNS, "<>"):
        return Condition(column, "!=" if sign == "<>" else sign, (_plain(_next(tokens)),))
    if _word((kind, sign)) == "is":
        negated = bool(tokens) and _word(tokens[0]) == "not"
        if negated:
            tokens.pop(0)
        if _word(_next(tokens)) == "null":
            return Condition(column, "some" if negated else "null")
    if _word((kind, sign)) == "in":
        return Condition(column, "in", tuple(_several(tokens)))
    raise Invalid(f"{sign!r} is no comparison.", HINT)


def _several(tokens: list[tuple[str, str]]) -> Iterable[str]:
    if _next(tokens) != ("sign", "("):
        raise Invalid("After `in` comes a list in brackets.", HINT)
    while True:
        yield _plain(_next(tokens))
        after = _next(tokens)
        if after == ("sign", ")"):
            return
        if after != ("sign", ","):
            raise Invalid("The values of a list are separated by commas.", HINT)


def _next(tokens: list[tuple[str, str]]) -> tuple[str, str]:
    if not tokens:
        raise Invalid("The condition ends too early.", HINT)
    return tokens.pop(0)


def _plain(token: tuple[str, str]) -> str:
    """A column or value."""
    kind, text = token
    if kind == "sign":
        raise Invalid(f"There is {text!r} where a column or value should be.", HINT)
    return text[1:-1].replace(text[0] * 2, text[0]) if kind == "text" else text


def _word(token: tuple[str, str]) -> str:
    return token[1].lower() if token[0] == "word" else ""
