"""What a run stands on, and on what terms it runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from loopline.kit.masking import masked
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database
from loopline.ports.executor import Executor
from loopline.usecases.pipelines.model import External


class Ground:
    """Engines, the executor (started when first needed), where snapshots lie as files, and `python_for`: the interpreter
    of the environment that a lock (its bytes) describes, built when it is not there yet."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        executor: Callable[[], Executor],
        snapshot_file: Callable[[str], Path],
        runtimes: Mapping[str, str],
        scratch: Path,
        python_for: Callable[[bytes], str],
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self.executor = executor
        self.snapshot_file = snapshot_file
        self.runtimes = dict(runtimes)
        self.scratch = scratch
        self.python_for = functools.cache(python_for)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms a run runs: `snapshots` are the digests of its datasets by the names that the pipeline uses,
    `externals` what stands for the content of what steps read by themselves, `force` the labels of steps that run anew
    whatever is known, `seed` starts random numbers, `python` is the interpreter of the steps, `locks` are the
    locks of those that have their own, by name; `variables` are secrets for
    their environment."""

    snapshots: dict[str, str] = {}
    externals: dict[External, str] = {}
    force: frozenset[str] = frozenset()
    seed: int = 0
    python: str = ""
    locks: dict[str, bytes] = {}
    variables: dict[str, str] = {}

    def masked(self, content: bytes) -> bytes:
        """A log without the secrets that stand in it."""
        if not self.variables:
            return content
        return masked(content.decode(errors="surrogateescape"), self.variables).encode(errors="surrogateescape")
