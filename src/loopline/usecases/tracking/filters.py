"""The small language in which runs are searched and ordered: all that MLflow's clients write, and a little more.

A filter is a chain of comparisons joined by AND: `metrics.auc > 0.7 and params.model = 'tree'`. What stands on the left
is a metric, param, tag, attribute or dataset; a name with spaces stands in backticks or quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from loopline.core.errors import Invalid, LooplineError
from loopline.core.times import from_ms, from_text, to_text

ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attributes"),
    **dict.fromkeys(("dataset", "datasets"), "datasets"),
}
ATTRIBUTES = {
    **dict.fromkeys(("run_id", "id"), "id"),
    **dict.fromkeys(("run_name", "name", "run name", "Run name", "Run Name"), "name"),
    "status": "status",
    "kind": "kind",
    "user_id": "user_id",
    "created_by": "created_by",
    "artifact_uri": "artifact_uri",
    "experiment": "experiment",
    "experiment_id": "experiment_id",
    **dict.fromkeys(("start_time", "started_at", "created", "Created"), "started_at"),
    **dict.fromkeys(("end_time", "ended_at"), "ended_at"),
}
DATASETS = ("name", "digest", "context")
TIMES = ("started_at", "ended_at")
NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
TEXTUAL = ("=", "!=", "like", "ilike", "in", "not in")
MOST_COMPARISONS = 100
MOST_LISTED = 10_000
LONGEST_PATTERN = 10_000
LONGEST_FILTER = 1_000_000
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*")|(?P<tick>`[^`]*`)
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))|(?P<word>[\w./:-]+)
    |(?P<sign><=|>=|!=|==|<>|=|<|>|\(|\)|,))""",
    re.VERBOSE,
)
_INFINITE = {"inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
_EARLIEST, _LATEST = -62_135_596_800_000, 253_402_300_799_999  # milliseconds of the years 1 and 9999


class Unreadable(Invalid):
    """A filter or order that is written wrongly: at `place` (characters from 1), `length` characters long."""

    def __init__(self, message: str, hint: str, place: int, length: int) -> None:
        super().__init__(message, hint)
        self.place = place
        self.length = length


class Comparison(NamedTuple):
    """`entity.key sign value`; `sign` is one of NUMERIC or TEXTUAL, is null, is not null, is nan or is not nan.

    The value of a time is text as runs keep it; that of a status is in small letters.
    """

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


class Pieces:
    """The tokens of a text, taken one after the other; `what` is the text's name in errors."""

    def __init__(self, text: str, what: str = "filter") -> None:
        if len(text) > LONGEST_FILTER:
            raise Invalid(f"A {what} of {len(text):,} characters is too long.", f"Write at most {LONGEST_FILTER:,}.")
        self.text = text
        self.what = what
        self.at = 0
        self.tokens = list(tokens(self))

    def left(self) -> bool:
        """Whether there is another piece."""
        return self.at < len(self.tokens)

    def word(self) -> str:
        """The next piece in small letters, left where it is; empty at the end."""
        return self.tokens[self.at].text.lower() if self.left() else ""

    def take(self, expected: str) -> Token:
        """The next piece; Unreadable at the end."""
        if not self.left():
            end = len(self.text.rstrip()) + 1
            message = f"The {self.what} {self.text[:200]!r} ends too early, at character {end}."
            raise Unreadable(message, f"Expected {expected}.", end, 1)
        self.at += 1
        return self.tokens[self.at - 1]

    def mistake(self, token: Token, expected: str) -> Unreadable:
        """The refusal of a piece."""
        message = f"In the {self.what}, {token.text[:80]!r} at character {token.place} is not understood."
        return Unreadable(message, f"Expected {expected}.", token.place, max(1, len(token.text)))


def tokens(pieces: Pieces) -> Sequence[Token]:
    """The pieces of a text."""
    found, place = [], 0
    text = pieces.text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            rest = text[place:].lstrip()
            token = Token("", rest[:20], len(text) - len(rest) + 1)
            raise pieces.mistake(token, "a closing quote" if rest[0] in "'\"`" else "a name, a sign or a value")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        place = match.end()
    return found


def parsed(where: str) -> list[Comparison]:
    """The comparisons of a filter, all of which must hold; Unreadable with the place of a mistake."""
    pieces = Pieces(where)
    found: list[Comparison] = []
    while pieces.left():
        if found:
            joiner = pieces.take("AND")
            if joiner.text.lower() != "and":
                raise pieces.mistake(joiner, "AND (comparisons are joined by AND; there is no OR)")
        found.append(comparison(pieces))
    if len(found) > MOST_COMPARISONS:
        raise Invalid(f"{len(found)} comparisons are too many.", f"A filter holds at most {MOST_COMPARISONS}.")
    return found


def comparison(pieces: Pieces) -> Comparison:
    """The next comparison."""
    entity, key = named(pieces)
    token = pieces.take(signs_of(entity, key))
    sign = token.text.lower()
    if sign == "is":
        return Comparison(entity, key, null_sign(pieces, token, entity), None)
    if sign == "not" and pieces.word() == "in":
        pieces.take("IN")
        sign = "not in"
    if sign not in (NUMERIC if is_numeric(entity, key) else TEXTUAL) or (key == "experiment_id" and "like" in sign):
        raise pieces.mistake(token, signs_of(entity, key))
    if sign in ("in", "not in"):
        return Comparison(entity, key, sign, tuple(cased(key, one, entity) for one in listed(pieces)))
    token = pieces.take("a number" if entity == "metrics" else "a value")
    if entity == "metrics":
        return Comparison(entity, key, sign, metric_value(pieces, token))
    if is_numeric(entity, key):
        return Comparison(entity, key, *moment(pieces, token, sign))
    if token.kind == "number" and key == "experiment_id":
        return Comparison(entity, key, sign, token.text)
    return Comparison(entity, key, sign, cased(key, text_value(pieces, token, entity, sign), entity))


def is_numeric(entity: str, key: str) -> bool:
    """Whether values are compared as numbers (times as numbers of milliseconds)."""
    return entity == "metrics" or (entity == "attributes" and key in TIMES)


def signs_of(entity: str, key: str) -> str:
    """The signs that may stand behind a name, in words."""
    if is_numeric(entity, key):
        return "=, !=, <, <=, > or >= (or IS NULL)"
    return f"=, !=, LIKE, ILIKE, IN or IS NULL ({entity if entity != 'attributes' else key} is compared as text)"


def named(pieces: Pieces) -> tuple[str, str]:
    """Entity and key of a name like `metrics.auc`, `tags."my tag"` or `status`."""
    expected = "a name like metrics.auc, params.x, tags.x or status"
    token = pieces.take(expected)
    text = unquoted(token) if token.kind in ("tick", "text") else token.text
    if token.kind not in ("word", "tick") and not token.text.startswith('"'):
        raise pieces.mistake(token, expected)
    if token.kind == "word" and text.endswith(".") and pieces.left() and pieces.word()[0] in "`\"'":
        text += unquoted(pieces.take(expected))
    try:
        return of_name(text)
    except Invalid:
        raise pieces.mistake(token, expected) from None


def of_name(text: str) -> tuple[str, str]:
    """Entity and key of a plain name."""
    head, dot, key = text.partition(".")
    entity = ENTITIES.get(head.lower(), "") if dot else "attributes"
    key = key if dot else head
    known = {"attributes": ATTRIBUTES, "datasets": DATASETS}.get(entity)
    if not entity or not key or (known is not None and key not in known):
        raise Invalid(
            f"{text[:80]!r} is nothing by which runs can be searched or ordered.", "Use metrics.NAME or status."
        )
    return entity, ATTRIBUTES[key] if entity == "attributes" else key


def metric_value(pieces: Pieces, token: Token) -> float:
    """A number, also an infinite one."""
    if token.kind == "number":
        return float(token.text)
    if token.kind == "word" and token.text.lower() in _INFINITE:
        return _INFINITE[token.text.lower()]
    raise pieces.mistake(token, "a number (metrics are compared with numbers; IS NAN finds those that are none)")


def text_value(pieces: Pieces, token: Token, entity: str, sign: str) -> str:
    """A text in quotes."""
    if token.kind != "text":
        raise pieces.mistake(token, "a text in quotes")
    found = unquoted(token)
    if sign in ("like", "ilike") and len(found) > LONGEST_PATTERN:
        raise pieces.mistake(token, f"a pattern of at most {LONGEST_PATTERN:,} characters")
    return found


def cased(key: str, text: str, entity: str) -> str:
    """A status may be written in any case."""
    return text.lower() if entity == "attributes" and key == "status" else text


def moment(pieces: Pieces, token: Token, sign: str) -> tuple[str, str]:
    """Sign and time as runs keep it, for milliseconds since 1970 or a time in quotes."""
    if token.kind == "text":
        try:
            return sign, to_text(from_text(unquoted(token)))
        except (LooplineError, OverflowError):
            raise pieces.mistake(token, "a time like '2013-04-01T12:00:00Z', or milliseconds since 1970") from None
    if token.kind != "number":
        raise pieces.mistake(token, "milliseconds since 1970, or a time in quotes like '2013-04-01'")
    number = float(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
    if not _EARLIEST <= number <= _LATEST:  # before or after every time, as text
        return sign, "" if number < 0 else "~"
    whole = math.ceil(number) if sign in ("<", ">=") else math.floor(number)
    return sign, from_ms(whole) if whole == number or sign not in ("=", "!=") else from_ms(whole) + "~"


def listed(pieces: Pieces) -> list[str]:
    """A list in parentheses; a comma may stand at its end."""
    opening = pieces.take("a list like ('a', 'b')")
    if opening.text != "(":
        raise pieces.mistake(opening, "a list like ('a', 'b')")
    found: list[str] = []
    while not (found and pieces.word() == ")"):
        token = pieces.take("a text in quotes")
        if token.kind != "text" or len(found) == MOST_LISTED:
            raise pieces.mistake(token, f"a text in quotes (at most {MOST_LISTED:,} of them)")
        found.append(unquoted(token))
        after = pieces.take(", or )")
        if after.text == ")":
            return found
        if after.text != ",":
            raise pieces.mistake(after, ", or )")
    pieces.take(")")
    return found


def null_sign(pieces: Pieces, sign: Token, entity: str) -> str:
    """`is null`, `is not null`; for metrics also `is nan`, `is not nan`."""
    words = ("null", "nan") if entity == "metrics" else () if entity == "datasets" else ("null",)
    if not words:
        raise pieces.mistake(sign, signs_of(entity, ""))
    expected = " or ".join(word.upper() for word in words)
    token = pieces.take(f"{expected} or NOT NULL")
    negated = token.text.lower() == "not"
    if negated:
        token = pieces.take(expected)
    if token.text.lower() not in words:
        raise pieces.mistake(token, expected)
    return f"is {'not ' if negated else ''}{token.text.lower()}"


def ordered(order_by: Sequence[str]) -> list[Order]:
    """The criteria of an order; Invalid for one that names nothing or comes twice."""
    found: list[Order] = []
    for text in order_by:
        pieces = Pieces(text, "order")
        entity, key = named(pieces)
        if entity == "datasets":
            raise Invalid(f"Runs cannot be ordered by {text[:80]!r}.", "They are ordered by metrics.NAME or status.")
        way = pieces.take("ASC or DESC") if pieces.left() else Token("word", "asc", 0)
        if way.text.lower() not in ("asc", "desc") or pieces.left():
            raise pieces.mistake(pieces.tokens[-1] if pieces.left() else way, "ASC or DESC, once, at the end")
        if any((one.entity, one.key) == (entity, key) for one in found):
            raise Invalid(f"{text[:80]!r} comes twice in the order.", "Name each criterion once.")
        found.append(Order(entity, key, way.text.lower() == "desc"))
    if len(found) > 20:
        raise Invalid(f"{len(found)} criteria are too many.", "An order has at most 20.")
    return found


def unquoted(token: Token) -> str:
    """The text inside quotes; a quote stands twice there, or behind a backslash."""
    if token.kind not in ("text", "tick"):
        return token.text
    quote, inside = token.text[0], token.text[1:-1]
    return inside if quote == "`" else inside.replace(quote * 2, quote).replace("\\" + quote, quote)


def quoted(text: str) -> str:
    """A text as the language writes it."""
    for quote in ("'", '"'):
        if quote not in text and not text.endswith("\\"):
            return f"{quote}{text}{quote}"
    quote = "'" if "\\'" not in text else '"'
    return quote + text.replace(quote, quote * 2) + quote


def as_name(entity: str, key: str) -> str:
    """A name as the language writes it: metrics.auc, tags.`my tag`, status."""
    if entity == "attributes":
        return key
    plain = re.fullmatch(r"[A-Za-z_][\w.]*", key)
    return f"{entity}.{key}" if plain else f'{entity}."{key}"' if "`" in key else f"{entity}.`{key}`"
