"""What was tracked and registered in other systems comes in, and goes out again."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The service over the engines and use-cases in `needs`."""
    from loopline.usecases.imports.service import Imports

    return Imports(**needs)


PART = Part("imports", build, needs=("database", "ledger", "tracking", "registry", "blobs", "clock", "home"))
