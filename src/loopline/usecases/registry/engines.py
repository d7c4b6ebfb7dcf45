"""Which engine runs a version: found by comparing, kept, and used whenever the version is loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from loopline.core.errors import LooplineError, Refused
from loopline.core.tables import Signature
from loopline.ports.engine import Engine, UnknownForm
from loopline.ports.runtime import LoadedModel, Runtime
from loopline.usecases.registry import engines_ladder, engines_rows, engines_store, folders, model
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.engines_model import COMPILED, DIRECT, MANY, PLAIN, Choice, machine
from loopline.usecases.registry.model import Version

MOST_WAITING = 50
log = logging.getLogger("loopline.registry")


class Engines(Base):
    """Compiling versions, and loading them."""

    def load(self, name: str, version: int, engine: str = "") -> LoadedModel:
        """The model in memory, run by the engine that was chosen for it here. `engine` "plain" is the library itself, "many"
        whichever is quicker for a thousand rows at once. Refused for a version that is not servable."""
        found = self._one_version(name, version)
        runtime = self._runtime(found)
        choice = None if engine == PLAIN else self.engine(name, version)
        if choice is not None and engine == MANY and choice.slow_for_many:
            choice = None
        if choice is not None and choice.content is not None:
            try:
                return self._quick(found, runtime, choice)
            except Exception as error:  # content that does not fit: the library is always there
                self._fell_back(choice, error)
        loaded = self._library(found, runtime)
        return _as_it_is(loaded) if engine == PLAIN else loaded

    def engine(self, name: str, version: int) -> Choice | None:
        """What was chosen for a version on a machine like this, or None."""
        return self._database.read(lambda tx: engines_store.find(tx, name, version, self._here()))

    def engines_of(self, name: str) -> list[Choice]:
        """What was chosen for the versions of a model on a machine like this."""
        return self._database.read(lambda tx: engines_store.of_model(tx, name, self._here()))

    def compilable(self, name: str, version: int) -> bool:
        """Whether engines may be tried for a version; raises what loading it would raise."""
        runtime = self._runtime(self._one_version(name, version))
        return not getattr(runtime, "isolated", False)

    def uncompiled(self) -> list[tuple[str, int]]:
        """Versions that may be asked soon and for which nothing was chosen here, newest first."""
        formats = [name for name, runtime in self._runtimes.items() if not getattr(runtime, "isolated", False)]
        return self._database.read(lambda tx: engines_store.waiting(tx, formats, self._here(), MOST_WAITING))

    def compile_waiting(self, seconds: float) -> int:
        """Compile what waits, for about so long; answers how many. A version that cannot be loaded is noted as such."""
        until, count = time.monotonic() + seconds, 0
        for name, version in self.uncompiled():
            self.compile(name, version, "loopline")
            count += 1
            if time.monotonic() > until:
                break
        return count

    def compile(self, name: str, version: int, actor: str, again: bool = False) -> Choice:
        """Choose the engine of a version on this machine, by comparing all of them with the library on held-out rows and
        made-up ones. Asking again answers what was chosen, unless `again`. Refused for a version that is never loaded
        or runs only in a process of its own."""
        found = self._one_version(name, version)
        if not self.compilable(name, version):
            raise Refused(
                f"{name}/{version} is stored as {found.format!r}, which runs in a process of its own.",
                "It is served as it is.",
            )
        known = self.engine(name, version)
        if known is not None and not again:
            return known
        choice = self._chosen(found, self._runtime(found), actor)
        return self._database.write(lambda tx: self._put_choice(tx, choice, again))

    def _one_version(self, name: str, number: int) -> Version:
        return self._database.read(lambda tx: self._there(tx, name, number))

    def _here(self) -> str:
        """This kind of machine, with the engines' forms of content."""
        return machine() + "".join(f" {name} {engine.version}" for name, engine in self._engines.items())

    def _put_choice(self, tx: Any, choice: Choice, again: bool) -> Choice:
        known = engines_store.find(tx, choice.model, choice.version, choice.machine)
        if known is not None and not again:
            return known
        self._there(tx, choice.model, choice.version)
        engines_store.put(tx, choice)
        told = ("model", "version", "machine", "rung", "content", "tolerance", "difference", "rows")
        body = {key: getattr(choice, key) for key in told}
        self._ledger.append(tx, COMPILED, model.version_key(choice.model, choice.version), choice.created_by, body)
        return choice

    def _chosen(self, found: Version, runtime: Runtime, actor: str) -> Choice:
        try:
            loaded = self._library(found, runtime)
            outcome = self._climbed(found, loaded)
        except Exception as error:  # noted, so that it is not tried for ever; whoever serves the version is told again
            reason = str(error) if isinstance(error, LooplineError) else f"{type(error).__name__}: {error}"
            return self._choice(found, actor, fallen={PLAIN: reason[:300]})
        content = outcome.rung.content
        return self._choice(
            found,
            actor,
            rung=outcome.rung.name,
            content=None if content is None else self._blobs.put(content),
            explains=callable(getattr(loaded, "explain", None)),
            tolerance=outcome.rung.tolerance,
            difference=outcome.difference,
            rows=outcome.rows,
            timings=outcome.timings,
            fallen=outcome.fallen,
        )

    def _choice(self, found: Version, actor: str, **more: Any) -> Choice:
        usual = {"rung": PLAIN, "content": None, "explains": False, "tolerance": 0.0, "difference": 0.0, "rows": 0}
        return Choice(
            model=found.model,
            version=found.version,
            machine=self._here(),
            digest=found.digest,
            created_at=self._clock.text(),
            created_by=actor,
            **{**usual, "timings": {}, "fallen": {}, **more},
        )

    def _climbed(self, found: Version, loaded: LoadedModel) -> engines_ladder.Outcome:
        plain = _as_it_is(loaded)
        rungs, fallen = rungs_of(self._engines, loaded, found.signature)
        if plain is not loaded:
            rungs.append(engines_ladder.Rung(DIRECT, loaded))
        real = self._comparison_rows(found)
        known: dict[str, Any] = {}
        for rung in rungs:
            known |= getattr(rung.model, "known", {})
        made_up = engines_rows.probes(found.signature, real, known)
        batches = [made_up] if real is None else [real, made_up]
        return engines_ladder.climbed(rungs, plain, batches, fallen, real is not None)

    def _comparison_rows(self, found: Version) -> engines_rows.Columns | None:
        if found.evaluation_digest is None:
            return None
        try:
            return engines_rows.held_out(folders.table(self._blobs, found.evaluation_digest), found.signature)
        except LooplineError:
            return None

    def _quick(self, found: Version, runtime: Runtime, choice: Choice) -> LoadedModel:
        content = self._blobs.get(str(choice.content))
        model_of = self._engines[choice.rung].load(content, found.signature)
        return Quick(choice, model_of, lambda: self._library(found, runtime))

    def _fell_back(self, choice: Choice, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"[:300]
        log.warning("%s/%d is run by the library itself: %s", choice.model, choice.version, reason)
        self._database.write(lambda tx: engines_store.fell_back(tx, choice, reason))

    def _runtime(self, found: Version) -> Runtime:
        runtime = self._runtimes.get(found.format)
        if runtime is None or not found.servable:
            raise Refused(
                f"Version {found.version} of {found.model!r} is stored as {found.format!r} and is never loaded.",
                f"Save it in a safe format: {', '.join(sorted(self._runtimes))}.",
            )
        return runtime

    def _library(self, found: Version, runtime: Runtime) -> LoadedModel:
        folder = folders.cached(self._blobs, self._manifest(found.digest), self._home / "work" / "models", found.digest)
        return runtime.load(folder, found.signature)


class Quick:
    """A model run by an engine. `choice` says which; where the library can explain, it is loaded for that when asked."""

    def __init__(self, choice: Choice, loaded: LoadedModel, library: Callable[[], LoadedModel]) -> None:
        self.choice = choice
        self.predict = loaded.predict
        if choice.explains:
            self.explain = self._explain
        self._library = library
        self._loaded: Any = None

    def _explain(self, columns: Mapping[str, Any]) -> Any:
        if self._loaded is None:
            self._loaded = self._library()
        return self._loaded.explain(columns)


def rungs_of(
    engines: Mapping[str, Engine], loaded: LoadedModel, signature: Signature
) -> tuple[list[engines_ladder.Rung], dict[str, str]]:
    """What each engine makes of a model, and why some make nothing."""
    rungs, fallen = [], {}
    for name, engine in engines.items():
        try:
            content = engine.compile(loaded, signature)  # type: ignore[arg-type]
            ready = engine.load(content, signature)
            rungs.append(engines_ladder.Rung(name, ready, ready.tolerance, content))
        except UnknownForm as error:
            fallen[name] = f"does not know {error}"[:300]
        except Exception as error:  # an engine's trouble with one model is not the model's
            fallen[name] = f"{type(error).__name__}: {error}"[:300]
    return rungs, fallen


def _as_it_is(loaded: LoadedModel) -> LoadedModel:
    """The library's own way where a runtime has a shorter one too."""
    plain: LoadedModel = getattr(loaded, "plain", None) or loaded
    return plain
