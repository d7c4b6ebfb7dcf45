"""Files and folders: their bytes by digest, and named copies for whoever asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from loopline.core.errors import Invalid


def files_in(folder: Path, where: str) -> Iterator[tuple[str, Path | None]]:
    """Names, sorted, with their files; an empty folder's name ends with a slash and has none. Links are followed where
    they lead to files. Invalid for anything else, and for a link that leads nowhere."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            yield name, path
        elif not path.is_dir() or path.is_symlink():
            raise Invalid(f"{where} holds {name!r}, which is no file.", "Leave files and folders in it only.")
        elif not any(path.iterdir()):
            yield name + "/", None


def write_out(files: Mapping[str, str], places: Mapping[str, str], folder: Path, *, link: bool = False) -> Path:
    """Put files (name → digest) into a folder as copies, or as links for readers who change nothing.

    Invalid for a name that would lie outside: a result may come from another installation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in files.items():
        target = folder / checked(name)
        if name.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if link:
            target.unlink(missing_ok=True)
            target.symlink_to(places[digest])
        else:
            shutil.copyfile(places[digest], target)
    return folder


def checked(name: str) -> str:
    """The name, when it stays inside its folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\x00" in name:
        raise Invalid(f"{name!r} cannot be the name of a kept file.", "Clear the result, and run the step again.")
    return name
