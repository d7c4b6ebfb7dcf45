"""How much one client may ask of the data plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loopline.core.errors import Invalid

PREFIX = "LOOPLINE_SERVING_"
MEGABYTE = 1 << 20
SETTINGS = {
    "BODY_MB": ("body", MEGABYTE), "COLUMNAR_MB": ("columnar", MEGABYTE), "ROWS": ("rows", 1),
    "COLUMNAR_ROWS": ("columnar_rows", 1), "BODY_SECONDS": ("body_s", 1.0),
    "HEAD_SECONDS": ("head_s", 1.0), "CONNECTIONS": ("connections", 1), "BODIES_MB": ("bodies", MEGABYTE),
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. `body` is for text (JSON, CSV), `columnar` for Arrow and binary tensors, both
    before and after decompression; `rows` and `columnar_rows` likewise."""

    body: int = 16 << 20
    columnar: int = 64 << 20
    bodies: int = 256 << 20
    head: int = 64 << 10
    url: int = 8 << 10
    headers: int = 100
    rows: int = 10_000
    columnar_rows: int = 200_000
    connections: int = 4096
    pipelined: int = 64
    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 75.0
    stuck_s: float = 30.0
    waiting_rows: int = 100_000
    batch_rows: int = 4096
    model_s: float = 30.0
    start_s: float = 120.0
    wait_s: float = 10.0
    warm_s: float = 60.0
    grace_s: float = 6.0
    linger_s: float = 1.0
    unflushed_rows: int = 500_000
    flush_s: float = 0.05


def configured(environment: Mapping[str, str]) -> Limits:
    """The limits with what LOOPLINE_SERVING_… variables say. Invalid names a variable that is no positive number."""
    limits = Limits()
    for name, (field, unit) in SETTINGS.items():
        text = environment.get(PREFIX + name, "")
        if text:
            number: Any = _number(PREFIX + name, text, unit)
            limits = replace(limits, **{field: number})
    return limits


def _number(name: str, text: str, unit: float) -> float:
    try:
        number = (int(text) if isinstance(unit, int) else float(text)) * unit
    except ValueError:
        number = 0
    if not 0 < number < 1e12:
        raise Invalid(f"{name}={text[:40]!r} is not a positive number.", "Set it as in LOOPLINE_SERVING_BODY_MB=32.")
    return number


def variable(name: str, value: object) -> str:
    """How a limit is raised, as the end of a hint."""
    return f"or start the server with {PREFIX}{name}={value}"
