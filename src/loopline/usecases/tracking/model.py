"""What a run is: frozen values and the rules that need no storage."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from loopline.core.errors import Invalid

Status = Literal["scheduled", "running", "finished", "failed", "killed"]
ENDED: frozenset[str] = frozenset({"finished", "failed", "killed"})
STARTED = "run.started"
FINISHED = "run.finished"
DEFAULT = "Default"
RUN_NAME = "mlflow.runName"  # the tag that MLflow's clients keep a run's name in
LONGEST_KEY = 250
LONGEST_EXPERIMENT = 500
LONGEST_VALUE = 8_000
MOST_POINTS = 100_000
_KEY = re.compile(r"[\w\-./: ]+\Z")
_RUN = re.compile(r"[0-9a-f]{32}\Z")
_PROCESS = re.compile(r"[^/ ]*/[^/ ]*/[^/ ]* [0-9]{1,9} [0-9]{0,19}\Z")
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Point(msgspec.Struct, frozen=True):
    """One measured value of a metric. In JSON a value that is no number is "NaN", "Infinity" or "-Infinity"."""

    key: str
    value: float | str
    step: int = 0
    at_ms: int | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file kept with a run; `digest` names its bytes, `size` is in bytes."""

    name: str
    digest: str
    size: int
    media_type: str
    created_at: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went into a run or came out of it, by digest; `kind` says what it is (dataset, model, value)."""

    direction: Literal["input", "output"]
    name: str
    digest: str
    kind: str
    tags: dict[str, Any] = {}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `metrics` holds the latest value of each; `surroundings` git, environment and host; `state` is active,
    archived or deleted (in the trash). `artifact_root` is where its files lie when that is not here."""

    id: str
    experiment: str
    name: str
    kind: str
    status: Status
    started_at: str
    ended_at: str | None
    created_by: str
    error: str = ""
    params: dict[str, str] = {}
    metrics: dict[str, float | str] = {}
    tags: dict[str, str] = {}
    surroundings: dict[str, Any] = {}
    links: tuple[Link, ...] = ()
    state: str = "active"
    experiment_id: int = 0
    user_id: str = ""
    artifact_root: str = ""


class Page(msgspec.Struct, frozen=True):
    """Some of the runs that were asked for; `next` asks for those that follow, empty at the end."""

    runs: list[Run]
    next: str = ""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A name that runs belong to."""

    id: int
    name: str
    runs: int
    created_at: str


class Measured(msgspec.Struct, frozen=True):
    """A point as the history tells it."""

    step: int
    at_ms: int
    value: float | str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Where runs differ: for each name one value per run, None where a run has none."""

    runs: list[str]
    params: dict[str, list[str | None]]
    metrics: dict[str, list[float | str | None]]
    tags: dict[str, list[str | None]]


def checked_run(run_id: str) -> str:
    """A run id of 32 hexadecimal digits, or Invalid."""
    if _RUN.match(run_id):
        return run_id
    raise Invalid(f"{run_id[:80]!r} is no run id.", "A run id is 32 hexadecimal digits.")


def checked_experiment(name: object) -> str:
    """The name of an experiment: 1 to 500 characters, none of them a control character; Invalid for anything else."""
    if isinstance(name, str) and 0 < len(name) <= LONGEST_EXPERIMENT and name.strip() and name.isprintable():
        return name
    raise Invalid(
        f"{str(name)[:80]!r} cannot be the name of an experiment.", f"Use 1 to {LONGEST_EXPERIMENT} visible characters."
    )


def checked_process(process: str) -> str:
    """A process as `processes.myself()` writes it, or nothing; Invalid for anything else."""
    if not process or _PROCESS.match(process):
        return process
    raise Invalid(f"{process[:80]!r} names no process.", "Leave it out.")


def checked_whole(what: str, number: int, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """A whole number that can be stored, or Invalid."""
    if least <= number <= most:
        return number
    raise Invalid(f"{str(number)[:40]} cannot be the {what}.", f"Give a number from {least} to {most}.")


def checked_key(kind: str, key: Any) -> str:
    """A key that could also be a path below a folder, or Invalid; `kind` is the word for it in the error."""
    if (
        isinstance(key, str)
        and 0 < len(key) <= LONGEST_KEY
        and _KEY.match(key)
        and posixpath.normpath(key) == key
        and key[0] not in "/."
    ):
        return key
    raise Invalid(
        f"{str(key)[:80]!r} cannot be the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}.",
        f"Use 1 to {LONGEST_KEY} letters, digits, spaces and - _ . / : without leading dot or slash.",
    )


def checked_unicode(text: str) -> str:
    """A text that can be written as UTF-8, or Invalid."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{text[:80]!a} holds half of a character.", "Write it as valid Unicode.") from None
    return text


def checked_texts(kind: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Params or tags as given, cut to the longest value that is kept; Invalid for a bad key."""
    return {checked_key(kind, key): value[:LONGEST_VALUE] for key, value in texts.items()}


def number(value: float | str) -> float:
    """A float for a number or one of the three words that JSON lacks; Invalid for anything else."""
    if isinstance(value, str):
        if value in _NUMBERS:
            return _NUMBERS[value]
        raise Invalid(f"{value[:40]!r} is no metric value.", 'Give a number, "NaN", "Infinity" or "-Infinity".')
    return float(value)


def plain(value: float, is_nan: int = 0) -> float | str:
    """The form of a value that JSON can carry."""
    if is_nan or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def latest(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each key the row with the largest (step, time, value)."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        known = best.get(row["key"])
        if known is None or order(row) >= order(known):
            best[row["key"]] = row
    return list(best.values())


def order(row: Mapping[str, Any]) -> tuple[int, int, float]:
    """What makes one point later than another."""
    return row["step"], row["at_ms"], row["value"]


def compared(runs: list[Run]) -> Compared:
    """What differs between runs, name by name."""
    return Compared(
        runs=[run.id for run in runs],
        params=differing([run.params for run in runs]),
        metrics=differing([run.metrics for run in runs]),
        tags=differing([run.tags for run in runs]),
    )


def differing(of_runs: list[Any]) -> dict[str, list[Any]]:
    """The names whose values are not the same everywhere."""
    names = sorted({name for values in of_runs for name in values})
    rows = {name: [values.get(name) for values in of_runs] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}
