"""The small language in which runs are searched and ordered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from loopline.core.errors import Invalid

ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attributes"),
}
ATTRIBUTES = {
    "run_id": "id",
    "id": "id",
    "run_name": "name",
    "name": "name",
    "status": "status",
    "kind": "kind",
    "user_id": "created_by",
    "created_by": "created_by",
    "start_time": "started_at",
    "started_at": "started_at",
    "created": "started_at",
    "end_time": "ended_at",
    "ended_at": "ended_at",
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<tick>`[^`]*`)
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))|(?P<word>[\w./-]+)|(?P<sign><=|>=|!=|=|<|>|\(|\)|,))""",
    re.VERBOSE,
)
_ORDER = re.compile(r"\s*(?P<name>.*?)(?:\s+(?P<way>asc|desc))?\s*\Z", re.IGNORECASE)


class Comparison(NamedTuple):
    """`entity.key sign value`; `sign` is = != < <= > >= like ilike in, not in, is null or is not null."""

    entity: str
    key: str
    sign: str
    value: str | float | tuple[str, ...] | None


class Order(NamedTuple):
    """One criterion of an order."""

    entity: str
    key: str
    descending: bool


class Token(NamedTuple):
    """A piece of a filter with its place in the text, counted from 1."""

    kind: str
    text: str
    place: int


def parsed(where: str) -> list[Comparison]:
    """The comparisons of a filter, all of which must hold; Invalid with the place of a mistake."""
    tokens = tokenized(where)
    found: list[Comparison] = []
    while tokens:
        if found:
            joiner = tokens.pop(0)
            if joiner.text.lower() != "and":
                raise mistake(where, joiner, "AND")
        found.append(comparison(where, tokens))
    return found


def comparison(where: str, tokens: list[Token]) -> Comparison:
    """The next comparison, taken off the tokens."""
    entity, key = named(where, tokens)
    sign = next_one(where, tokens, "a sign like = or >")
    word = sign.text.lower()
    if word == "is":
        return Comparison(entity, key, null_sign(where, tokens), None)
    if word == "not" and tokens and tokens[0].text.lower() == "in":
        tokens.pop(0)
        word = "not in"
    if word in ("in", "not in"):
        return Comparison(entity, key, word, listed(where, tokens))
    if word not in ("=", "!=", "<", "<=", ">", ">=", "like", "ilike"):
        raise mistake(where, sign, "a sign like = or >")
    return Comparison(entity, key, word, value(where, tokens, entity, word))


def named(where: str, tokens: list[Token]) -> tuple[str, str]:
    """Entity and key of a name like `metrics.auc`, `tags."my tag"` or `status`."""
    token = next_one(where, tokens, "a name like metrics.auc")
    text = token.text
    if text.endswith(".") and tokens and tokens[0].kind in ("text", "tick"):
        text += unquoted(tokens.pop(0))
    try:
        return of_name(text if token.kind == "word" else unquoted(token))
    except Invalid:
        raise mistake(where, token, "a name like metrics.auc, params.x, tags.x or status") from None


def of_name(text: str) -> tuple[str, str]:
    """Entity and key of a plain name."""
    head, dot, key = text.partition(".")
    entity = ENTITIES.get(head.lower(), "") if dot else "attributes"
    key = key.strip("`\"'") if dot else head
    if not entity or not key or (entity == "attributes" and key not in ATTRIBUTES):
        raise Invalid(f"{text!r} is nothing by which runs can be searched or ordered.", "Use metrics.NAME or status.")
    return entity, ATTRIBUTES[key] if entity == "attributes" else key


def value(where: str, tokens: list[Token], entity: str, sign: str) -> str | float:
    """What stands on the right: a number for metrics, a quoted text for the others."""
    token = next_one(where, tokens, "a value")
    if entity == "metrics":
        if token.kind != "number" or sign in ("like", "ilike"):
            raise mistake(where, token, "a number (metrics are compared with numbers)")
        return float(token.text)
    if token.kind != "text":
        raise mistake(where, token, "a text in quotes")
    if entity != "attributes" and sign in ("<", "<=", ">", ">="):
        raise mistake(where, token, f"=, != or LIKE before it ({entity} are texts)")
    return unquoted(token)


def listed(where: str, tokens: list[Token]) -> tuple[str, ...]:
    """A list in parentheses."""
    opening = next_one(where, tokens, "(")
    if opening.text != "(":
        raise mistake(where, opening, "(")
    found = []
    while True:
        token = next_one(where, tokens, "a text in quotes")
        if token.kind != "text":
            raise mistake(where, token, "a text in quotes")
        found.append(unquoted(token))
        after = next_one(where, tokens, ", or )")
        if after.text == ")":
            return tuple(found)
        if after.text != ",":
            raise mistake(where, after, ", or )")


def null_sign(where: str, tokens: list[Token]) -> str:
    """`is null` or `is not null`."""
    token = next_one(where, tokens, "NULL or NOT NULL")
    negated = token.text.lower() == "not"
    if negated:
        token = next_one(where, tokens, "NULL")
    if token.text.lower() != "null":
        raise mistake(where, token, "NULL")
    return "is not null" if negated else "is null"


def ordered(order_by: Sequence[str]) -> list[Order]:
    """The criteria of an order; Invalid for one that names nothing or comes twice."""
    found: list[Order] = []
    for text in order_by:
        match = _ORDER.match(text)
        entity, key = of_name(match["name"] if match else text)
        if any((one.entity, one.key) == (entity, key) for one in found):
            raise Invalid(f"{text!r} comes twice in the order.", "Name each criterion once.")
        found.append(Order(entity, key, bool(match and match["way"] and match["way"].lower() == "desc")))
    return found


def tokenized(where: str) -> list[Token]:
    """The pieces of a filter."""
    found, place = [], 0
    text = where.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            rest = text[place:].lstrip()
            raise mistake(where, Token("", rest[:20], len(text) - len(rest) + 1), "a name, a sign or a value")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        place = match.end()
    return found


def next_one(where: str, tokens: list[Token], expected: str) -> Token:
    """The next piece; Invalid at the end."""
    if not tokens:
        raise Invalid(f"The filter {where!r} ends too early.", f"Expected {expected}.")
    return tokens.pop(0)


def unquoted(token: Token) -> str:
    """The text inside quotes."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind in ("text", "tick") else token.text


def mistake(where: str, token: Token, expected: str) -> Invalid:
    """The refusal of a filter."""
    return Invalid(
        f"In the filter, {token.text!r} at character {token.place} is not understood.", f"Expected {expected}."
    )
