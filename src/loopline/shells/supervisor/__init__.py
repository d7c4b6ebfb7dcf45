"""Keeps the processes of `loopline up` alive. It imports as little as possible: it must outlive all the others."""

from __future__ import annotations

from loopline.shells.supervisor.service import Supervisor

__all__ = ["Supervisor"]
