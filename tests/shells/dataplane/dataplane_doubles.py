"""A real installation whose registry is replaced by versions that a test describes in a file."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopline.app.wiring import open_home
from loopline.core.errors import NotFound, Refused
from loopline.core.tables import Column, Signature

SIGNATURE = Signature(
    (
        Column("dep_hour", "float"),
        Column("distance", "integer"),
        Column("temp", "float", True),
        Column("carrier", "string", True),
        Column("holiday", "boolean"),
    ),
    Column("late", "float"),
)
ROW = {"dep_hour": 7.5, "distance": 1400, "temp": None, "carrier": "UA", "holiday": False}


@dataclass(frozen=True)
class Version:
    model: str
    version: int
    digest: str
    signature: Signature
    format: str = "double"
    servable: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)


class Double:
    """Answers `base` plus the row's dep_hour; some kinds misbehave."""

    def __init__(self, kind: str, base: float, home: Path) -> None:
        self.kind, self.base, self.home = kind, base, home
        self.seen = 0
        if kind == "explains":
            self.explain = self._explain

    def _explain(self, columns: Any) -> Any:
        import numpy as np

        hour = columns["dep_hour"]
        parts = np.zeros((len(hour), len(columns)))
        parts[:, 0] = hour
        return parts, np.full(len(hour), self.base)

    def predict(self, columns: Any) -> Any:
        hour = columns["dep_hour"]
        if self.kind == "dies" and (hour == 666.0).any():
            os._exit(9)
        if self.kind == "dies once" and (hour == 666.0).any() and not (self.home / "died").exists():
            (self.home / "died").touch()
            os._exit(9)
        if self.kind == "slow":
            time.sleep(0.2)
        if self.kind == "picky" and (hour < 0).any():
            raise ValueError("negative hours")
        if self.kind == "sours":  # well at first, as when it was warmed
            self.seen += len(hour)
            if self.seen > 60:
                raise ValueError("gone sour")
        if self.kind == "nan":
            return hour * float("nan")
        return self.base + hour


class Versions:
    """Versions 1, 2, … of any model, as `versions.json` describes them: [[kind, base], …]."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def _described(self, number: int) -> Any:
        described = json.loads((self._home / "versions.json").read_text())
        if not 0 < number <= len(described):
            raise NotFound(f"There is no version {number}.")
        return described[number - 1]

    def version(self, name: str, number: int) -> Version:
        kind, _ = self._described(number)
        return Version(name, number, f"{number:064d}", SIGNATURE, servable=kind != "pickle")

    def find(self, reference: str) -> Version:
        name, _, alias = reference.partition("@")
        found = self.alias(name, alias)
        if found is None:
            raise NotFound(f"There is no alias {alias!r}.")
        return self.version(name, found)

    def alias(self, name: str, alias: str) -> int | None:
        path = self._home / f"{alias}.alias"
        return int(path.read_text()) if path.exists() else None

    def load(self, name: str, version: int, engine: str = "") -> Double:
        kind, base = self._described(version)
        if kind == "broken":
            raise Refused("The file is damaged.", "Register it again.")
        return Double(kind, base, self._home)

    def engine(self, name: str, version: int) -> None:
        return None

    def compilable(self, name: str, version: int) -> bool:
        return False

    def lock_of(self, name: str, version: int) -> None:
        return None

    def evaluation(self, name: str, version: int) -> Any:
        raise NotFound("There are no held-out rows.")


def open_double(home: Path) -> Any:
    """An open installation with doubles in place of the registry."""
    opened = open_home(home)
    opened._built["registry"] = Versions(home)
    return opened
