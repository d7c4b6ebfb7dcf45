"""A project's folder: what it declares, its contracts, and its files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.usecases.projects.checking import checked
from loopline.usecases.projects.environments import folders_in
from loopline.usecases.projects.model import CONFIG_FILE, LARGEST_FILE, MOST_FILES, Declared

CODE = {
    ".py",
    ".yaml",
    ".yml",
    ".toml",
    ".lock",
    ".txt",
    ".md",
    ".json",
    ".sql",
    ".cfg",
    ".ini",
    ".j2",
    ".ipynb",
    ".r",
    ".R",
    ".sh",
    ".jl",
}
LEFT_OUT = {"__pycache__", "node_modules", "dist", "build", "venv", "site-packages"}
PATIENCE_S = 60.0


def found_folder(start: Path | None = None) -> Path:
    """The nearest folder upward that holds a loopline.yaml; NotFound when there is none, or no folder `start`."""
    folder = (start or Path.cwd()).absolute()
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Name the project's folder, or go there and name none.")
    for place in (folder, *folder.parents):
        if (place / CONFIG_FILE).is_file():
            return place
    raise NotFound(f"There is no {CONFIG_FILE} in {folder} or above it.", "Make a project with `loopline init NAME`.")


def config_of(folder: Path) -> dict[str, Any]:
    """What the folder's loopline.yaml says, checked."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise NotFound(f"There is no {CONFIG_FILE} in {folder}.", "Make a project with `loopline init NAME`.")
    try:
        return checked(path.read_text(encoding="utf-8"), folder)
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no UTF-8 text.", "Save it as UTF-8.") from None


def declared(folder: Path) -> Declared:
    """All that a folder declares. Its contracts are imported in a process of their own, never in this one."""
    folder = folder.absolute()
    config = config_of(folder)
    contracts = declared_contracts(folder, config)
    return Declared(config=config, contracts=contracts, files=dict(files_of(folder, config)), folder=str(folder))


def declared_contracts(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The contracts of all datasets that name one."""
    references = {name: entry["contract"] for name, entry in config.get("datasets", {}).items() if "contract" in entry}
    return contracts_of(folder, references) if references else {}


def files_of(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The project's own files by name, sorted: code and configuration; no data, no secrets, nothing hidden."""
    data = {Path(os.path.normpath(folder / place)) for _, place in folders_in(config)}
    secret = secret_files(folder, config)
    count = 0
    for path in _walked(folder, data):
        if secret and os.path.realpath(path) in secret:
            continue
        if path.suffix in CODE and small_enough(path):
            count += 1
            if count > MOST_FILES:
                raise Invalid(f"{folder} holds more than {MOST_FILES} files.", "Keep data out of the project's folder.")
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def small_enough(path: Path) -> bool:
    """Whether a file is kept with the code; Invalid for Python code that is too large: it would silently be missing."""
    size = path.stat().st_size
    if size > LARGEST_FILE and path.suffix == ".py":
        raise Invalid(
            f"{path} has {size:,} bytes; {LARGEST_FILE:,} are the most that a file of code may have.",
            "Keep what it holds as data, or take it out of the project's folder.",
        )
    return size <= LARGEST_FILE


def secret_files(folder: Path, config: dict[str, Any]) -> set[str]:
    """Where the files lie that the environments read secrets from, links followed: nobody keeps a copy of them."""
    return {
        os.path.realpath(folder / secret["file"])
        for entry in config.get("environments", {}).values()
        for secret in ((entry or {}).get("secrets") or {}).values()
        if "file" in secret
    }


def _walked(folder: Path, left_out: set[Path]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in LEFT_OUT and path not in left_out and not entry.name.endswith(".egg-info"):
                yield from _walked(path, left_out)
        elif entry.is_file():
            yield path


def contracts_of(folder: Path, references: dict[str, str], python: str = "") -> dict[str, dict[str, Any]]:
    """The contracts that `references` (dataset → file.py:name) name, as data; read by the interpreter `python` ("": this
    one)."""
    command = [
        python or sys.executable,
        "-P",
        "-m",
        "loopline.usecases.projects.contracts",
        str(folder),
        *sorted(set(references.values())),
    ]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise Invalid("Reading the contracts took more than a minute.", "Keep contract.py to declarations.") from None
    try:
        answer = msgspec.json.decode(done.stdout.rpartition(b"\n")[2])
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise Invalid(f"The contracts cannot be read: {last[0][:300]}.", "Mend the contract's file.") from None
    if "error" in answer:
        raise Invalid(answer["error"], answer["hint"])
    return {name: answer["contracts"][reference] for name, reference in references.items()}
