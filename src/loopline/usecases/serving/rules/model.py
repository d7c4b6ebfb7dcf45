"""What rules are: values only."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.core.tables import Column, ColumnType, Signature

RULES_PUT = "rules.put"
LARGEST = 256 << 10
TYPES = get_args(ColumnType)
_REFERENCE = re.compile(r"(?P<name>[^/@]+)/(?P<number>[0-9]{1,9})\Z")


class Declared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file of rules brings: which functions, the tests that passed, and what rows hold or predictions are where
    that differs from the model's signature."""

    before: bool
    after: bool
    tests: tuple[str, ...] = ()
    inputs: tuple[Column, ...] | None = None
    output: Column | None = None

    def signature(self, of_model: Signature) -> Signature:
        """The signature of an endpoint with these rules around a model."""
        return Signature(self.inputs or of_model.inputs, self.output or of_model.output)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of business rules; `reference` is NAME/NUMBER, `digest` that of the source's bytes (BLAKE3)."""

    reference: str
    name: str
    number: int
    digest: str
    declared: Declared
    put_at: str
    put_by: str
    source: str = ""


def parsed_reference(text: str) -> tuple[str, int]:
    """Name and number of NAME/NUMBER; Invalid for anything else."""
    found = _REFERENCE.match(text)
    if found is None:
        raise Invalid(f"{text[:80]!r} names no version of rules.", "Write NAME/NUMBER, as surge/3.")
    return checked_name("rules", found["name"]), int(found["number"])


def columns(said: Any, what: str) -> tuple[Column, ...]:
    """Columns from {name: type}, where a "?" behind the type lets a row leave it empty. Invalid for anything else."""
    if not isinstance(said, dict) or not said:
        raise Invalid(f"{what} in the rules is no map of names to types.", 'Write it as {"hour": "integer"}.')
    return tuple(column(name, kind, what) for name, kind in said.items())


def column(name: Any, kind: Any, what: str) -> Column:
    """One column."""
    base: Any = kind.removesuffix("?") if isinstance(kind, str) else kind
    if not isinstance(name, str) or not name or base not in TYPES:
        raise Invalid(f"{what} in the rules has {name!r:.60} of the type {kind!r:.40}.", f"Types: {', '.join(TYPES)}.")
    return Column(name, base, isinstance(kind, str) and kind.endswith("?"))
