"""Executors: in this process, or in worker processes of this machine."""

from __future__ import annotations
