"""Models that are code: a Python class, or a program. Only descriptions; what they name runs in a model's process alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature

Files = Mapping[str, str | Path] | Iterable[str | Path]
LOCK = "requirements.lock"
"""The file of a model that says in which environment it runs."""
SECRET = ("LOOPLINE_TOKEN",)
"""Variables that no code of a model gets to see."""
TAKES = ("pandas", "polars", "arrow", "rows", "columns")
DOORS = ("socket", "port")


class PythonModel:
    """A class of yours as a model: `load(self, folder)`, if it has one, gets the folder of `files`; `predict(self, rows)`
    answers one value a row.

    `model` is the class, or "file.py:Class". Its file is kept with every module of the same folder that it imports.
    `files` (paths, folders, or name → path) are kept beside. `takes` says what `predict` gets: a "pandas", "polars" or
    "arrow" table, "rows" (a list of dicts) or "columns" (name → array); by default its annotation says it, else pandas.
    `lock` is the requirements.lock of the environment that it runs in.
    """

    def __init__(
        self, model: type | str, *, files: Files = (), takes: str = "", lock: str | Path | None = None
    ) -> None:
        if takes and takes not in TAKES:
            raise Invalid(f"A model cannot take {takes[:40]!r}.", f"Say one of {', '.join(TAKES)}.")
        self.model = model
        self.files = named_files(files)
        self.lock = locked(lock)
        self.takes = takes

    def __repr__(self) -> str:
        name = self.model if isinstance(self.model, str) else self.model.__qualname__
        return f"PythonModel({name})"


class CommandModel:
    """A program as a model: it answers the Open Inference Protocol (REST, version 2) on a unix socket or a port.

    `command` are its words; a first word that is one of `files` is taken from there. `door` says where it listens:
    "socket" (the path in LOOPLINE_SOCKET) or "port" (of 127.0.0.1, in LOOPLINE_PORT). It may take `ready_s` seconds until
    /v2/health/ready answers 200. `model` is its own name for the model, as in /v2/models/NAME/infer. `lock` is the
    requirements.lock of the environment whose interpreter the word "python" means.
    """

    def __init__(
        self,
        command: Iterable[str],
        *,
        files: Files = (),
        door: str = "socket",
        ready_s: float = 30.0,
        model: str = "model",
        lock: str | Path | None = None,
    ) -> None:
        self.command = (command,) if isinstance(command, str) else tuple(command)
        if not self.command or not all(word and "\0" not in word for word in self.command):
            raise Invalid("A command is a list of words.", 'Write it as ["Rscript", "serve.R"].')
        if door not in DOORS:
            raise Invalid(f"A program cannot listen on {door[:40]!r}.", f"Say one of {', '.join(DOORS)}.")
        if not 0 < ready_s <= 3600:
            raise Invalid(f"A program cannot take {ready_s:g} seconds to be ready.", "Say more than 0, at most 3600.")
        self.files = named_files(files)
        self.lock = locked(lock)
        self.door = door
        self.ready_s = float(ready_s)
        self.model = model

    def __repr__(self) -> str:
        return f"CommandModel({' '.join(self.command)})"


class TransformersModel:
    """A text classifier of Hugging Face in a folder: config.json, tokenizer.json and weights as safetensors.

    `text` names the input. It gives the label that is most likely, or with `label` the probability of that one.
    """

    def __init__(
        self, folder: str | Path, *, text: str = "text", label: str = "", lock: str | Path | None = None
    ) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise Invalid(f"There is no folder {folder}.", "Name the one that `save_pretrained` wrote.")
        self.text = text
        self.label = label
        self.lock = locked(lock)
        output = Column("probability", "float") if label else Column("label", "string")
        self.signature = Signature((Column(text, "string"),), output)

    def __repr__(self) -> str:
        return f"TransformersModel({self.folder.name})"


def locked(lock: str | Path | None) -> dict[str, Path]:
    """The lock as a file of the model."""
    return {} if lock is None else {LOCK: named_files([lock])[Path(lock).name]}


def named_files(files: Any) -> dict[str, Path]:
    """Name → path of every file; folders with all that lies in them. Invalid for what is not there."""
    given = files.items() if isinstance(files, Mapping) else [(Path(one).name, one) for one in files]
    found: dict[str, Path] = {}
    for name, one in given:
        path = Path(one).resolve()
        if path.is_dir():
            found |= {f"{name}/{part.relative_to(path).as_posix()}": part for part in _inside(path)}
        elif path.is_file():
            found[str(name)] = path
        else:
            raise Invalid(f"There is no file {one}.", "Name files that belong to the model.")
    return found


def _inside(folder: Path) -> list[Path]:
    parts = sorted(part for part in folder.rglob("*") if part.is_file())
    return [part for part in parts if not any(name[0] in "._" for name in part.relative_to(folder).parts[:-1])]
