"""Modules that code reaches: by attribute, imported late, used as values, or by a name made when it runs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from loopline.usecases.pipelines.identity.found import Found
from loopline.usecases.pipelines.identity.lookups import file_of


class Modules(Found):
    """The part of a walk that goes through modules."""

    @abstractmethod
    def follow(self, value: Any, name: str, module: str, handed: bool = False) -> None:
        """Take in what `name`, found in `module`, stands for. The annotations of what is `handed` around count."""

    def _written(self, name: str, module: str) -> tuple[str, str]:
        """The name and the own module in which a module's name is assigned, past `from … import …`."""
        for _ in range(10):
            source = self.territory.source(self._owned_file(module)) if self._owned_file(module) else None
            level, origin, first = source.brought.get(name, (0, "", "")) if source else (0, "", "")
            package = getattr(sys.modules.get(module), "__package__", "") or ""
            if not first or (level and not package):
                break
            origin = importlib.util.resolve_name("." * level + origin, package) if level else origin
            if not self._owned_file(origin) or not hasattr(sys.modules[origin], first):
                break
            name, module = first, origin
        return name, module

    def _reached(self, value: Any, name: str, module: str, used: Iterable[tuple[str, ...]], handed: bool) -> None:
        if isinstance(value, types.ModuleType):
            self._module(value, used, name, module)
        else:
            self.follow(value, name, module, handed)

    def _all_files(self, prefix: str, note: str) -> None:
        for file in self.territory.files(prefix):
            source = self.territory.source(file)
            if source is not None:
                self._piece("file", self.territory.short(file), self.territory.short(file), source.whole, note)
                self._imported(source.imports, "")

    def _imported(self, inside: Iterable[Any], module: str) -> dict[str, Any]:
        """What imports inside a function bring: own modules are imported, of others only the distribution counts."""
        found: dict[str, Any] = {}
        for one in inside:
            if hasattr(one, "module"):
                found |= self._imported_from(one, module)
                continue
            for alias in one.names:
                loaded = self._loaded(alias.name)
                if loaded is not None:
                    name = alias.asname or alias.name.partition(".")[0]
                    found[name] = loaded if alias.asname else sys.modules[name]
        return found

    def _imported_from(self, one: Any, module: str) -> dict[str, Any]:
        package = getattr(sys.modules.get(module), "__package__", "") or ""
        if one.level and not package:
            return {}
        name = importlib.util.resolve_name("." * one.level + (one.module or ""), package) if one.level else one.module
        loaded, found = self._loaded(name), {}
        for alias in one.names if loaded is not None else ():
            value = getattr(loaded, alias.name, None)
            found[alias.asname or alias.name] = self._loaded(f"{name}.{alias.name}") if value is None else value
        return found

    def _loaded(self, name: str) -> types.ModuleType | None:
        """An own module, imported; None for others, whose distribution counts, and for what cannot be imported."""
        root = name.partition(".")[0]
        if not self.territory.owns(file_of(root)) and not self.territory.has_module(root):
            self._distribution(root)
            return None
        try:
            return importlib.import_module(name)
        except Exception:  # whatever its code raises: the step itself will meet it
            self._all_files(name, f"{name} cannot be imported")
            return None

    def _module(self, module: types.ModuleType, used: Iterable[tuple[str, ...]], name: str, where: str) -> None:
        file = getattr(module, "__file__", None)
        if (not self.territory.owns(file) and not hasattr(module, "__path__")) or self._is_library(module):
            self._distribution(module.__name__)
        if name.rpartition(".")[2] not in (module.__name__, module.__name__.rpartition(".")[2]):
            self._name(name, where, f"module {module.__name__}")
        if self._is_library(module):
            return
        for path in sorted(used):
            self._attribute(module, path)

    def _attribute(self, module: types.ModuleType, path: tuple[str, ...]) -> None:
        if not path or path[0] == "__dict__":
            self._whole(module.__name__, f"the module {module.__name__} is used as a value")
            return
        value = getattr(module, path[0], None)
        if value is None and not hasattr(module, path[0]):
            value = self._loaded(f"{module.__name__}.{path[0]}") if hasattr(module, "__path__") else None
            if value is None:
                self._whole(module.__name__, f"{path[0]} is not in the module {module.__name__}")
                return
        self._reached(value, path[0], module.__name__, {path[1:]}, True)

    def _is_library(self, module: types.ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        if file is None:  # a folder without __init__.py, or built in
            places = [str(one) for one in getattr(module, "__path__", ())]
            return not any(self.territory.owns(f"{one}/__init__.py") for one in places)
        return not self.territory.owns(file)

    def _whole(self, module: str, note: str) -> None:
        """All of a module, and everything that it names."""
        file = self._owned_file(module)
        source = self.territory.source(file) if file else None
        if source is None:
            return
        short = self.territory.short(source.path)
        if ("file" + source.whole, short, short) in self.pieces:
            return
        self._own_file(source)
        self._piece("file", short, short, source.whole, note)
        self._imported(source.imports, module)
        for name, value in sorted(vars(sys.modules[module]).items()):
            if not name.startswith("__"):
                self._reached(value, name, module, source.chains.get(name, ()), True)
