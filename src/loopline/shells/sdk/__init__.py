"""Loopline from Python: the same verbs on a home folder or on a server."""

from __future__ import annotations

from loopline.shells.sdk.client import Client, connect

__all__ = ["Client", "connect"]
