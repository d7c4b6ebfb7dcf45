"""What may come next in a filter, where a person writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.tracking import filters

MOST = 12
STATUSES = ("finished", "running", "failed", "killed", "scheduled")
_NUMERIC = (">", ">=", "<", "<=", "=", "!=", "IS NULL", "IS NOT NULL")
_TEXTUAL = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
_SHOWN = ("status", "name", "started_at", "ended_at", "experiment", "kind", "created_by", "user_id", "run_id")
_PIECE = re.compile(
    r"""\s*((?:[\w./:-]+|`[^`]*`)?(?<=\.)(?:`[^`]*`?|"(?:""|[^"])*"?)|'(?:''|\\'|[^'])*'?|"(?:""|\\"|[^"])*"?|`[^`]*`?
    |[\w./:-]+|[<>=!]+|[(),])""",
    re.VERBOSE,
)


class Known(Protocol):
    """What there is to suggest, the most likely first; `part` is what was typed of it."""

    def names(self, entity: str, part: str) -> Sequence[str]:
        """Names of metrics, params, tags."""

    def values(self, entity: str, key: str, part: str) -> Sequence[str]:
        """Values of a param, tag, attribute or dataset."""


class Suggestion(msgspec.Struct, frozen=True):
    """A text to put in, and what it is: metric, param, tag, attribute, dataset, sign, value or word."""

    text: str
    kind: str


class Suggestions(msgspec.Struct, frozen=True):
    """What may stand in place of the characters from `start` to `end` (counted from 0)."""

    start: int
    end: int
    choices: list[Suggestion]


class Standing(NamedTuple):
    """What is expected next, and behind which name."""

    expects: str = "name"
    entity: str = ""
    key: str = ""


def complete(text: str, cursor: int, known: Known) -> Suggestions:
    """What may come at the cursor (a number of characters); nothing where the filter is no longer understood."""
    before = text[: max(0, min(cursor, len(text)))]
    pieces = [(match.group(1), match.start(1)) for match in _PIECE.finditer(before)]
    part, start = "", len(before)
    if pieces and before and not before[-1].isspace() and is_open(pieces[-1][0]):
        part, start = pieces.pop()
    standing = Standing()
    for piece, _ in pieces:
        standing = moved(standing, piece)
    found = [*dict.fromkeys(choices(standing, part, known))][:MOST]
    return Suggestions(start, len(before), found)


def is_open(piece: str) -> bool:
    """Whether a piece at the cursor is still being written."""
    if piece[0] in "'\"":
        return len(piece) == 1 or piece[-1] != piece[0]
    return piece not in ("(", ")", ",") and not (piece[-1] in '`"' and len(piece) > 1 and piece.count(piece[-1]) > 1)


def moved(standing: Standing, piece: str) -> Standing:
    """Where the filter stands behind a piece."""
    word, expects = piece.lower(), standing.expects
    if expects == "name":
        try:
            return Standing("sign", *filters.of_name(plain(piece)))
        except Invalid:
            return Standing("nothing")
    if expects == "sign":
        after = {"is": "null", "not": "in", "in": "list"}.get(word, "value")
    else:
        ends = {"null": "null" if word == "not" else "and", "in": "list", "value": "and", "and": "name"}
        after = "comma" if expects == "list" and word != "(" else ends.get(expects, expects)
        after = {",": "list", ")": "and"}.get(word, after) if expects == "comma" else after
    return standing._replace(expects=after)


def plain(piece: str) -> str:
    """A name without its quotes."""
    return re.sub(r"[`\"]", "", piece)


def choices(standing: Standing, part: str, known: Known) -> Iterable[Suggestion]:
    """What may come next, as far as it goes on with `part`."""
    if standing.expects == "name":
        yield from names(plain(part), known)
    elif standing.expects == "sign":
        signs = _NUMERIC if filters.is_numeric(standing.entity, standing.key) else _TEXTUAL
        yield from (Suggestion(sign, "sign") for sign in signs if sign.lower().startswith(part.lower()))
    elif standing.expects in ("value", "list") and standing.entity != "metrics":
        typed = part[1:] if part[:1] in ("'", '"') else part
        found = STATUSES if standing.key == "status" else known.values(standing.entity, standing.key, typed)
        fitting = [value for value in found if typed.lower() in value.lower()]
        yield from (Suggestion(filters.quoted(value), "value") for value in by_beginning(fitting, typed))
    elif standing.expects in ("and", "null", "in", "comma"):
        words = {"and": ("AND",), "null": ("NULL", "NOT NULL"), "in": ("IN",), "comma": (",", ")")}[standing.expects]
        yield from (Suggestion(word, "word") for word in words if word.lower().startswith(part.lower()))


def names(typed: str, known: Known) -> Iterable[Suggestion]:
    """Names that go on with what was typed: `metrics.au`, or only `au`."""
    head, dot, tail = typed.partition(".")
    entity = filters.ENTITIES.get(head.lower(), "") if dot else ""
    if entity in ("metrics", "params", "tags"):
        yield from of_entity(entity, tail, known)
        return
    if entity == "datasets":
        yield from (Suggestion(f"dataset.{key}", "dataset") for key in filters.DATASETS if key.startswith(tail))
        return
    part = tail if entity == "attributes" else typed
    if not entity:
        for one in ("metrics", "params", "tags", "dataset"):
            if one.startswith(part.lower()):
                yield Suggestion(f"{one}.", one.removesuffix("s"))
    yield from (Suggestion(name, "attribute") for name in by_beginning(_SHOWN, part) if part.lower() in name)
    if not entity and part:
        for one in ("metrics", "params", "tags"):
            yield from of_entity(one, part, known)


def of_entity(entity: str, part: str, known: Known) -> Iterable[Suggestion]:
    """Metrics, params or tags, named as a filter names them."""
    found = by_beginning(known.names(entity, part), part)
    return (Suggestion(filters.as_name(entity, name), entity[:-1]) for name in found)


def by_beginning(names: Iterable[str], part: str) -> list[str]:
    """Those that begin with a text before those that only hold it."""
    return sorted(names, key=lambda name: not name.lower().startswith(part.lower()))
