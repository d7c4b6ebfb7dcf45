"""The locked environment: this interpreter where it is what the lock says, else one built from the lock."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import loopline
from loopline.core.errors import Unavailable
from loopline.kit.durable import make_folder, sync_folder, write_file
from loopline.kit.installed import installed
from loopline.usecases.releases.locking import PYTHON, Lock
from loopline.usecases.releases.resolving import complaint, found_uv

WHOLE = ".whole"
UNCOUNTED = ("loopline", "__pycache__")
PATIENCE_S = 3600.0
Told = Callable[[float], None]
"""Called with the seconds that building took."""


def fits(lock: Lock) -> bool:
    """Whether this interpreter has every distribution of the lock at exactly its version."""
    here = installed()
    return lock.python == PYTHON and all(same(here.get(pin.name, ""), pin.version) for pin in lock.pins)


def same(one: str, other: str) -> bool:
    """Whether two texts name the same version."""
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version

    try:
        return bool(one) and Version(one) == Version(other)
    except InvalidVersion:
        return False


def python_for(lock: Lock, place: Path, built: Told, tell: Callable[[str], None] | None = None) -> str:
    """The interpreter in which a release with this lock runs; "" is the one that runs this.

    A missing environment is built in `place`, whole or not at all; a second process waits for the first. One to which a
    distribution was added or from which one was taken since is built anew. `tell` hears that it begins. Raises Unavailable
    when it cannot be built.
    """
    if fits(lock):
        return ""
    folder = place / lock.sha256[:32]
    if not is_whole(folder, lock):
        if tell is not None:
            tell(f"building the environment of {len(lock.pins)} distributions that the lock names")
        make_folder(place, 0o700)
        with alone(place / f".{lock.sha256[:32]}.lock"):
            if not is_whole(folder, lock):
                began = time.monotonic()
                build(lock, folder)
                built(time.monotonic() - began)
    link_loopline(folder, lock.python)
    return str(folder / "bin" / "python")


def is_whole(folder: Path, lock: Lock) -> bool:
    """Whether an environment was built to its end and holds the same modules and distributions as then, by their names."""
    try:
        return (folder / WHOLE).read_bytes() == holding(folder, lock)
    except FileNotFoundError:
        return False


def holding(folder: Path, lock: Lock) -> bytes:
    """What lies in an environment: names with versions, but neither Loopline's link nor byte code."""
    try:
        names = sorted(os.listdir(packages(folder, lock.python)))
    except FileNotFoundError:
        names = []
    return "\n".join([lock.sha256, *(name for name in names if name not in UNCOUNTED and name[0] != ".")]).encode()


def packages(folder: Path, version: str) -> Path:
    """Where an environment's distributions lie."""
    return folder / "lib" / f"python{version}" / "site-packages"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a file's lock: one process at a time; the kernel lets go of it when the process dies."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(lock: Lock, folder: Path) -> None:
    """Make the environment; the marker comes last, when everything else has reached the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        make_folder(folder, 0o700)
        file = folder / "requirements.lock"
        write_file(file, lock.text)
        for command in commands(lock, folder, file):
            run(command)
        os.sync()
        write_file(folder / WHOLE, holding(folder, lock))
    except OSError as error:
        raise Unavailable(
            f"The environment cannot be made in {folder} ({error.strerror}).", "Free disk space."
        ) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def commands(lock: Lock, folder: Path, file: Path) -> Iterator[list[str]]:
    """What makes an environment with nothing in it but what the lock names."""
    python, uv, inside = interpreter(lock.python), found_uv(), str(folder / "bin" / "python")
    if uv:
        yield [uv, "venv", "--quiet", "--allow-existing", "--python", python, str(folder)]
        options = ["--require-hashes", "--no-deps", "--python", inside, "-r", str(file)]
        yield [uv, "pip", "install", "--quiet", *options]
    else:
        yield [python, "-m", "venv", "--without-pip", str(folder)]
        yield [sys.executable, "-m", "pip", "--python", inside, "--disable-pip-version-check", "install", "--quiet",
               "--require-hashes", "--no-deps", "-r", str(file)]  # fmt: skip


def interpreter(version: str) -> str:
    """An interpreter of that minor version; Unavailable when this machine has none."""
    if version == PYTHON:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise Unavailable(f"The release needs Python {version}, which is not here.", f"Install python{version}.")
    return found


def run(command: list[str]) -> None:
    """Unavailable with the last thing that a failing command said."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        raise Unavailable("The release's environment was not built within an hour.", "Try again later.") from None
    if done.returncode:
        raise Unavailable(
            f"The release's environment cannot be built: {complaint(done.stderr)}",
            "It takes exactly what requirements.lock names, with these hashes.",
        )


def link_loopline(folder: Path, version: str) -> None:
    """Have the environment find the Loopline that runs this, wherever that lies, and nothing else of what lies there."""
    package = Path(loopline.__file__).resolve().parent
    link = packages(folder, version) / "loopline"
    if link.is_symlink() and link.resolve() == package:
        return
    temporary = link.with_name(f".loopline.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(package, target_is_directory=True)
    os.replace(temporary, link)
    sync_folder(link.parent)
