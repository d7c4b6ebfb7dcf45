"""From a project's folder to a manifest: what is read, what is found out about it, what is remembered of that."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from loopline import __version__
from loopline.core.errors import Invalid, NotFound
from loopline.ports.blobs import Blobs
from loopline.usecases.releases import examining, locking
from loopline.usecases.releases.locking import PYTHON, Lock
from loopline.usecases.releases.model import (
    LOCK_FILE,
    SCHEMA,
    Entry,
    Graph,
    LockPart,
    Manifest,
    Outcomes,
    SealedFile,
    canonical,
    sha256,
)

LARGEST_READ = 5_000_000
Progress = Callable[[str], None]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as it was read: nothing of it is looked at again, so that what is tested is what is sealed."""

    folder: Path
    pipeline: str
    config: dict[str, Any]
    files: dict[str, bytes]
    lock: Lock

    @property
    def project(self) -> str:
        return str(self.config["project"])

    @property
    def entry(self) -> Entry:
        """Where the pipeline is; NotFound when loopline.yaml does not declare it."""
        declared = self.config.get("pipelines") or {}
        if self.pipeline not in declared:
            there = ", ".join(sorted(declared)) or "none"
            raise NotFound(f"loopline.yaml declares no pipeline {self.pipeline!r}.", f"Declared are: {there}.")
        said = declared[self.pipeline] or {}
        return Entry(
            said.get("file", "pipeline.py"), said.get("function") or self.pipeline, said.get("registers") or ""
        )

    @property
    def sealed(self) -> dict[str, SealedFile]:
        """The files by their digests; blobs are named by BLAKE3."""
        return {
            name: SealedFile(sha256(content), blake3(content).hexdigest(), len(content))
            for name, content in sorted(self.files.items())
        }

    @property
    def content(self) -> str:
        """The digest of all that tests depend on: files, the lock among them, Loopline and Python."""
        files = {name: sha256(content) for name, content in self.files.items()}
        return sha256(canonical({"files": files, "loopline": __version__, "python": PYTHON}))


def drafted(folder: Path, pipeline: str, config: dict[str, Any], files: dict[str, bytes]) -> Draft:
    """A draft of what was read from a folder. NotFound without a lock, CheckFailed for a stale one or without tests."""
    if "pyproject.toml" not in files:
        raise NotFound(f"There is no pyproject.toml in {folder}.", "Write one with [project] and its dependencies.")
    lock = locking.checked(files.get(LOCK_FILE), locking.declared_by(files["pyproject.toml"]))
    draft = Draft(folder=folder, pipeline=pipeline, config=config, files=files, lock=lock)
    if draft.entry.file not in files:
        raise NotFound(f"There is no {draft.entry.file} in {folder}.", "Name the pipeline's file in loopline.yaml.")
    examining.refuse_without_tests(files)
    return draft


def with_files(draft: Draft, reads: tuple[str, ...]) -> Draft:
    """The draft with further files that steps read by themselves. NotFound for a missing one, Invalid for one that is
    too large or leads elsewhere."""
    missing = [name for name in reads if name not in draft.files]
    added = {name: content for path in missing for name, content in read(draft.folder, path)}
    return msgspec.structs.replace(draft, files={**draft.files, **added}) if added else draft


def read(folder: Path, name: str) -> list[tuple[str, bytes]]:
    """A file, or every file of a folder, with names as in the project."""
    place = folder / name
    inside = os.path.realpath(place).startswith(os.path.realpath(folder) + os.sep)
    if not place.exists() or not inside:
        raise NotFound(f"There is no {name} in {folder}, which a step reads.", "A release seals it with the code.")
    paths = sorted(path for path in place.rglob("*") if is_plain(path, folder)) if place.is_dir() else [place]
    if sum(path.stat().st_size for path in paths) > LARGEST_READ:
        raise Invalid(
            f"{name}, which a step reads, is too large to be sealed with the code.",
            "Make it a dataset, or name it by its whole path.",
        )
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]


def is_plain(path: Path, folder: Path) -> bool:
    """Whether a path is a file that is not hidden and no byte code."""
    names = path.relative_to(folder).parts
    return path.is_file() and not any(name.startswith(".") or name == "__pycache__" for name in names)


def keep(blobs: Blobs, files: Mapping[str, bytes]) -> None:
    """Keep the files as blobs; several are written side by side, as each waits for the disk."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(blobs.put, files.values()):
            pass


def manifest_of(draft: Draft, graph: Graph, contracts: Mapping[str, Any], tests: Outcomes) -> Manifest:
    """All of it together."""
    files = draft.sealed
    lock = files[LOCK_FILE]
    return Manifest(
        schema=SCHEMA,
        loopline=__version__,
        python=PYTHON,
        project=draft.project,
        pipeline=draft.pipeline,
        entry=draft.entry,
        graph=graph,
        config=part_of(draft.config, draft.pipeline, graph),
        contracts={name: contract for name, contract in sorted(contracts.items()) if name in graph.datasets},
        files=files,
        tests=tests.summary(),
        lock=LockPart(lock.sha256, lock.blob, draft.lock.versions),
    )


def part_of(config: Mapping[str, Any], pipeline: str, graph: Graph) -> dict[str, Any]:
    """What of loopline.yaml belongs to a pipeline: its entry, its datasets, what runs it, its gates, environments."""
    entry = config["pipelines"][pipeline] or {}
    model = entry.get("registers") or graph.registers or config["project"]
    starts = {
        section: {name: one for name, one in (config.get(section) or {}).items() if one.get("run") == pipeline}
        for section in ("policies", "schedules")
    }
    judged = {one.get("gate") for section in starts.values() for one in section.values()}
    gates = {
        name: gate
        for name, gate in (config.get("gates") or {}).items()
        if name in judged or (graph.returns_model and gate["model"] == model)
    }
    datasets = {name: one for name, one in (config.get("datasets") or {}).items() if name in graph.datasets}
    found: dict[str, Any] = {"pipelines": {pipeline: entry}, "datasets": datasets, "gates": gates, **starts}
    found["environments"] = config.get("environments") or {}
    found |= {name: config[name] for name in ("owner", "self_approval") if name in config}
    return {name: one for name, one in found.items() if one}
