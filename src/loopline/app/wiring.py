"""The only place where engines meet use-cases: `open_home` answers a working Loopline whose parts are built when asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, NotFound, Unavailable
from loopline.kit.durable import make_folder

if TYPE_CHECKING:
    from loopline.core.parts import Part
    from loopline.core.verbs import Verb
    from loopline.ports.runtime import Runtime

PARTS = (
    "ledger",
    "access",
    "projects",
    "datasets",
    "tracking",
    "pipelines",
    "releases",
    "registry",
    "imports",
    "promotion",
    "serving",
    "monitoring",
    "automation",
    "retention",
    "lineage",
)
FOLDERS = ("blobs", "keys", "predictions", "truth", "run", "logs", "work")
REPLAYED = ("registry", "serving", "releases")


class Loopline:
    """An open installation. Each use-case is an attribute, built with the engines it needs at first use."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._built: dict[str, Any] = {}
        self._guard = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.get(name)

    def get(self, name: str) -> Any:
        """The service or engine of that name."""
        with self._guard:
            if name not in self._built:
                self._built[name] = self._build(name)
            return self._built[name]

    def close(self) -> None:
        """Finish waiting writes and let go of all files and processes."""
        with self._guard:
            for name, built in reversed(self._built.items()):
                if name != "database" and hasattr(built, "close"):
                    built.close()
            if "database" in self._built:
                self._built["database"].close()
            self._built.clear()

    def __enter__(self) -> Loopline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _build(self, name: str) -> Any:
        if name in ENGINES:
            return ENGINES[name](self)
        if name not in PARTS:
            raise NotFound(f"There is no part named {name!r}.")
        part = part_of(name)
        return part.build(**{need: Later(self, need) if need in PARTS else self.get(need) for need in part.needs})


class Later:
    """A use-case as another one is given it: built when its first verb is used, as most are not in a short command."""

    def __init__(self, loopline: Loopline, name: str) -> None:
        self._loopline = loopline
        self._name = name

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._loopline.get(self._name), verb)
        setattr(self, verb, found)
        return found


def part_of(name: str) -> Part:
    """How a use-case presents itself."""
    part: Part = import_module(f"loopline.usecases.{name}").PART
    return part


def verbs_of(name: str) -> tuple[Verb, ...]:
    """The verbs of one use-case."""
    verbs: tuple[Verb, ...] = import_module(f"loopline.usecases.{name}.api").VERBS
    return verbs


def all_verbs() -> list[Verb]:
    """Every verb of every use-case."""
    return [verb for name in PARTS if has_verbs(name) for verb in verbs_of(name)]


def has_verbs(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(f"loopline.usecases.{name}") is not None and find_spec(f"loopline.usecases.{name}.api") is not None


@cache
def verb_named(name: str) -> Verb:
    """The verb of that name."""
    part = name.partition(".")[0]
    try:
        verbs = verbs_of(part)
    except ModuleNotFoundError:
        verbs = ()
    for verb in verbs:
        if verb.name == name:
            return verb
    raise NotFound(f"There is no verb named {name!r}.")


def audit(loopline: Loopline) -> Any:
    """Verify the ledger against the signed head, and names that move against a replay of the facts."""
    replays = {name: (loopline.get(name).replayed, loopline.get(name).current) for name in REPLAYED}
    return loopline.ledger.verify(replays)


def runtimes(loopline: Loopline | None = None) -> Mapping[str, Runtime]:
    """The model formats that can be saved and loaded, by name. Models that are code find environments in `loopline`."""
    from loopline.adapters.runtimes import RUNTIMES, isolation

    if loopline is not None:
        isolation.environment_of = Environments(loopline.home).python_for
    return RUNTIMES


def engines(_: Loopline) -> Mapping[str, Any]:
    """The ways to run a model without its library, by name."""
    from loopline.adapters.engines import engines as found

    return found(runtimes())


def executors(_: Loopline) -> Mapping[str, Any]:
    """The ways to run steps, by name."""
    from loopline.adapters.executors import EXECUTORS

    return EXECUTORS


def database(loopline: Loopline) -> Any:
    from loopline.adapters.databases.sqlite import SQLite

    return SQLite(loopline.home / "loopline.db")


def blobs(loopline: Loopline) -> Any:
    from loopline.adapters.blobs.files import Files

    return Files(loopline.home / "blobs")


def signer(loopline: Loopline) -> Any:
    from loopline.kit.signing import Signer

    return Signer(loopline.home / "keys" / "ledger.key")


def in_use(loopline: Loopline) -> Callable[[], set[str]]:
    """What answers the digests of all blobs that anything but a step's result refers to."""
    from loopline.app import in_use as found

    def answer() -> set[str]:
        unrelated = {table: where for owner in loopline.owners().values() for table, where in owner.unrelated.items()}
        services = [loopline.get(name) for name in PARTS]
        return found.in_use(services, loopline.database, loopline.blobs, unrelated)

    return answer


def owners(loopline: Loopline) -> Callable[[], Mapping[str, Any]]:
    """What answers, by use-case, who knows what belongs to things (see core.belongings)."""
    from importlib.util import find_spec

    def answer() -> Mapping[str, Any]:
        modules = {name: f"loopline.usecases.{name}.belongings" for name in PARTS}
        there = {name: module for name, module in modules.items() if find_spec(module) is not None}
        return {name: import_module(module).Owner(Later(loopline, name)) for name, module in there.items()}

    return answer


def notify(_: Loopline) -> Callable[[str], Any]:
    """What answers the channel at an address."""
    from loopline.adapters.notify import channel_at

    return channel_at


def clock(_: Loopline) -> Any:
    from loopline.adapters.clocks import WallClock

    return WallClock()


class Environments:
    """Environments built from locks, under the installation."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def python_for(self, lock: bytes) -> str:
        """See the port of pipelines."""
        from loopline.usecases.releases import environments, locking

        return environments.python_for(locking.parsed(lock), self._home / "environments", lambda seconds: None)


ENGINES: dict[str, Callable[[Loopline], Any]] = {
    "database": database,
    "blobs": blobs,
    "clock": clock,
    "signer": signer,
    "notify": notify,
    "runtimes": runtimes,
    "engines": engines,
    "executors": executors,
    "environments": lambda loopline: Environments(loopline.home),
    "in_use": in_use,
    "owners": owners,
    "home": lambda loopline: loopline.home,
    "installations": lambda _: open_home,
}


def open_home(home: Path, *, create: bool = True) -> Loopline:
    """Open the installation in `home`, making it or bringing its schema up to date first.

    Raises NotFound when it does not exist and `create` is false, Unavailable when the folder cannot be written.
    """
    try:
        there = (home / "loopline.db").exists()
        whole = there and all((home / name).is_dir() for name in FOLDERS)
    except OSError as error:
        raise Unavailable(f"{home} cannot be read ({error.strerror}).", "Choose another --home.") from error
    if not there and not create:
        raise NotFound(f"There is no Loopline installation in {home}.", "`loopline up` or `loopline run` makes one.")
    if not whole:
        make_home(home)
    from loopline.app.migrations.runner import bring_up_to_date

    bring_up_to_date(home)
    return Loopline(home)


def make_home(home: Path) -> None:
    """The folders of a new installation, for its owner's eyes."""
    try:
        for place in (home, *home.parents):
            if place.exists() and not place.is_dir():
                raise Invalid(f"{place} is a file.", "Name a folder with --home.")
        make_folder(home, 0o700)
        for name in FOLDERS:
            make_folder(home / name, 0o700)
        if not (home / "loopline.db").exists():  # SQLite's other files take its rights
            os.close(os.open(home / "loopline.db", os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Unavailable(
            f"The installation cannot be made in {home} ({error.strerror}).", "Choose another --home."
        ) from error
