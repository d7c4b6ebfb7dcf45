"""What a step reads by itself: one text per external that differs when its content may differ."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from blake3 import blake3

from loopline.core.errors import NotFound, Unavailable
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.model import External, File, Query, Url

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_GRAIN_NS = 20_000_000  # a file changed so lately may change again without a new time stamp
_known: dict[str, tuple[tuple[int, int, int, int], str]] = {}


def fingerprint(external: External, folder: Path) -> str:
    """The digest that stands for an external's content now; relative paths count from `folder`.

    Raises NotFound for what is not there, Unavailable for what cannot be reached or a variable that is not set, Refused
    for what may not be read, Invalid for an address or a query that cannot be. No message shows a password.
    """
    if isinstance(external, File):
        return of_path(folder / Path(external.path).expanduser(), external.path)
    if isinstance(external, Url):
        from loopline.usecases.pipelines.identity.addresses import of_url

        return of_url(external.url, folder)
    from loopline.usecases.pipelines.identity.queries import of_query

    return of_query(external.url, external.query, folder)


def title(external: External) -> str:
    """An external as people know it, without password, variables or the query part of an address."""
    if isinstance(external, File):
        return f"file {external.path}"
    if isinstance(external, Query):
        return f"query on {bare(external.url)}"
    return f"url {bare(external.url)}"


def of_path(path: Path, said: str) -> str:
    """The digest of a file's content, or of the names and contents of all files in a folder (hidden ones left out)."""
    try:
        if path.is_dir():
            found = sorted(walked(os.fspath(path)))
            return digest("folder", *(field for name, place in found for field in (name, of_file(place))))
        return digest("file", of_file(os.fspath(path)))
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {said!r}, which a step uses.", "Make it, or correct uses=[File(…)] of the step."
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The file {said!r}, which a step uses, cannot be read: {error.strerror}.", "Give the right to read it."
        ) from None


def walked(root: str) -> Iterator[tuple[str, str]]:
    """Relative name and path of each file; links to folders are followed, each folder is walked once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield f"{place}/{name}"[len(root) + 1 :], f"{place}/{name}"


def refuse(error: OSError) -> None:
    """Let a folder that cannot be read be an error; left out in silence it would make two contents look alike."""
    raise error


def of_file(path: str) -> str:
    """The digest of a file's bytes, read again only when its times, size or inode changed."""
    for _ in range(3):
        stamp = stamp_of(path)
        known = _known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        found = content_of(path)
        if stamp_of(path) == stamp:
            if time.time_ns() - max(stamp[0], stamp[1]) > _GRAIN_NS:
                _known[path] = (stamp, found)
            return found
    raise Unavailable(f"The file {path!r}, which a step uses, changes while it is read.", "Run again when it is whole.")


def content_of(path: str) -> str:
    """BLAKE3 of a file's bytes; a large one is mapped and hashed by several threads."""
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return hasher.hexdigest()


def stamp_of(path: str) -> tuple[int, int, int, int]:
    """Times of change, size and inode."""
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def filled(text: str, what: str) -> str:
    """The text with each ${NAME} taken from the environment; Unavailable for one that is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise Unavailable(f"The variable {match[1]} of {what} is not set.", f"Set {match[1]}.")
        return os.environ[match[1]]

    return _VARIABLE.sub(value, text)


def bare(url: str) -> str:
    """An address as messages show it: without user, password, query and fragment."""
    return _PASSWORD.sub("", url).partition("?")[0].partition("#")[0]


def hidden(text: str, written: str, whole: str) -> str:
    """What an engine said, in one line without the address's secrets."""
    secrets = {os.environ.get(name, "") for name in _VARIABLE.findall(written)}
    try:
        secrets.add(urlsplit(whole).password or "")
    except ValueError:  # an address that cannot be taken apart shows nothing of itself
        return "it is no address."
    said = (text.strip().splitlines() or [""])[0].replace(whole, bare(written))
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        said = said.replace(secret, "…")
    return said[:300].rstrip(".") + "."
