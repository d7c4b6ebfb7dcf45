"""What people write beside `@step`, as `Options`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.model import External, File, Options, Query, Search, Url

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\Z", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def options_from(written: Mapping[str, Any]) -> Options:
    """The options of a step; Invalid names the one that cannot be."""
    unknown = sorted(written.keys() - _READERS.keys())
    if unknown:
        raise Invalid(f"A step has no option {unknown[0]!r}.", f"It has {', '.join(['name', *_READERS])}.")
    found = dict(_READERS[name](name, value) for name, value in written.items())
    return Options(**found)


def search_from(written: Mapping[str, Any]) -> Search:
    """How trials are chosen; Invalid names what cannot be."""
    from loopline.usecases.pipelines.searching import axes

    space = {str(name): list(one) if isinstance(one, list | tuple) else one for name, one in written["space"].items()}
    for name, one in space.items():
        if not isinstance(one, list) or not one:
            raise Invalid(
                f"The space of {name!r} cannot be {str(one)[:60]!r}.",
                'Write (low, high), (low, high, "log") or a list of choices.',
            )
    spelt = {name: {"range": one} if isinstance(written["space"][name], tuple) else one for name, one in space.items()}
    if not spelt:
        raise Invalid("A search has no space.", "Give space={parameter: (low, high), …}.")
    for name, known in (("direction", ("minimize", "maximize")), ("sampler", ("tpe", "random", "grid"))):
        if written[name] not in known:
            raise Invalid(f"A search's {name} cannot be {written[name]!r}.", f"Write one of {', '.join(known)}.")
    for name, most in (("trials", 100_000), ("width", 1000)):
        if not isinstance(written[name], int) or not 1 <= written[name] <= most:
            raise Invalid(f"A search's {name} cannot be {written[name]!r}.", f"Write a number from 1 to {most}.")
    found = Search(**{**written, "space": spelt})
    axes(found)
    return found


def duration(name: str, value: Any) -> tuple[str, float]:
    """Seconds, or a text as "90s", "15m", "36h", "7d", "2w"."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return name, float(value)
    match = _DURATION.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refused(name, value, 'Write it as "90s", "15m", "36h" or "7d".')
    return name, float(match[1]) * _SECONDS[match[2][0]]


def size(name: str, value: Any) -> tuple[str, int]:
    """Bytes, or a text as "500MB" or "2GB" (powers of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return name, value
    match = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refused(name, value, 'Write it as "500MB" or "2GB".')
    return name, int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])


def _flag(name: str, value: Any) -> tuple[str, bool]:
    if not isinstance(value, bool):
        raise refused(name, value, "Write True or False.")
    return "cached", not value


def _count(name: str, value: Any) -> tuple[str, int]:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
        raise refused(name, value, "Write a whole number from 0 to 100.")
    return name, value


def _seed(name: str, value: Any) -> tuple[str, int | None]:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32):
        raise refused(name, value, "Write a whole number from 0 to 4294967295.")
    return name, value


def _positive(name: str, value: Any) -> tuple[str, float]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 4096:
        raise refused(name, value, "Write a number above 0.")
    return name, float(value)


def _wait(name: str, value: Any) -> tuple[str, float]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
        raise refused(name, value, "Write seconds from 0 to 3600.")
    return name, float(value)


def _names(name: str, value: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise refused(name, value, 'Write a list of parameter names, as in ["threads"].')
    return name, tuple(value)


def _externals(name: str, value: Any) -> tuple[str, tuple[External, ...]]:
    items = [value] if isinstance(value, File | Url | Query) else value
    if not isinstance(items, list | tuple) or not all(isinstance(one, File | Url | Query) for one in items):
        raise refused(name, value, 'Write a list of File("…"), Url("…") and Query("…", "SELECT …").')
    return "externals", tuple(items)


def _variables(name: str, value: Any) -> tuple[str, dict[str, str]]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise refused(name, value, 'Write a map of texts, as in {"OMP_NUM_THREADS": "1"}.')
    return name, dict(value)


def _lock(name: str, value: Any) -> tuple[str, str]:
    parts = Path(value).parts if isinstance(value, str) else ()
    if not parts or Path(value).is_absolute() or ".." in parts:
        raise refused(name, value, 'Name a file of the project, as in "locks/old.lock".')
    return name, str(Path(value))


def refused(name: str, value: Any, hint: str) -> Invalid:
    """The refusal of an option's value."""
    return Invalid(f"A step's {name} cannot be {str(value)[:60]!r}.", hint)


_READERS: dict[str, Any] = {
    "no_cache": _flag,
    "max_age": duration,
    "volatile": _names,
    "uses": _externals,
    "retries": _count,
    "backoff": _wait,
    "timeout": duration,
    "cpu": _positive,
    "memory": size,
    "environment": _variables,
    "lock": _lock,
    "seed": _seed,
}
