"""Datasets: snapshots by content, each batch checked by its contract before anything uses it."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part
from loopline.usecases.datasets.model import Contract, column

__all__ = ["PART", "Contract", "column"]


def build(**needs: Any) -> Any:
    """The datasets service over the engines in `needs`."""
    from loopline.usecases.datasets.service import Datasets

    return Datasets(**needs)


PART = Part("datasets", build=build, needs=("database", "ledger", "blobs", "clock"))
