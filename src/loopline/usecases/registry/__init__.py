"""Registered models: immutable versions, and aliases that move."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The registry service over the engines in `needs`."""
    from loopline.usecases.registry.service import Registry

    return Registry(**needs)


PART = Part(
    "registry",
    build=build,
    needs=(
        "database",
        "ledger",
        "blobs",
        "clock",
        "home",
        "runtimes",
        "engines",
        "tracking",
        "projects",
        "serving",
        "promotion",
        "datasets",
        "monitoring",
        "automation",
    ),
)
