"""Projects: what a folder declares, applied as data and code by digest."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The projects service over the engines in `needs`."""
    from loopline.usecases.projects.service import Projects

    return Projects(**needs)


PART = Part(
    "projects", build=build, needs=("database", "ledger", "blobs", "clock", "datasets", "serving", "monitoring")
)
