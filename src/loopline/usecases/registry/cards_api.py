"""The registry's verbs about cards, consumers, differences and the list of models."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.registry.card_model import SECTIONS, Card, Consumer, Revision
from loopline.usecases.registry.differing import Catalog, Differences


class CardOf(msgspec.Struct):
    """`revision` 0: the newest texts with the facts of now."""

    model: str
    version: int
    revision: int = 0


class Write(msgspec.Struct):
    """Sections that change; those left out stay. `base` is the revision that the writer saw (refused when it is old)."""

    model: str
    version: int
    intended_use: str | None = None
    limits: str | None = None
    ethical_considerations: str | None = None
    owner: str | None = None
    contact: str | None = None
    base: int | None = None


class UsersOf(msgspec.Struct):
    """`version` 0: of the model, whichever version."""

    model: str
    version: int = 0


class Several(msgspec.Struct):
    """`versions` as "3,4"."""

    model: str
    versions: str


class Some(msgspec.Struct):
    """Words of `text` are looked for in names, descriptions, tags, aliases and owners. `sort`: name, newest, versions, owner,
    created."""

    text: str = ""
    tag: str = ""
    sort: str = "name"
    order: str = "asc"
    first: int = 0
    count: int = 50


class Text(msgspec.Struct):
    """A card as Markdown."""

    text: str


def card(registry: Any, request: CardOf, caller: Caller) -> Card:
    found: Card = registry.card(request.model, request.version, request.revision)
    return found


def card_text(registry: Any, request: CardOf, caller: Caller) -> Text:
    return Text(registry.card_text(request.model, request.version, request.revision))


def write_card(registry: Any, request: Write, caller: Caller) -> Revision:
    texts = {name: text for name in SECTIONS if (text := getattr(request, name)) is not None}
    written: Revision = registry.write_card(request.model, request.version, texts, caller.name, request.base)
    return written


def consumers(registry: Any, request: UsersOf, caller: Caller) -> list[Consumer]:
    return list(registry.consumers(request.model, request.version))


def beside(registry: Any, request: Several, caller: Caller) -> Differences:
    parts = [one.strip() for one in request.versions.split(",") if one.strip()]
    if not all(one.isascii() and one.isdecimal() and len(one) <= 9 for one in parts):
        raise Invalid(f"{request.versions[:80]!r} names no versions.", "Write their numbers with commas: 3,4.")
    found: Differences = registry.beside(request.model, [int(one) for one in parts])
    return found


def catalog(registry: Any, request: Some, caller: Caller) -> Catalog:
    found: Catalog = registry.catalog(**msgspec.structs.asdict(request))
    return found


_VERSION = "/models/{model}/versions/{version}"
CARD_VERBS = (
    Verb("registry.card", "GET", _VERSION + "/card", Role.VIEWER, CardOf, card, "Show a version's card"),
    Verb(
        "registry.card_text", "GET", _VERSION + "/card/markdown", Role.VIEWER, CardOf, card_text, "A card as Markdown"
    ),
    Verb("registry.write_card", "POST", _VERSION + "/card", Role.EDITOR, Write, write_card, "Write sections of a card"),
    Verb("registry.consumers", "GET", "/models/{model}/consumers", Role.VIEWER, UsersOf, consumers, "Who uses a model"),
    Verb("registry.beside", "GET", "/models/{model}/differences", Role.VIEWER, Several, beside, "How versions differ"),
    Verb("registry.catalog", "GET", "/model-catalog", Role.VIEWER, Some, catalog, "Look for models"),
)
