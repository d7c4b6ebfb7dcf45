"""Runs that log by themselves: `enable` patches libraries when they are imported, `disable` puts everything back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.tracking.autologging.importing import wait_no_more, when_imported
from loopline.usecases.tracking.autologging.patching import Settings, restore, settings_are

LIBRARIES = {
    "sklearn": "loopline.usecases.tracking.autologging.scikit",
    "lightgbm": "loopline.usecases.tracking.autologging.light",
    "xgboost": "loopline.usecases.tracking.autologging.extreme",
    "torch": "loopline.usecases.tracking.autologging.torches",
}


def enable(settings: Settings, libraries: Iterable[str] | None = None) -> None:
    """Have the libraries log (all that are known, unless some are named); Invalid for an unknown one."""
    wanted = tuple(LIBRARIES if libraries is None else libraries)
    for name in wanted:
        if name not in LIBRARIES:
            raise Invalid(f"Nothing of {name!r} is logged by itself.", f"Use one of {', '.join(LIBRARIES)}.")
    disable()
    settings_are(settings)
    for name in wanted:
        if name in sys.modules:
            patch(name)
        else:
            when_imported(name, patch)


def disable() -> None:
    """Put back all that was patched."""
    wait_no_more()
    restore()


def patch(name: str) -> Any:
    """Patch a library that is imported."""
    import_module(LIBRARIES[name]).patch(sys.modules[name])
