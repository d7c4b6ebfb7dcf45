"""Small real things for tests."""

from __future__ import annotations

from pathlib import Path

from loopline.app.wiring import Loopline, open_home


def installation(folder: Path) -> Loopline:
    """A new installation in `folder`/home; close it after use (it is a context manager)."""
    return open_home(folder / "home")
