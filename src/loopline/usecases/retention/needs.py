"""What retention asks of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from loopline.core.belongings import Belongings
from loopline.core.facts import Fact
from loopline.ports.database import Transaction

Owners = Callable[[], Mapping[str, Belongings]]
"""Answers, by the name of the use-case, who knows what belongs to things."""
InUse = Callable[[], set[str]]
"""Answers the digests of all bytes that anything but a step's result refers to."""


class Ledger(Protocol):
    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...


class Project(Protocol):
    """A project as last applied; `config` is what its loopline.yaml says."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def applied_at(self) -> str: ...
    @property
    def applied_by(self) -> str: ...


class Projects(Protocol):
    def projects(self) -> Sequence[Project]: ...


class Cache(Protocol):
    """The step cache, and what runs leave behind: see `belongings` of pipelines."""

    def alone(self) -> AbstractContextManager[None]: ...
    def limits(self, max_age: str | None, max_size: str | None) -> dict[str, Any]: ...
    def clear(self, **asked: Any) -> Any: ...
    def recent(self, done: Any) -> int: ...
    def leftovers(self, referred: set[str], now: float, dry_run: bool) -> tuple[int, int]: ...
