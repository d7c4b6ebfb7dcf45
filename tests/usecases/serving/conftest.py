"""Serving on a real database, with a registry double."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import open_home
from loopline.core.errors import NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.profiling import Batches

SIGNATURE = Signature(
    (
        Column("dep_hour", "float"),
        Column("distance", "integer"),
        Column("delay", "float", True),
        Column("carrier", "string", True),
        Column("holiday", "boolean"),
    ),
    Column("late", "float"),
)


@dataclass(frozen=True)
class Version:
    model: str
    version: int
    digest: str = "d" * 64
    signature: Signature = SIGNATURE
    format: str = "double"
    servable: bool = True


class HourModel:
    def predict(self, columns: Any) -> Any:
        return columns["dep_hour"] + columns["distance"] / 1000


class Versions:
    """Versions 1 to 9 of any model; `aliases` is free to set; version 9 is never loaded."""

    def __init__(self) -> None:
        self.aliases: dict[str, int] = {}

    def version(self, name: str, number: int) -> Version:
        if not 0 < number < 10:
            raise NotFound(f"There is no version {number} of {name!r}.")
        return Version(name, number, servable=number < 9)

    def find(self, reference: str) -> Version:
        name, _, rest = reference.replace("@", "/").partition("/")
        if not rest.isdecimal() and rest not in self.aliases:
            raise NotFound(f"There is no alias {rest!r}.")
        return self.version(name, int(rest) if rest.isdecimal() else self.aliases[rest])

    def alias(self, name: str, alias: str) -> int | None:
        return self.aliases.get(alias)

    def load(self, name: str, version: int, engine: str = "") -> HourModel:
        return HourModel()

    def engine(self, name: str, version: int) -> None:
        return None

    def compilable(self, name: str, version: int) -> bool:
        return False

    def evaluation(self, name: str, version: int) -> Any:
        raise NotFound("There are no held-out rows.")

    def profiler(self, name: str, version: int) -> Any:
        return Batches(self.version(name, version).signature, None)

    def replayed(self, facts: Any) -> dict[str, Any]:
        return {}

    def current(self, tx: Any) -> dict[str, Any]:
        return {}


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Any]:
    opened = open_home(tmp_path / "home")
    opened._built["registry"] = Versions()
    with opened:
        yield opened


@pytest.fixture
def serving(loopline: Any) -> Any:
    return loopline.serving
