"""Other use-cases as automation sees them, small and in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import Conflict, NotFound, Refused
from loopline.core.facts import Fact
from loopline.testing.factories import installation
from loopline.testing.fakes import FixedClock
from loopline.usecases.automation.execution import Execution
from loopline.usecases.automation.service import Automation
from loopline.usecases.projects.starting import starting


@dataclass
class Projects:
    """What was applied; `apply` changes it and tells the ledger."""

    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: tuple[str, ...] = ("prod",)
    folder: str = "/nowhere"

    def projects(self) -> list[Any]:
        return [
            SimpleNamespace(name=name, config=config, code_digest="c" * 64, folder=self.folder)
            for name, config in self.configs.items()
        ]

    def environment(self, project: str, name: str = "") -> Any:
        return SimpleNamespace(name=name or "".join(self.environments[:1]))

    def starting(self) -> Any:
        return starting(self.configs)


class Releases:
    """One release stands in each environment; a run registers version after version, and says so in the ledger as the
    registry would."""

    def __init__(self, loopline: Loopline) -> None:
        self.loopline = loopline
        self.runs: list[dict[str, Any]] = []
        self.tags: dict[str, Mapping[str, str]] = {}
        self.nothing_stands = False
        self.breaks: Exception | None = None
        self.status = "finished"

    def standing(self, project: str, pipeline: str, environment: str) -> Any:
        digest = f"{project}-{pipeline}-{environment}".ljust(64, "0")
        return None if self.nothing_stands or not environment else SimpleNamespace(digest=digest)

    def run(self, ref: str, **more: Any) -> Any:
        more.pop("tell", None)
        self.runs.append({"ref": ref, **more})
        version = len(self.runs)
        self.tags[f"run{version}"] = more.get("tags", {})
        body = {"model": "late", "version": version, "run_id": f"run{version}"}
        tell(self.loopline, "model.version_registered", f"late/{version}", more["actor"], **body)
        if self.breaks:
            raise self.breaks
        return SimpleNamespace(
            run_id=f"run{version}", status=self.status, error="no rows", model="late", version=version
        )

    def get(self, run_id: str) -> Any:
        """As tracking answers."""
        if run_id not in self.tags:
            raise NotFound("no such run")
        return SimpleNamespace(tags=self.tags[run_id])


@dataclass
class Promotion:
    verdict: str = "passed"
    missing: str = ""
    refuses: str = ""
    conflicts: int = 0
    gates: list[tuple[Any, ...]] = field(default_factory=list)
    alias: dict[str, int] = field(default_factory=dict)

    def gate(self, model: str, version: int, alias: str, actor: str) -> Any:
        self.gates.append((model, version, alias, actor))
        return SimpleNamespace(id=f"gate{version}", verdict=SimpleNamespace(value=self.verdict))

    def standing(self, model: str, version: int, alias: str) -> Any:
        judged = any(gate[:3] == (model, version, alias) for gate in self.gates)
        gate = SimpleNamespace(id=f"gate{version}", verdict=SimpleNamespace(value=self.verdict)) if judged else None
        missing = self.missing or ("" if self.verdict == "passed" else "its gate failed")
        return SimpleNamespace(gate=gate, missing=missing, promoted=self.alias.get(alias) == version)

    def promote(self, model: str, version: int, alias: str, actor: str) -> Any:
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("The alias moved since the gate.")
        if self.refuses:
            raise Refused(self.refuses)
        self.alias[alias] = version


def tell(loopline: Loopline, kind: str, subject: str, actor: str = "ada", /, **body: Any) -> Fact:
    """Write a fact as another use-case would."""
    fact: Fact = loopline.database.write(lambda tx: loopline.ledger.append(tx, kind, subject, actor, body))
    return fact


class World:
    """An installation whose other use-cases are fakes."""

    def __init__(self, loopline: Loopline) -> None:
        self.loopline = loopline
        self.clock = FixedClock("2026-01-01T00:00:00Z")
        self.projects = Projects()
        self.releases = Releases(loopline)
        self.seconds = 0.0
        self.promotion = Promotion()
        self.said: list[str] = []
        self.automation = self.another()

    def another(self) -> Automation:
        """The same automation as another process would open it."""
        world = self
        return Automation(
            self.loopline.database, self.clock, self.loopline.ledger, self.projects, lambda: world.seconds
        )

    def apply(self, project: str = "flights", **config: Any) -> None:
        self.projects.configs[project] = config
        self.tell("project.applied", f"project:{project}", project=project)

    def tell(self, kind: str, subject: str, actor: str = "ada", /, **body: Any) -> Fact:
        return tell(self.loopline, kind, subject, actor, **body)

    def alert(self, name: str = "a1", window: str | None = "2013-06-24T00:00:00Z", **body: Any) -> Fact:
        given = {"alert": name, "endpoint": "late", "cause": "performance", "last_window": window}
        return self.tell("alert.opened", "endpoint:late", "monitor", **{**given, **body})

    def execution(self) -> Execution:
        return Execution(
            self.automation, self.projects, lambda: self.releases, self.promotion, self.releases,
            self.said.append,
        )  # fmt: skip

    def execute(self) -> bool:
        """Execute the next firing."""
        firing = self.automation.next_requested()
        return firing is not None and self.execution().execute(firing.id)

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.loopline.ledger.since(0)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with installation(tmp_path) as loopline:
        yield World(loopline)


@pytest.fixture
def make_world() -> Any:
    """Makes the world of an installation, for tests that need several."""
    return World
