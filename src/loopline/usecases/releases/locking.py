"""`requirements.lock`: names, versions and hashes, no addresses; and a line that tells without a network what it was
made from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline import __version__
from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.kit.installed import normalised
from loopline.usecases.releases.model import LOCK_FILE, canonical, sha256

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TEST_GROUP = "test"
TOOLS = ("pytest",)  # what runs the tests of every release
AGAIN = "Run `loopline lock`."
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_SAID = re.compile(r"^# (made from|pins|python|loopline): (\S+)$", re.M)
_ADDRESS = re.compile(r"://|^\s*(-i|--index-url|--extra-index-url|-f|--find-links)\b", re.M)


class Pin(msgspec.Struct, frozen=True, order=True):
    """One distribution at one version, with the hashes of its archives."""

    name: str
    version: str
    hashes: tuple[str, ...]


class Lock(msgspec.Struct, frozen=True):
    """A lock as it was read: `made_from` is the digest of the declarations, `holds` that of the pins as they were
    written, `text` its bytes."""

    pins: tuple[Pin, ...]
    made_from: str
    holds: str
    python: str
    loopline: str
    text: bytes

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return sha256(self.text)

    @property
    def versions(self) -> dict[str, str]:
        """Version by name."""
        return {pin.name: pin.version for pin in self.pins}


class Declared(msgspec.Struct, frozen=True):
    """What a project asks to have installed: for its code, and for its tests besides."""

    dependencies: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Over the declarations and Python's minor version."""
        return sha256(canonical({"dependencies": self.dependencies, "tests": self.tests, "python": PYTHON}))


def declared_in(folder: Path) -> Declared:
    """What pyproject.toml declares: `project.dependencies`, and the dependency group `test` with what tests need.

    Raises NotFound without the file, Invalid for one that cannot be read so.
    """
    path = folder / "pyproject.toml"
    if not path.is_file():
        raise NotFound(f"There is no pyproject.toml in {folder}.", "Write one with [project] and its dependencies.")
    return declared_by(path.read_bytes())


def declared_by(content: bytes) -> Declared:
    """The same from the file's bytes."""
    import tomllib

    try:
        said = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"pyproject.toml cannot be read: {error}.", "Mend the file.") from None
    dependencies = _texts((said.get("project") or {}).get("dependencies", []), "project.dependencies")
    groups = said.get("dependency-groups") or {}
    return Declared(dependencies, tuple(_group(groups, TEST_GROUP, ())) if TEST_GROUP in groups else ())


def _texts(found: Any, where: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Invalid(f"{where} in pyproject.toml is no list of texts.", 'Write it as ["pandas>=2.2"].')
    for text in found:
        requirement(text)
    return tuple(sorted(found))


def _group(groups: Mapping[str, Any], name: str, above: tuple[str, ...]) -> Iterator[str]:
    if name in above or not isinstance(groups.get(name), list):
        raise Invalid(f"The dependency group {name!r} in pyproject.toml is no list.", "Write its requirements.")
    for one in groups[name]:
        if isinstance(one, dict) and "include-group" in one:
            yield from _group(groups, str(one["include-group"]), (*above, name))
        else:
            yield from _texts([one], f"dependency-groups.{name}")


def requirement(text: str) -> Requirement:
    """A requirement as text; Invalid for none, or for one that names an address."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        found = Requirement(text)
    except InvalidRequirement:
        raise Invalid(f"{text!r} in pyproject.toml is no requirement.", 'Write it as "pandas>=2.2".') from None
    if found.url:
        raise Invalid(
            f"{found.name} is required from an address, and a lock holds none.", "Require it by name and version."
        )
    return found


def parsed(text: bytes) -> Lock:
    """The lock in these bytes. Invalid for one that names an address or pins without hashes."""
    try:
        content = text.decode().replace("\r\n", "\n")  # git may have changed the ends of lines
    except UnicodeDecodeError:
        raise Invalid(f"{LOCK_FILE} is no UTF-8 text.", AGAIN) from None
    if _ADDRESS.search(content):
        raise Invalid(f"{LOCK_FILE} names an address.", AGAIN)
    said = dict(_SAID.findall(content))
    return Lock(
        tuple(sorted(pins_in(content))),
        said.get("made from", ""),
        said.get("pins", ""),
        said.get("python", ""),
        said.get("loopline", ""),
        text,
    )


def pins_in(content: str) -> Iterator[Pin]:
    """The pins of a requirements file; Invalid for a line that is none, or has no hash."""
    lines = content.replace("\\\n", " ").splitlines()
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        pin, hashes = _PIN.match(line), tuple(sorted(_HASH.findall(line)))
        if pin is None or not hashes:
            raise Invalid(f"{LOCK_FILE} holds {line[:60]!r}, which pins nothing by a hash.", AGAIN)
        yield Pin(normalised(pin[1]), pin[2], hashes)


def written(declared: Declared, pins: Iterable[Pin]) -> bytes:
    """The lock's one form."""
    pins = sorted(pins)
    lines = [
        "# Made by `loopline lock`. Install: pip install --require-hashes -r requirements.lock",
        f"# made from: {declared.digest}",
        f"# pins: {digest_of(pins)}",
        f"# python: {PYTHON}",
        f"# loopline: {__version__}",
    ]
    for pin in pins:
        lines.append(" \\\n    --hash=".join((f"{pin.name}=={pin.version}", *pin.hashes)))
    return ("\n".join(lines) + "\n").encode()


def digest_of(pins: Iterable[Pin]) -> str:
    """The digest of names, versions and hashes: what was edited by hand has another."""
    return sha256(canonical(sorted(pins)))


def checked(content: bytes | None, declared: Declared) -> Lock:
    """The lock, when it was made from these declarations for this Python and Loopline, and holds what was written.
    NotFound without one, CheckFailed for a stale one, saying what changed."""
    if content is None:
        raise NotFound(f"There is no {LOCK_FILE}.", AGAIN)
    lock = parsed(content)
    reason = stale(lock, declared)
    if reason:
        raise CheckFailed(f"{LOCK_FILE} is stale: {reason}.", AGAIN)
    return lock


def stale(lock: Lock, declared: Declared) -> str:
    """Why a lock does not hold any more, or ''. Asks no network."""
    if not (lock.made_from and lock.holds):
        return f"it does not say what it {'was made from' if lock.holds else 'pins'}"
    if lock.python != PYTHON:
        return f"it was made for Python {lock.python or 'unknown'}, this is {PYTHON}"
    if lock.loopline != __version__:
        return f"it was made with Loopline {lock.loopline or 'unknown'}, this is {__version__}"
    unmet = [text for text in (*declared.dependencies, *declared.tests) if not met(text, lock.versions)]
    if unmet:
        return f"it does not satisfy {', '.join(unmet[:5])}"
    if lock.holds != digest_of(lock.pins):
        return "what it pins was changed since it was made"
    return "" if lock.made_from == declared.digest else "the dependencies in pyproject.toml were changed since"


def met(text: str, versions: Mapping[str, str]) -> bool:
    """Whether these versions satisfy a requirement; one for another platform always is."""
    wanted = requirement(text)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    name = normalised(wanted.name)
    version = __version__ if name == "loopline" else versions.get(name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)
