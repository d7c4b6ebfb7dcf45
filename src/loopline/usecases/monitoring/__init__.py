"""Profiles, drift, performance with late truth, and few alerts."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The monitoring service over the engines and services in `needs`."""
    from loopline.usecases.monitoring.service import Monitoring

    return Monitoring(**needs)


PART = Part(
    "monitoring",
    build=build,
    needs=(
        "database", "ledger", "clock", "registry", "serving", "projects", "notify", "home", "datasets", "automation",
    ),
)  # fmt: skip
