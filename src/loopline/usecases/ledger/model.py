"""The chain: how a fact's digest follows from its content and from the fact before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from blake3 import blake3

from loopline.core.errors import Invalid
from loopline.core.facts import Fact

GENESIS = "0" * 64
TEXTS = ("previous", "at", "kind", "subject", "actor", "body", "digest")
encode = msgspec.json.Encoder(order="deterministic").encode


def digest_of(previous: str, seq: int, at: str, kind: str, subject: str, actor: str, body: str) -> str:
    """BLAKE3 over each piece with its length before it, so that pieces cannot be shifted into each other."""
    digest = blake3()
    for piece in (previous, str(seq), at, kind, subject, actor, body):
        content = piece.encode()
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def body_text(body: Mapping[str, Any]) -> str:
    """The one JSON text of a body: keys sorted, no spaces. Invalid for what JSON cannot carry."""
    try:
        return encode(body).decode()
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"A fact cannot be written with this content: {error}.", "Give plain JSON.") from None


def checked_text(*texts: str) -> None:
    """Invalid for text that could not be written as UTF-8."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Invalid(f"{text!a} holds half of a character.", "Write it as valid Unicode.") from None


class Kind(msgspec.Struct, frozen=True):
    """How often a kind of fact was written, and number and time of the newest."""

    kind: str
    count: int
    seq: int
    at: str


class Problem(msgspec.Struct, frozen=True):
    """What an audit found: where, and in one sentence what is wrong."""

    where: str
    what: str


class Audit(msgspec.Struct, frozen=True):
    """The outcome of `loopline audit verify`."""

    facts: int
    head: str
    problems: list[Problem]
    more: int = 0

    @property
    def sound(self) -> bool:
        return not self.problems


def chain_problems(rows: Iterable[Mapping[str, Any]]) -> Iterable[Problem]:
    """Walk rows in order of seq; yield what does not follow from the row before."""
    previous, expected = GENESIS, 1
    for row in rows:
        seq = row["seq"]
        if type(seq) is not int or not all(isinstance(row[name], str) for name in TEXTS):
            yield Problem(f"fact {expected}", "was changed: it holds what no fact can hold")
            return
        if seq != expected:
            yield Problem(f"fact {expected}", f"is missing: fact {seq} stands in its place")
        if row["previous"] != previous:
            yield Problem(f"fact {seq}", "does not follow from the fact before it")
        own = digest_of(row["previous"], seq, row["at"], row["kind"], row["subject"], row["actor"], row["body"])
        if own != row["digest"]:
            yield Problem(f"fact {seq}", "was changed after it was written")
        previous, expected = row["digest"], seq + 1


def fact_of(row: Mapping[str, Any]) -> Fact:
    """A stored row as a fact."""
    return Fact(**{**row, "body": msgspec.json.decode(row["body"])})
