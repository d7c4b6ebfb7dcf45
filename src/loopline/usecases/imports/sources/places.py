"""Where artifacts lie on this machine: never outside the folders that were named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loopline.usecases.imports.model import File, Report

DEEPEST = 64


class Places:
    """The folders that artifacts may be read from."""

    def __init__(self, roots: list[Path]) -> None:
        self._roots = [root.resolve() for root in roots]

    def folder(self, uri: str, tail: str) -> Path | None:
        """The folder that an artifact address means; when it has moved, the one with the same `tail` below a root."""
        for root in self._roots:
            for place in self._guesses(root, uri, tail):
                if place.is_dir() and within(root, place):
                    return place
        return None

    def why_not(self, uri: str) -> str:
        """Why an address leads nowhere."""
        scheme = urlsplit(uri).scheme
        if len(scheme) > 1 and scheme not in ("file", "mlflow-artifacts"):
            return f"{scheme}: locations cannot be reached from here; import from the server that can"
        if not self._roots:
            return "the folder of the artifacts was not named (--artifacts)"
        return "outside the folder of the artifacts (--artifacts)"

    def _guesses(self, root: Path, uri: str, tail: str) -> Iterator[Path]:
        scheme = urlsplit(uri).scheme
        if scheme == "mlflow-artifacts":
            yield root / unquote(urlsplit(uri).path).lstrip("/")
        elif scheme in ("", "file") and uri:
            yield Path(unquote(urlsplit(uri).path) if scheme else uri)
        elif len(scheme) > 1:
            return
        yield root / tail

    def files(self, folder: Path, owner: str, report: Report, kind: str = "artifact") -> Iterator[File]:
        """All files below a folder, by name; what leads out of the roots is noted and left out."""
        root = next((root for root in self._roots if within(root, folder)), None)
        if root is None:
            return
        for relative, path in walked(folder, "", 0):
            if not within(root, path):
                report.lose(kind, f"{owner}/{relative}", "a link that leads out of the folder of the artifacts")
            elif path.is_file():
                yield File(relative, path)


def walked(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    """Files and links below a folder with their names in it; links to folders are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if depth < DEEPEST:
                yield from walked(Path(entry.path), f"{name}/", depth + 1)
        else:
            yield name, Path(entry.path)


def within(root: Path, place: Path) -> bool:
    """Whether a place, with all links followed, lies in a folder."""
    try:
        return place.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False
