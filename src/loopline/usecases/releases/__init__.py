"""Releases: a pipeline sealed with its code, its tests, its lock and its contracts, and moved through environments."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The releases service over the engines and services in `needs`."""
    from loopline.usecases.releases.service import Releases

    return Releases(**needs)


_NEEDS = ("database", "ledger", "blobs", "clock", "home", "signer", "projects", "datasets", "pipelines", "automation")
PART = Part("releases", build=build, needs=_NEEDS)
