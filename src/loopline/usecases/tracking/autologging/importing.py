"""Acting when a module is imported, without importing it."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_log = logging.getLogger("loopline")
_waiting: dict[str, Callable[[str], Any]] = {}
_local = threading.local()


class Finder(MetaPathFinder):
    """Stands before the others and lets them find; what is waited for gets a loader that tells when it is done."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        if name not in _waiting or getattr(_local, "looking", False):
            return None
        _local.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            _local.looking = False
        if spec is not None and spec.loader is not None:
            spec.loader = Telling(spec.loader)
        return spec


class Telling(Loader):
    """A loader that acts after the module was executed, and is otherwise the one that it stands for."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `Loader`."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Execute it, then act; an error of the act stays here."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        act = _waiting.pop(module.__name__, None)
        if act is None:
            return
        try:
            act(module.__name__)
        except Exception as error:  # the import must not fail for this
            _log.warning("%s logs nothing by itself (%s: %s).", module.__name__, type(error).__name__, error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder = Finder()


def when_imported(name: str, act: Callable[[str], Any]) -> None:
    """Call `act(name)` after the module is imported for the first time."""
    _waiting[name] = act
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def wait_no_more() -> None:
    """Forget all that is waited for."""
    _waiting.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
