"""Secrets: read from where the environment says when a run starts, and kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from loopline.core.errors import Unavailable
from loopline.kit.masking import MASK

LARGEST_SECRET = 65_536


class Variables(dict[str, str]):
    """Secrets by the name of the variable that a step finds them in. Printing it shows no value."""

    def __repr__(self) -> str:
        return f"Variables({', '.join(f'{name}={MASK}' for name in self)})"

    __str__ = __repr__


def variables(
    secrets: Mapping[str, Mapping[str, str]],
    folder: Path,
    environment: str,
    process: Mapping[str, str] | None = None,
) -> Variables:
    """The secrets' values: of variables of `process` (default: this one's), of files (a path from `folder`) without the
    line's end. Unavailable names those that cannot be had, with the reason and no value."""
    found, missing = Variables(), []
    for name, place in secrets.items():
        try:
            found[name] = _value(place, folder, os.environ if process is None else process)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            missing.append(f"{name} ({place_of(place)}: {reason})")
    if missing:
        count = "A secret" if len(missing) == 1 else f"{len(missing)} secrets"
        verb = "is" if len(missing) == 1 else "are"
        message = f"{count} of the environment {environment!r} {verb} missing: {'; '.join(missing)}."
        raise Unavailable(message, "Set the variable, or write the file, where the run starts; then try again.")
    return found


def place_of(place: Mapping[str, str]) -> str:
    """Where a secret is read, in words."""
    return f"variable {place['env']}" if place.get("env") else f"file {place.get('file')}"


def _value(place: Mapping[str, str], folder: Path, process: Mapping[str, str]) -> str:
    """The value at a place; OSError or ValueError (which says why, and holds nothing of the value) when there is
    none that a variable could hold."""
    if place.get("env"):
        if place["env"] not in process:
            raise ValueError("not set")
        value = process[place["env"]]
    else:
        with open(folder / place["file"], "rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        value = _text(content)
    if not value:
        raise ValueError("empty")
    return value


def _text(content: bytes) -> str:
    if len(content) > LARGEST_SECRET:
        raise ValueError("larger than 64 KB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("no UTF-8 text") from None
    if "\0" in text:
        raise ValueError("no text")
    return text.removesuffix("\n").removesuffix("\r")
