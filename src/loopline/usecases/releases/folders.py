"""The sealed files as a folder: written whole or not at all, and compared with their digests before every use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from loopline.core.errors import Unavailable
from loopline.kit.durable import make_folder, write_file
from loopline.usecases.releases.model import SealedFile, canonical, sha256

Read = Callable[[SealedFile], bytes]


def source_digest(files: Mapping[str, SealedFile]) -> str:
    """The digest of files by name and content: releases with the same files share a folder."""
    return sha256(canonical({name: file.sha256 for name, file in files.items()}))


def laid_out(files: Mapping[str, SealedFile], place: Path, read: Read) -> Path:
    """The folder under `place` that holds exactly these files; `read` answers a file's bytes, checked.

    What was changed there is written anew, what does not belong there is taken away: code that was never sealed is
    never imported. Raises Unavailable when the disk refuses.
    """
    folder = place / source_digest(files)
    try:
        if folder.is_dir():
            mended(folder, files, read)
        else:
            made(folder, files, read)
    except OSError as error:
        raise Unavailable(
            f"The release's files cannot be laid out in {folder} ({error.strerror}).", "Free disk space."
        ) from None
    return folder


def made(folder: Path, files: Mapping[str, SealedFile], read: Read) -> None:
    """Write a new folder beside and move it into place; another process that was quicker made the same."""
    make_folder(folder.parent, 0o700)
    scratch = Path(tempfile.mkdtemp(prefix=".release-", dir=folder.parent))
    try:
        for name, file in files.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_bytes(read(file))  # compared before every use, so nothing waits for the disk here
        try:
            os.rename(scratch, folder)
        except OSError:
            if not folder.is_dir():
                raise
            mended(folder, files, read)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def mended(folder: Path, files: Mapping[str, SealedFile], read: Read) -> None:
    """Make the folder what it must be, file by file."""
    for path in strangers(folder, files):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name, file in files.items():
        path = folder / name
        if not path.is_file() or sha256(path.read_bytes()) != file.sha256:
            make_folder(path.parent)
            write_file(path, read(file))


def strangers(folder: Path, files: Mapping[str, SealedFile]) -> list[Path]:
    """What lies in the folder and was not sealed: files, links, folders of byte code."""
    wanted = {folder / name for name in files}
    above = {parent for path in wanted for parent in path.parents}
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            path = Path(entry.path)
            if entry.is_symlink() or (path not in wanted and path not in above) or (entry.is_dir() and path in wanted):
                found.append(path)
            elif entry.is_dir():
                waiting.append(path)
    return found
