"""Fields of a foreign protocol's message: read by name, with the type that they must have."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid

Fields = Mapping[str, Any]
_HINT = "See the protocol's documentation for its parameters."


def text(fields: Fields, *names: str, default: str | None = None) -> str:
    """The text under the first of `names` that is there. Invalid when none is (unless there is a default), or when it
    is no text."""
    for name in names:
        value = given(fields, name)
        if value is not None:
            return checked_text(name, value)
    if default is not None:
        return default
    raise missing(names[0])


def given(fields: Fields, name: str) -> Any:
    """What was sent under a name, or under the same name in camelCase; None when nothing was."""
    value = fields.get(name)
    if value is None and "_" in name:
        head, *rest = name.split("_")
        value = fields.get(head + "".join(word.capitalize() for word in rest))
    return value


def required(fields: Fields, *names: str) -> str:
    """`text` that may not be empty either."""
    found = text(fields, *names)
    if not found.strip():
        raise missing(names[0])
    return found


def checked_text(name: str, value: Any) -> str:
    """`value` when it is a text that can be kept; Invalid otherwise."""
    if isinstance(value, str) and is_unicode(value):
        return value
    raise wrong(name, value)


def is_unicode(value: str) -> bool:
    """Whether a text can be written as UTF-8 and holds no NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def whole(fields: Fields, name: str, default: int | None = None, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number, which may come as text. Invalid for anything else, or outside of the range."""
    value = given(fields, name)
    if value is None or value == "":
        if default is None:
            raise missing(name)
        return default
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(name, value)
    if not least <= value <= most:
        raise Invalid(f"Invalid value {value} for parameter {name!r}: it must be from {least} to {most}.", _HINT)
    return value


def flag(fields: Fields, name: str, default: bool = False) -> bool:
    """A truth value, which may come as the words true and false."""
    value = given(fields, name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise wrong(name, value)


def listed(fields: Fields, name: str) -> list[Any]:
    """A list; a single text of a query is a list of one."""
    value = given(fields, name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise wrong(name, value)


def texts(fields: Fields, name: str) -> list[str]:
    """A list of texts."""
    return [checked_text(name, one) for one in listed(fields, name)]


def pairs(fields: Fields, name: str) -> dict[str, str]:
    """A list of {key, value} as a dictionary, the last of a key counting."""
    found: dict[str, str] = {}
    for one in listed(fields, name):
        if not isinstance(one, dict):
            raise wrong(name, one)
        found[text(one, "key")] = text(one, "value", default="")
    return found


def missing(name: str) -> Invalid:
    """What a required parameter without a value is answered with."""
    return Invalid(f"Missing value for required parameter {name!r}.", _HINT)


def wrong(name: str, value: Any) -> Invalid:
    """What a value of a wrong type is answered with."""
    return Invalid(f"Invalid value {shown(value)} for parameter {name!r} supplied.", _HINT)


def shown(value: Any) -> str:
    """A value as it may stand in a message."""
    return repr(value)[:100].encode("utf-8", "backslashreplace").decode()


def token_of(offset: int, *query: Any) -> str:
    """The opaque name of the page that begins at `offset` of the answer to a query."""
    content = msgspec.json.encode([offset, fingerprint(query)])
    return base64.urlsafe_b64encode(content).decode()


def offset_of(token: str, *query: Any) -> int:
    """Where the page begins that `token_of` named; 0 without a token. Invalid for garbage or another query's token."""
    if not token:
        return 0
    try:
        offset, of = msgspec.json.decode(base64.b64decode(token, b"-_", validate=True), type=tuple[int, int])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Invalid(
            f"Invalid page token {shown(token)}.", "Give what the page before called next_page_token."
        ) from None
    if of != fingerprint(query) or not 0 <= offset < 2**53:
        raise Invalid("The page token belongs to another query.", "Ask for the first page again.")
    return offset


def fingerprint(query: Any) -> int:
    """A number that differs for different queries, most likely."""
    return binascii.crc32(msgspec.json.encode(query))
