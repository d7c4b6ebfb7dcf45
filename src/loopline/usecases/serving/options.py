"""How an endpoint serves, beyond what: every option with its default and its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from loopline.core.errors import Invalid

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=86_400.0)]
LEAST_RATE = 1e-5  # requests a second: about one a day
Name = Annotated[str, Meta(min_length=1, max_length=250)]


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What values of one input are taken: numbers from `minimum` to `maximum`, or one of `categories`. `otherwise`: the
    request is rejected, the number is clipped to the bound (a category then becomes null), or it passes and is counted."""

    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    otherwise: Literal["reject", "clip", "pass"] = "reject"

    def __post_init__(self) -> None:
        if not all(math.isfinite(bound) for bound in (self.minimum, self.maximum) if bound is not None):
            raise ValueError("a bound is not finite")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"the minimum {self.minimum:g} is more than the maximum {self.maximum:g}")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Times in seconds, sizes in rows.

    Running: `mode` "process" gives each revision processes of its own, "inline" runs an engine that holds no code of the
    user in the router; `workers` processes with `threads` each; a batch gathers up to `batch_rows` and waits `batch_wait_s`
    for more under load; a request is given up after `timeout_s`, refused when `queue_rows` wait; without a request for
    `idle_s` the model is unloaded (0: never); a process that grows above `memory_mb` is replaced by a fresh one (0: no
    bound). `bake_s`: for how long after a swap more than `bake_errors` failed answers,
    or a median latency above `bake_latency` times the one before, put the old revision back (0: no bake period).
    Record: `durable` answers after the log's fsync; `sample` is the share of requests logged; `redact` names inputs that
    are never logged; `subject` names the input by which a person's records are erased; `retention_days` how long records
    are kept (0: for ever). Doors: `rate` requests a second for each caller, in bursts of `burst` (0: no limit); `unknown`
    fields are rejected or ignored; `ranges` by input; `rules` as NAME/VERSION; `release` whose environment the model
    runs in; `explain` stores contributions with every prediction.
    """

    mode: Literal["process", "inline"] = "process"
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    batch_rows: Annotated[int, Meta(ge=1, le=65_536)] = 4096
    batch_wait_s: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    timeout_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 30.0
    queue_rows: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    idle_s: Seconds = 0.0
    memory_mb: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    bake_s: Seconds = 0.0
    bake_errors: Share = 0.01
    bake_latency: Annotated[float, Meta(ge=1.0, le=1e6)] = 1.5
    durable: bool = False
    sample: Share = 1.0
    redact: tuple[Name, ...] = ()
    subject: Name | None = None
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    rate: Annotated[float, Meta(ge=0.0, le=1e9)] = 0.0
    burst: Annotated[int, Meta(ge=1, le=10_000_000)] = 100
    unknown: Literal["reject", "ignore"] = "reject"
    ranges: dict[str, Range] = {}
    rules: Name | None = None
    release: Name | None = None
    explain: bool = False

    def __post_init__(self) -> None:
        if 0 < self.rate < LEAST_RATE:
            raise ValueError(f"the rate {self.rate:g} is less than {LEAST_RATE:g}, and not 0 for no limit")


DEFAULTS = Options()


def changed(old: Options, changes: Mapping[str, Any]) -> Options:
    """`old` with some options changed; None puts one back to its default. Invalid names what cannot be."""
    unknown = sorted(set(changes) - set(Options.__struct_fields__))
    if unknown:
        raise Invalid(
            f"There is no option {unknown[0][:80]!r}.", f"Options are: {', '.join(Options.__struct_fields__)}."
        )
    wished = {**plain(old), **changes}
    try:
        return msgspec.convert({name: value for name, value in wished.items() if value is not None}, Options)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The options cannot be taken: {error}.", "`loopline endpoint options` shows what stands."
        ) from None


def plain(options: Options) -> dict[str, Any]:
    """What differs from the defaults, as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(options)
    return found


def as_declared(options: Options) -> dict[str, Any]:
    """What differs from the defaults, as a file of a project has it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(options))
    return found


def decoded(text: str) -> Options:
    """Options as the database keeps them."""
    return msgspec.json.decode(text, type=Options) if text else DEFAULTS
