"""How much one client may ask of the data plane."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 16 << 20
    bodies: int = 256 << 20
    head: int = 64 << 10
    url: int = 8 << 10
    headers: int = 100
    rows: int = 10_000
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
