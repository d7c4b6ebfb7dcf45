"""How a use-case presents itself to the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A use-case: `build` is called with the keyword arguments in `needs`.

    A need is the name of another use-case ("ledger", "registry") or of an engine ("database", "blobs", "clock",
    "home", "tables"); the service built is what others get when they need `name`.
    """

    name: str
    build: Callable[..., Any]
    needs: tuple[str, ...] = ()
