"""A project's files by digest: kept as blobs under one manifest, and written out again."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from loopline.core.errors import Invalid
from loopline.kit.durable import make_folder, write_file
from loopline.ports.blobs import Blobs

_NAME = re.compile(r"[^/.\\\x00][^/\\\x00]*(/[^/.\\\x00][^/\\\x00]*){0,20}\Z")
WHOLE = ".whole"


class Manifest(msgspec.Struct, frozen=True):
    """The digest of each file by name."""

    files: dict[str, str]


def manifest(files: Mapping[str, bytes]) -> Manifest:
    """The files by digest, as `keep` would store them. Invalid for a name that could leave its folder."""
    from blake3 import blake3

    for name in files:
        if (
            not _NAME.match(name)
            or len(name.encode()) > 1000
            or any(len(part.encode()) > 255 for part in name.split("/"))
        ):
            raise Invalid(f"{name!r} cannot be the name of a project's file.", "Use plain relative names.")
    return Manifest({name: blake3(content).hexdigest() for name, content in sorted(files.items())})


def digest(of: Manifest) -> str:
    """The digest that names all files of a manifest."""
    from blake3 import blake3

    return blake3(_encoded(of)).hexdigest()


def keep(blobs: Blobs, files: Mapping[str, bytes]) -> Manifest:
    """Store the files and their manifest, under its digest. Invalid for a name that could leave its folder."""
    made = manifest(files)
    for content in files.values():
        blobs.put(content)
    blobs.put(_encoded(made))
    return made


def _encoded(of: Manifest) -> bytes:
    return msgspec.json.encode(of, order="sorted")


def listed(blobs: Blobs, digest: str) -> dict[str, str]:
    """Name → digest of the files."""
    return msgspec.json.decode(blobs.get(digest), type=Manifest).files


def write(blobs: Blobs, digest: str, folder: Path) -> Path:
    """Write the files into `folder`, which appears whole or not at all; one that is there already is left alone."""
    if not (folder / WHOLE).is_file():
        import shutil
        import tempfile

        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".code-", dir=folder.parent))
        for name, content in listed(blobs, digest).items():
            target = scratch / name
            make_folder(target.parent)
            write_file(target, blobs.get(content))
        write_file(scratch / WHOLE, digest.encode())
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            os.rename(scratch, folder)
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)  # another process was quicker; its folder is the same
    return folder
