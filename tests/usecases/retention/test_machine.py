"""Whatever happens in whatever order, nothing that is referred to is ever lost, and what nothing refers to goes."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from loopline.app.wiring import open_home
from loopline.core.errors import Conflict, NotFound
from loopline.core.tables import Column, Signature

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("x", "float"),), Column("late", "float"))
CONTENTS = st.sampled_from([b"one" * 50, b"two" * 50, b'{"a": 1}', b"[1, 2]", b""])
NAMES = st.sampled_from(["a", "b"])


class Machine(RuleBasedStateMachine):
    """Runs with artifacts, versions, the trash, clearing up; and others who put the same bytes meanwhile."""

    runs = Bundle("runs")
    versions = Bundle("versions")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.loopline = open_home(Path(self.folder.name) / "home")
        self.artifacts: dict[str, dict[str, bytes]] = {}
        self.made: dict[str, tuple[bytes, str]] = {}
        self.hidden: set[tuple[str, str]] = set()
        self.numbers = itertools.count()

    def teardown(self) -> None:
        if hasattr(self, "loopline"):
            self.loopline.close()
            self.folder.cleanup()

    @rule(target=runs, experiment=NAMES)
    def start(self, experiment: str) -> Any:
        try:
            run = self.loopline.tracking.start("one", actor="ann", experiment=experiment)
        except Conflict:
            assert ("experiment", experiment) in self.hidden
            return "gone"
        self.loopline.tracking.finish(run.id, actor="ann")
        self.artifacts[run.id] = {}
        return run.id

    @rule(run=runs, name=NAMES, content=CONTENTS)
    def put(self, run: str, name: str, content: bytes) -> None:
        if run in self.artifacts:
            with contextlib.suppress(Conflict):
                self.loopline.tracking.put_artifact(run, name, content)
                self.artifacts[run][name] = content

    @rule(target=versions, run=runs, content=CONTENTS)
    def register(self, run: str, content: bytes) -> Any:
        if run not in self.artifacts:
            return "gone"
        place = Path(self.folder.name) / f"m{next(self.numbers)}"
        place.mkdir()
        (place / "model.skops").write_bytes(content + str(place).encode())
        digest = self.loopline.registry.keep(place, "sklearn-skops", SIGNATURE)
        made = self.loopline.registry.register("late", digest, run, {}, SIGNATURE, None, None, {}, "ann")
        name = f"late/{made.version}"
        self.made[name] = (content + str(place).encode(), run)
        return name

    @rule(run=runs)
    def remove_run(self, run: str) -> None:
        self.removed("run", run)

    @rule(name=NAMES)
    def remove_experiment(self, name: str) -> None:
        self.removed("experiment", name)

    @rule(name=versions)
    def remove_version(self, name: str) -> None:
        self.removed("version", name)

    @rule(place=st.integers(0, 20), purge=st.booleans())
    def take_out(self, place: int, purge: bool) -> None:
        trash = self.loopline.retention.trash()
        if not trash:
            return
        one = trash[place % len(trash)]
        if not purge:
            self.loopline.retention.restore(one.kind, one.name, "ann")
            self.hidden.discard((one.kind, one.name))
            return
        with contextlib.suppress(Conflict):
            self.loopline.retention.purge(one.kind, one.name, "ann")
            self.hidden.discard((one.kind, one.name))
            self.made.pop(one.name, None)
            self.artifacts = {run: files for run, files in self.artifacts.items() if self.there(run)}

    @rule(content=CONTENTS, age=st.booleans(), run=runs)
    def collect(self, content: bytes, age: bool, run: str) -> None:
        """Clear up while somebody keeps bytes between the look at what is there and the removal."""
        self.loopline.blobs.put(content)  # nobody's, until somebody wants the same bytes
        if age:
            self.grow_old()
        kept, looks = self.loopline.blobs.kept, itertools.count()

        def meanwhile() -> Any:
            yield from list(kept())
            if next(looks):  # the first look counts sizes, the second goes before the removal
                self.put(run, "meanwhile", content)

        self.loopline.blobs.kept = meanwhile
        try:
            self.loopline.retention.collect()
        finally:
            self.loopline.blobs.kept = kept

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "loopline"):
            return
        for run, files in self.artifacts.items():
            for name, content in files.items():
                assert self.loopline.tracking.artifact(run, name)[1] == content
        for name, (content, _) in self.made.items():
            if ("version", name) not in self.hidden:
                found = self.loopline.registry.version("late", int(name.partition("/")[2]))
                place = Path(self.folder.name) / f"out{next(self.numbers)}"
                self.loopline.registry.materialize("late", found.version, place)
                assert (place / "model.skops").read_bytes() == content

    @rule()
    def at_the_end_nothing_is_left(self) -> None:
        for name in list(self.made):
            self.removed("version", name)
        for name in ("a", "b"):
            self.removed("experiment", name)
        for one in self.loopline.retention.trash():
            self.loopline.retention.purge(one.kind, one.name, "ann")
        self.artifacts, self.made, self.hidden = {}, {}, set()
        self.grow_old()
        self.loopline.retention.collect()
        assert list(self.loopline.blobs.kept()) == []

    def removed(self, kind: str, name: str) -> None:
        try:
            self.loopline.retention.remove(kind, name, "ann")
            self.hidden.add((kind, name))
        except (Conflict, NotFound):
            pass

    def there(self, run: str) -> bool:
        return self.loopline.database.row("SELECT 1 AS n FROM tracking_runs WHERE id = :id", {"id": run}) is not None

    def grow_old(self) -> None:
        at = time.time() - 7200
        for one in self.loopline.blobs.kept():
            os.utime(self.loopline.home / "blobs" / one.digest[:2] / one.digest[2:], (at, at))


Machine.TestCase.settings = settings(
    max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestMachine = Machine.TestCase
