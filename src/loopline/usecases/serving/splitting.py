"""Who gets which arm: places on a ring of a million, given to arms so that a changed share moves nobody needlessly."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from loopline.core.errors import Invalid
from loopline.core.tables import Signature
from loopline.usecases.serving.traffic import LIVE, SHADOW, Arm

PLACES = 1_000_000
BY = re.compile(r"request|key|caller|header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Spans = list[tuple[int, int]]


def placed(value: bytes, salt: str) -> int:
    """The place of a value, from 0 to 999,999: uniform, the same for ever under one salt, and not to be guessed without
    it (BLAKE2b keyed with the salt, RFC 7693)."""
    digest = hashlib.blake2b(value, key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest) * PLACES >> 64


def laid(arms: Sequence[Arm], shares: Mapping[str, float]) -> tuple[Arm, ...]:
    """The arms with these shares, and places that fit them.

    An arm that shrinks gives up its last places; one that grows takes what others gave up first and what nobody has
    then. So exactly as many values change their arm as must. Invalid when the shares add up to more than all.
    """
    if sum(shares.values()) > 1 + 1e-9:
        raise Invalid(f"The arms' shares add up to {sum(shares.values()):.1%}.", "Leave some for the others.")
    width = {arm.name: round(shares[arm.name] * PLACES) for arm in arms}
    kept = {arm.name: _first(arm.spans, width[arm.name]) for arm in arms}
    given_up = _without([span for arm in arms for span in arm.spans], kept.values())
    free = given_up + _without(_without([(0, PLACES)], kept.values()), [given_up])
    for arm in arms:
        missing = width[arm.name] - _size(kept[arm.name])
        taken = _first(free, missing)
        free = _without(free, [taken])
        kept[arm.name] = _joined([*kept[arm.name], *taken])
    return tuple(
        Arm(name=arm.name, revision=arm.revision, share=shares[arm.name], spans=tuple(kept[arm.name])) for arm in arms
    )


def checked_share(share: float, what: str) -> float:
    """`share` when it is between 0 and 1, else Invalid."""
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise Invalid(f"The share of {what} cannot be {share:.6g}.", "Write it as 10% or 0.1, from 0 to 1.")
    return share


def checked_by(by: str, key: str | None) -> str:
    """`by` when requests can be told apart by it, else Invalid."""
    if not BY.fullmatch(by):
        raise Invalid(f"Requests cannot be shared out by {by[:80]!r}.", "Use request, key, caller or header:NAME.")
    if by == "key" and key is None:
        raise Invalid("Requests cannot be shared out by key: the endpoint has none.", "Put the endpoint with a key.")
    return by.lower() if by.startswith("header:") else by


def checked_name(name: str) -> str:
    """The name of an arm, else Invalid."""
    if not NAME.fullmatch(name) or name in (LIVE, SHADOW):
        raise Invalid(f"{name[:80]!r} cannot be the name of an arm.", 'Use letters, digits, "._-"; not live or shadow.')
    return name


def misfit(live: Signature, other: Signature) -> str:
    """Why rows for `live` cannot be given to a model of signature `other`; empty when they can. It may take fewer inputs,
    in any order, but none of another type, none more, and no null where it takes none."""
    known = {column.name: column for column in live.inputs}
    for column in other.inputs:
        given = known.get(column.name)
        if given is None:
            return f"it takes the input {column.name!r}, which what is live does not take"
        if given.type != column.type:
            return f"its input {column.name!r} is {column.type}, that of what is live {given.type}"
        if given.nullable and not column.nullable:
            return f"its input {column.name!r} may not be null"
    return ""


def _size(spans: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans)


def _first(spans: Iterable[tuple[int, int]], size: int) -> Spans:
    """The first `size` places of some spans."""
    found: Spans = []
    for start, end in spans:
        if size <= 0:
            break
        found.append((start, min(end, start + size)))
        size -= end - start
    return found


def _without(spans: Spans, taken: Iterable[Iterable[tuple[int, int]]]) -> Spans:
    """What is left of spans when others are taken out, in the order in which they were."""
    left = list(spans)
    for low, high in sorted(span for part in taken for span in part):
        left = [
            (start, end)
            for first, last in left
            for start, end in ((first, min(last, low)), (max(first, high), last))
            if start < end
        ]
    return left


def _joined(spans: Spans) -> Spans:
    found: Spans = []
    for start, end in sorted(spans):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
