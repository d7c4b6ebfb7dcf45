"""The ways into an endpoint: each door is a module whose `routes` name its addresses."""

from __future__ import annotations

from importlib import import_module
from typing import Any

DOORS = ("plain", "open_inference", "scoring", "described", "truth")


def routes(name: bytes) -> list[tuple[bytes, bytes, Any, Any]]:
    """(path, method, role, call) of all doors of the endpoint `name`; `call(app, exchange, served)` answers or raises a
    Fault."""
    modules = [import_module(f"loopline.shells.dataplane.doors.{door}") for door in DOORS]
    return [route for module in modules for route in module.routes(name)]


def fixed() -> list[tuple[bytes, Any]]:
    """(path, call) of what the doors answer to GET beside any endpoint; `call(app, exchange)`."""
    from loopline.shells.dataplane.doors import scoring

    return scoring.fixed()
