"""Which engine runs a version: what was found when the engines were compared."""

from __future__ import annotations

import functools
import platform
import re
from pathlib import Path

import msgspec

COMPILED = "model_version.compiled"
PLAIN, DIRECT = "plain", "direct"
MANY = "many"  # asks for what is quickest for many rows at once
SIZES = (1, 32, 1000)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The engine of one version on one kind of machine. `rung` is its name: an engine's, "direct" (the library without
    its checks) or "plain" (the library as it is). `timings`: by rung, microseconds for a batch of 1, 32 and 1,000 rows.
    `fallen`: by rung, why it was not taken. `difference` is the largest between the rung's numbers and the library's,
    relative to the larger of 1e-3 and the number, over `rows` rows, and at most `tolerance`. `fallbacks` counts how
    often the library had to run instead, and `fallback` says why it last did."""

    model: str
    version: int
    machine: str
    digest: str
    rung: str
    content: str | None
    explains: bool
    tolerance: float
    difference: float
    rows: int
    timings: dict[str, list[float]]
    fallen: dict[str, str]
    created_at: str
    created_by: str
    fallbacks: int = 0
    fallback: str = ""

    @property
    def slow_for_many(self) -> bool:
        """Whether the library is quicker than the rung when it is given the most rows at once."""
        return self.rung in self.timings and self.timings[self.rung][-1] > self.timings[PLAIN][-1]


@functools.cache
def machine() -> str:
    """What measurements depend on: kind of processor and version of numpy."""
    from importlib.util import find_spec

    numpy, spec = "none", find_spec("numpy")
    if spec is not None and spec.origin is not None:  # read, not imported: who only looks has no use for it
        text = Path(spec.origin).with_name("version.py").read_text()
        numpy = next(iter(re.findall(r'^version = "([^"]+)"', text, re.MULTILINE)), "unknown")
    return f"{platform.machine()} {processor()} numpy {numpy}"


def processor() -> str:
    """The name of the processor, as Linux tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return "unknown"
