"""Where runs come from: a server, a folder, a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loopline.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from loopline.usecases.imports.model import Source


def opened(text: str, artifacts: Path | None = None, work: Path | None = None) -> Source:
    """The source that `text` names: http(s)://…, a folder, a SQLite file, sqlite:///… or postgresql://….

    `artifacts` is the folder that holds what a server kept under `mlflow-artifacts:`; `work` takes what is fetched.
    Raises NotFound when there is none, Invalid when it is of no kind that can be read.
    """
    scheme = urlsplit(text).scheme.partition("+")[0].lower()
    if scheme in ("http", "https"):
        from loopline.usecases.imports.sources.server import Server

        return Server(text, work)
    if scheme in ("postgresql", "postgres"):
        from loopline.usecases.imports.sources.database import PostgreSQL, Store

        return Store(PostgreSQL(text), roots(artifacts, None))
    if len(scheme) > 1 and scheme not in ("sqlite", "file"):
        raise Invalid(f"{text!r} is no source.", "Name a server (http://…), an mlruns folder, or a database.")
    return on_disk(Path(path_in(text, scheme)), artifacts)


def on_disk(place: Path, artifacts: Path | None) -> Source:
    """The folder or SQLite file at a path."""
    if place.is_dir():
        from loopline.usecases.imports.sources.folder import Folder

        return Folder(place, roots(artifacts, place))
    if not place.is_file():
        raise NotFound(f"There is nothing at {place}.", "Name an mlruns folder or a database file that exists.")
    from loopline.usecases.imports.sources.database import SQLite, Store

    beside = [place.parent / name for name in ("mlruns", "mlartifacts")]
    return Store(SQLite(place), roots(artifacts, *beside))


def path_in(text: str, scheme: str) -> str:
    """The path that a sqlite: or file: address, or a plain path, means."""
    if scheme == "sqlite":
        return text.partition(":///")[2].partition("?")[0]
    if scheme == "file":
        from urllib.parse import unquote

        return unquote(urlsplit(text).path)
    return text


def roots(given: Path | None, *others: Path | None) -> list[Path]:
    """The folders that artifacts may lie in: the one given, else those beside the source that exist."""
    if given is not None:
        if not given.is_dir():
            raise NotFound(f"There is no folder {given}.", "Name with --artifacts the folder that holds the artifacts.")
        return [given]
    return [folder for folder in others if folder is not None and folder.is_dir()]
