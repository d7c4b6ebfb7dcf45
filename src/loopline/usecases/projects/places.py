"""Folders that a project names: where they lie, and whether a link leads out of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.projects.environments import folders_in


def leaves(folder: Path, named: str) -> bool:
    """Whether `named`, a path from a project's folder, seems to lie in it and does not, because of a link. A whole
    path, and one that begins with .., say themselves where they lead."""
    if os.path.isabs(named):
        return False
    root = os.path.realpath(folder)
    seems = os.path.normpath(os.path.join(root, named))
    return _within(seems, root) and not _within(os.path.realpath(seems), root)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def checked_links(folder: Path, config: dict[str, Any]) -> None:
    """Invalid when a link leads data out of the project by now."""
    for path, place in folders_in(config):
        if leaves(folder, place):
            message = f"{'.'.join(map(str, path))}: {place!r} leads out of the project through a link."
            raise Invalid(message, "Write where it lies as a whole path.")
