"""From requirements to pins with hashes: uv where it is present, else pip."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from loopline import __version__
from loopline.core.errors import Invalid, Unavailable
from loopline.kit.installed import installed, normalised
from loopline.usecases.releases.locking import TOOLS, Declared, Lock, Pin, pins_in, requirement

PATIENCE_S = 900.0


def resolved(declared: Declared, standing: Lock | None, upgrade: bool = False) -> list[Pin]:
    """What the declarations come to. Versions in use here are kept where they satisfy, then those of the lock that
    stands; `upgrade` takes the newest. Unavailable when no resolver can answer."""
    wanted = sorted({*without_loopline([*declared.dependencies, "loopline"]), *declared.tests, *TOOLS})
    in_use = {} if upgrade else {**(standing.versions if standing else {}), **installed()}
    preferred = {name: version for name, version in in_use.items() if name != "loopline" and is_version(version)}
    uv = found_uv()
    with tempfile.TemporaryDirectory() as folder:
        pins = by_uv(uv, Path(folder), wanted, preferred) if uv else by_pip(Path(folder), wanted, preferred)
    return [pin for pin in pins if pin.name != "loopline"]


def without_loopline(texts: Iterable[str]) -> Iterator[str]:
    """Requirements with Loopline's own dependencies in its place: it comes from the installation, and may be a build
    that no index has. Invalid when another version of it is asked for."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(texts)
    while waiting:
        text = waiting.pop()
        wanted = requirement(text)
        if normalised(wanted.name) != "loopline":
            yield text
            continue
        if not wanted.specifier.contains(__version__, prereleases=True):
            raise Invalid(f"The project requires {text}; this is {__version__}.", "Install that version of Loopline.")
        extras = frozenset(wanted.extras)
        if ("loopline", extras) not in seen:
            seen.add(("loopline", extras))
            waiting += own_requirements(extras)


def own_requirements(extras: frozenset[str]) -> Iterator[str]:
    """What Loopline needs with these extras, on this platform."""
    try:
        texts = metadata.requires("loopline") or []
    except metadata.PackageNotFoundError:
        raise Unavailable("Loopline is not installed here, only imported.", "Install it with pip.") from None
    for text in texts:
        wanted = requirement(text)
        marker, wanted.marker = wanted.marker, None
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield str(wanted)


def is_version(text: str) -> bool:
    """Whether a version is one by the standard; what was installed long ago may have another."""
    from packaging.version import InvalidVersion, Version

    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def found_uv() -> str:
    """The uv beside this interpreter or on the path, or ''."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv") or ""


def by_uv(uv: str, folder: Path, wanted: Iterable[str], preferred: Mapping[str, str]) -> list[Pin]:
    """uv keeps the versions that stand in the file it writes to, where they satisfy."""
    asked, answer = folder / "asked.in", folder / "answer.txt"
    asked.write_text("\n".join(wanted) + "\n")
    answer.write_text("".join(f"{name}=={version}\n" for name, version in sorted(preferred.items())))
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command = [uv, "pip", "compile", str(asked), "-o", str(answer), *options, "--python", sys.executable, "--quiet"]
    done = ran(command)
    if done.returncode:
        raise refusal(done)
    return list(pins_in(answer.read_text()))


def by_pip(folder: Path, wanted: Iterable[str], preferred: Mapping[str, str]) -> list[Pin]:
    """pip resolves under the preferred versions, and freely when that has no solution."""
    asked, kept = folder / "asked.in", folder / "kept.txt"
    asked.write_text("\n".join(wanted) + "\n")
    kept.write_text("".join(f"{name}=={version}\n" for name, version in sorted(preferred.items())))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--disable-pip-version-check", "--report", str(folder / "report.json"), "-r", str(asked)]
    done = ran([*command, "-c", str(kept)]) if preferred else ran(command)
    if done.returncode and preferred:
        done = ran(command)
    if done.returncode:
        raise refusal(done)
    return [pin_of(one) for one in msgspec.json.decode((folder / "report.json").read_bytes())["install"]]


def pin_of(one: Mapping[str, Any]) -> Pin:
    """A pin for an entry of pip's report: the hash of the archive that it would install."""
    about, archive = one["metadata"], one["download_info"].get("archive_info") or {}
    hashes = archive.get("hashes") or dict([archive["hash"].split("=", 1)] if archive.get("hash") else [])
    if "sha256" not in hashes:
        raise Invalid(f"{about['name']} {about['version']} comes without a SHA-256.", "Take it from a package index.")
    return Pin(normalised(about["name"]), about["version"], (f"sha256:{hashes['sha256']}",))


def ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A resolver's answer; Unavailable when it takes too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable("The package index did not answer within 15 minutes.", "Try again later.") from None


def refusal(done: subprocess.CompletedProcess[str]) -> Invalid | Unavailable:
    """What a resolver complained of, in its own words."""
    if "No module named pip" in done.stderr:
        return Unavailable("Neither uv nor pip is here to make a lock.", "Install one: `python -m ensurepip`.")
    return Invalid(f"The dependencies cannot be resolved: {complaint(done.stderr)}", "Mend them in pyproject.toml.")


def complaint(text: str) -> str:
    """What a tool complained of, with the cause where it tells one; nothing of an address."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    told = [line for line in lines if line.lower().startswith(("error", "×", "caus", "╰─▶"))] or lines[-1:]
    return re.sub(r"\b[a-z+]+://\S+", "the index", " ".join(told[:3]))[:400]
