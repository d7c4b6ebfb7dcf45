"""A small project, locked to what is installed here without asking a network, and an installation to seal it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import NotFound
from loopline.kit.installed import installed
from loopline.testing.factories import installation
from loopline.usecases.pipelines.model import Code, Data, Node, Options, Piece, Plan, Ref
from loopline.usecases.releases import examining, locking
from loopline.usecases.releases.locking import Pin
from loopline.usecases.releases.model import Case, Outcomes, sha256
from loopline.usecases.releases.service import Releases

PYPROJECT = """[project]
name = "parcels"
version = "1.0.0"
dependencies = ["loopline", "pyarrow>=17"]
"""
CONFIG = """project: parcels
owner: ada
datasets:
  weights:
    folder: {data}
    contract: contract.py:weights
pipelines:
  totals: {{}}
environments:
  dev: {{}}
  prod:
    approvals: {approvals}
"""
CONTRACT = """from loopline import Contract, column

weights = Contract(columns=[column("grams", "integer", minimum=0)])
"""
PIPELINE = """import pyarrow as pa

from loopline import Dataset, pipeline, step
from scale import heavier


@step
def load(table: Dataset) -> pa.Table:
    return table


@step
def total(table: pa.Table, factor: int = 2) -> dict[str, int]:
    return {"grams": sum(heavier(value, factor) for value in table["grams"].to_pylist())}


@pipeline
def totals(weights: Dataset = "weights", factor: int = 2):
    return total(load(weights), factor)
"""
SCALE = """def heavier(grams: int, factor: int) -> int:
    return grams * factor
"""
TESTS = """from scale import heavier


def test_twice():
    assert heavier(3, 2) == 6


def test_nothing():
    assert heavier(0, 5) == 0
"""
HASH = "sha256:" + "0" * 64


def lock_here(folder: Path, **other: str) -> None:
    """A lock that says what is installed here; `other` gives another version of something."""
    declared = locking.declared_in(folder)
    names = {name: version for name, version in installed().items() if name in LOCKED} | other
    pins = [Pin(name.replace("_", "-"), version, (HASH,)) for name, version in names.items()]
    (folder / "requirements.lock").write_bytes(locking.written(declared, pins))


LOCKED = {"pyarrow", "numpy", "pytest", "msgspec", "blake3"}


def make_project(folder: Path, data: Path, approvals: int = 0) -> Path:
    """The files of a project, locked."""
    (folder / "tests").mkdir(parents=True)
    data.mkdir(exist_ok=True)
    (data / "monday.csv").write_text("grams\n100\n250\n")
    (folder / "loopline.yaml").write_text(CONFIG.format(data=data, approvals=approvals))
    files = {"pyproject.toml": PYPROJECT, "contract.py": CONTRACT, "pipeline.py": PIPELINE, "scale.py": SCALE}
    for name, text in {**files, "tests/test_scale.py": TESTS}.items():
        (folder / name).write_text(text)
    lock_here(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "parcels", tmp_path / "data")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as made:
        yield made


@pytest.fixture
def sealed(home: Loopline, project: Path) -> Callable[..., Any]:
    """Seal the project as it is now."""

    def seal(**options: Any) -> Any:
        return home.releases.seal(project, "totals", actor="ada", **options)

    return seal


@dataclass
class Folders:
    """Projects that read plain folders without running anything; `declared` are the environments."""

    declared: dict[str, dict[str, Any]] = field(default_factory=lambda: {"dev": {}, "prod": {}})
    config: dict[str, Any] = field(default_factory=dict)

    def sources(self, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
        config = {"project": "parcels", "pipelines": {"totals": {}}, "datasets": {"weights": {"folder": "data"}}}
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
        return config, {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def contracts(self, folder: Path, config: Any, python: str = "") -> dict[str, Any]:
        return {"weights": {"columns": [{"name": "grams", "type": "integer"}]}}

    def project(self, name: str) -> Any:
        return SimpleNamespace(config=self.config)

    def environments(self, project: str) -> list[dict[str, Any]]:
        return [{"name": name, **asked} for name, asked in self.declared.items()]

    def environment(self, project: str, name: str = "", live: bool = True) -> Any:
        datasets = self.declared.get(name, {}).get("datasets", {})
        return SimpleNamespace(
            name=name, datasets=datasets, variables={"SECRET": "s3cret"}, params_of=lambda pipeline: {"factor": 3}
        )


@dataclass
class Plans:
    """Pipelines that answer one plan and note what they are asked to run. The closure is a digest of pipeline.py."""

    imports: dict[str, str] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)
    externals: tuple[Any, ...] = ()
    runs: list[dict[str, Any]] = field(default_factory=list)
    traced: int = 0

    def plan(self, folder: Any, name: str, params: Any = None, **options: Any) -> Plan:
        self.traced += 1
        digest = sha256((Path(folder) / options["file"]).read_bytes())
        piece = Piece("function", "total", "pipeline.py", digest)
        node = Node(
            "total", "total", "pipeline:total", digest, {"weights": Data("weights")}, Options(externals=self.externals)
        )
        codes = {digest: Code(digest, (piece,), self.imports, "3.11")}
        return Plan("totals", (node,), Ref(0), False, "", {}, codes, self.outside)

    def run(self, folder: Any, name: str, params: Any = None, **options: Any) -> Any:
        files = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        self.runs.append({"folder": Path(folder), "name": name, "params": params, "files": files, **options})
        return SimpleNamespace(status="finished", release=options["release"])


@dataclass
class Shelves:
    """Datasets with one snapshot each; `said` is what a contract says of it."""

    said: str = ""
    taken: list[str] = field(default_factory=list)
    asked: int = 0

    def latest(self, name: str) -> Any:
        if name == "nothing":
            raise NotFound("The dataset 'nothing' has no snapshot yet.", "Take one: `loopline snapshot nothing`.")
        return SimpleNamespace(digest=sha256((name + self.said).encode()))

    def snapshot(self, name: str, actor: str, variables: Any = None) -> Any:
        self.taken.append(name)

    def keeps(self, digest: str, contract: Any) -> Any:
        self.asked += 1
        return SimpleNamespace(ok=not self.said, rows=2, text=lambda: self.said or "4 rules hold on 2 rows")


class Bench(SimpleNamespace):
    """Releases with everything else held in hand, on a real database; tests pass without being run."""

    releases: Releases
    projects: Folders
    pipelines: Plans
    datasets: Shelves
    folder: Path

    def seal(self, **options: Any) -> Any:
        return self.releases.seal(self.folder, "totals", actor="ada", **options)


@pytest.fixture
def bench(home: Loopline, project: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(projects=Folders(), pipelines=Plans(), datasets=Shelves(), folder=project, home=home, outcome="passed")

    def examined(files: Any, python: str, scratch: Path, at: str, examination: Any = None) -> Outcomes:
        case = Case("tests/test_scale.py::test_twice", made.outcome, 0.1)
        return examining.judged(examining.Said(0, (case,)), "", 0.1, at)

    monkeypatch.setattr(examining, "examined", examined)
    engines = {name: home.get(name) for name in ("database", "ledger", "blobs", "clock", "signer")}
    needs = {"projects": made.projects, "datasets": made.datasets, "pipelines": made.pipelines}
    made.releases = Releases(home=home.home, **engines, **needs)
    return made
