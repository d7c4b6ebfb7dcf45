"""Follow a function to everything that it reaches by name."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity import plain
from loopline.usecases.pipelines.identity.lookups import (
    ambiguous,
    at,
    cells,
    compiled,
    current_subclasses,
    file_of,
    is_ours,
    label,
    module_of,
    names_in,
    shown,
)
from loopline.usecases.pipelines.identity.modules import Modules
from loopline.usecases.pipelines.identity.objects import Content, contents, is_silent
from loopline.usecases.pipelines.identity.source import Part, Source
from loopline.usecases.pipelines.identity.territory import Territory
from loopline.usecases.pipelines.model import Code

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

_STATEFUL = frozenset({"decimal", "locale", "os", "random"})  # what functions called on import set there counts
_HARMLESS = frozenset(
    {"builtins", "logging", "loopline", "sys", "warnings"}
)  # what modules set there changes no result


def code_of(function: types.FunctionType, territory: Territory) -> tuple[Code, dict[str, str]]:
    """The closure of a step's function, and the digests of the files beyond the project's folder that belong to it."""
    walk = Walk(territory)
    walk.follow(function, function.__qualname__, function.__module__, handed=True)
    walk.finish()
    pieces = tuple(sorted(walk.pieces.values(), key=lambda piece: (piece.file, piece.kind, piece.name, piece.digest)))
    distributions = dict(sorted(walk.distributions.items()))
    parts = [part for piece in pieces for part in (piece.kind, piece.name, piece.file, piece.digest)]
    libraries = [part for pair in distributions.items() for part in pair]
    whole = digest("code", PYTHON, function.__qualname__, str(len(pieces)), *parts, *libraries)
    return Code(whole, pieces, distributions, PYTHON), walk.outside


class Walk(Modules):
    """One walk from one step: the pieces and distributions met so far.

    Everything is followed once, and what is inside of it later: a chain of calls may be longer than Python's stack is
    deep. What is reached by a second name, or by another name than its own, gives a piece of the
    kind `name`, so that exchanging two names for each other is noticed.
    """

    def __init__(self, territory: Territory) -> None:
        super().__init__(territory)
        self._open: deque[Callable[[], None]] = deque()
        self._met: dict[tuple[int, bool], tuple[Any, str]] = {}
        self._classes: list[type] = []
        self._noted = False
        self._sources: dict[str, tuple[Source, Mapping[str, Any]]] = {}

    def follow(self, value: Any, name: str, module: str, handed: bool = False) -> None:
        """Take in what `name`, found in `module`, stands for. The annotations of what is `handed` around count."""
        if isinstance(value, types.FunctionType):
            self._function(value, name, module, handed)
        elif isinstance(value, type):
            self._class(value, name, module)
        elif isinstance(value, types.ModuleType):
            self._module(value, {()}, name, module)
        elif plain.is_plain(value):
            self._value(value, name, module)
        elif isinstance(value, Content):
            self._piece("value", name, self._file(module), value.digest)
        else:
            self._other(value, name, module, handed)

    def _value(self, value: Any, name: str, module: str) -> None:
        """A plain value, where it is written: constants are often imported from where they are kept."""
        first, home = self._written(name, module) if name.isidentifier() else (name, module)
        if home != module:
            self._name(name, module, f"{self._file(home)}:{first}")
        self._piece("value", first, self._file(home), plain.digest_of(value, self.territory.folder))

    def _other(self, value: Any, name: str, module: str, handed: bool) -> None:
        if is_ours(value):
            inner = getattr(value, "function", None)
            if isinstance(inner, types.FunctionType):
                self.follow(inner, name, module, handed=True)
        elif isinstance(value, staticmethod | classmethod):
            self.follow(value.__func__, name, module, handed)
        elif isinstance(value, property):
            for part in (value.fget, value.fset, value.fdel):
                self.follow(part, name, module)
        elif isinstance(value, functools.cached_property):
            self.follow(value.func, name, module)
        elif isinstance(value, types.MethodType):
            self.follow(value.__self__, f"{name}.self", module)
            self.follow(value.__func__, f"{name}.method", module, handed)
        elif not is_silent(value):
            self._object(value, name, module)

    def _once(self, value: Any, name: str, handed: bool = False) -> str:
        """The name under which a value was met before; empty the first time."""
        known = self._met.get((id(value), handed))
        if known is None:
            self._met[id(value), handed] = (value, name)  # kept, so that no other object gets its id
            return ""
        return known[1]

    def _function(self, function: types.FunctionType, name: str, module: str, handed: bool) -> None:
        code = function.__code__
        if is_ours(function):
            return
        if not self.territory.owns(code.co_filename):
            self._foreign_function(function, name, module)
            return
        file, made = self._file(code.co_filename), "<locals>" in code.co_qualname
        source = self.territory.source(code.co_filename)
        part = source.definition(code) if source else None
        first = self._once(function, name, handed)
        if name != code.co_qualname or self._file(module) != file:
            which = (first or name) if made else ambiguous(source, part, code)
            self._name(name, module, f"{file}:{code.co_qualname}:{which}")
        if not first:
            path = name if made else code.co_qualname
            self._open.append(lambda: self._body(function, path, source, part, handed))

    def _body(
        self, function: types.FunctionType, path: str, source: Source | None, part: Part | None, handed: bool
    ) -> None:
        home = module_of(function)
        for position, value in enumerate((*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())):
            self.follow(value, f"{path} default {position + 1}", home)
        held = cells(function)
        for key, value in held.items():
            self.follow(value, f"{path}.{key}", home)
        for key, value in vars(function).items():
            if key != "__wrapped__":
                self.follow(value, f"{path}.{key}", home)
        if source is None or part is None:
            self._bytecode(function, path)
        else:
            scope = function.__globals__
            self._part("function", function.__code__.co_qualname, part, source, scope, home, held.keys(), handed)

    def _bytecode(self, function: types.FunctionType, path: str) -> None:
        """Code made at run time: what it is compiled to stands for its syntax."""
        code, scope = function.__code__, function.__globals__
        self._piece("function", path, self.territory.short(code.co_filename), compiled(code))
        for name in sorted(names_in(code) & scope.keys()):
            self.follow(scope[name], name, module_of(function), handed=True)

    def _foreign_function(self, function: types.FunctionType, name: str, module: str) -> None:
        """A library's function; of a wrapper that it put around own functions, these."""
        home = module_of(function)
        if not function.__code__.co_filename.endswith(".py") and self._owned_file(home):
            self._bytecode(function, name)
            self._whole(home, f"{name} was made when the module was imported")
            return
        self._distribution(home)
        self._name(name, module, label(function.__globals__.get("__name__", ""), function.__code__.co_qualname))
        if self._once(function, name):
            return
        inside = {"wrapped": getattr(function, "__wrapped__", None), "registry": getattr(function, "registry", None)}
        for key, inner in {**cells(function), **inside}.items():
            if isinstance(inner, types.FunctionType | type | types.MethodType) or (key == "registry" and inner):
                self.follow(inner, f"{name}.{key}", module)

    def _class(self, cls: type, name: str, module: str) -> None:
        file = file_of(cls.__module__)
        if is_ours(cls):
            return
        if not self.territory.owns(file):
            self._distribution(cls.__module__)
            self._name(name, module, label(cls.__module__, cls.__qualname__))
            return
        first, made = self._once(cls, name), "<locals>" in cls.__qualname__
        if name != cls.__qualname__ or self._file(module) != self._file(cls.__module__):
            which = (first or name) if made else ""
            self._name(name, module, f"{self._file(cls.__module__)}:{cls.__qualname__}:{which}")
        if not first:
            self._open.append(lambda: self._members(cls, name, self.territory.source(file), made))

    def _members(self, cls: type, name: str, source: Source | None, made: bool) -> None:
        parts = source.by_name.get(cls.__qualname__, ()) if source else ()
        if source is None or not parts:
            self._made_class(cls)
        scope = vars(sys.modules[cls.__module__])
        for source, part in ((source, part) for part in parts if source is not None):
            self._part("class", cls.__qualname__, part, source, scope, cls.__module__, (), True)
        for base in (*cls.__mro__[1:-1], type(cls)):
            if self._owned_file(base.__module__):
                self.follow(base, base.__qualname__, base.__module__)
            else:
                self._distribution(base.__module__)
        self._class_values(cls, source)
        for held in (cells(one) for one in vars(cls).values() if made and isinstance(one, types.FunctionType)):
            for key, value in held.items():
                if key != "__class__":
                    self.follow(value, f"{name}.{key}", cls.__module__)
        self._classes.append(cls)

    def _made_class(self, cls: type) -> None:
        """A class that a call made: a named tuple by its fields, any other by the whole of its module."""
        fields = getattr(cls, "_fields", None)
        if isinstance(fields, tuple) and issubclass(cls, tuple):
            self.follow(fields, f"{cls.__qualname__} fields", cls.__module__)
            self.follow(getattr(cls, "_field_defaults", {}), f"{cls.__qualname__} defaults", cls.__module__)
        elif isinstance(members := getattr(cls, "__members__", None), types.MappingProxyType):
            values = {name: getattr(one, "value", one) for name, one in members.items()}
            self.follow(values, f"{cls.__qualname__} members", cls.__module__)
        else:
            self._whole(cls.__module__, f"the class {cls.__qualname__} was made at run time")

    def _class_values(self, cls: type, source: Source | None) -> None:
        """Values of class attributes, and functions that decorators or later statements put there."""
        for name, value in vars(cls).items():
            if name.startswith(("__", "_abc_")) or (name.startswith("_") and name.endswith("_")):
                continue
            inner = getattr(value, "__func__", value)
            if isinstance(inner, types.FunctionType):
                written = source.definition(inner.__code__) if source else None
                wraps = self.territory.owns(inner.__code__.co_filename) or hasattr(inner, "__wrapped__")
                if wraps and (
                    written is None
                    or written not in source.by_name.get(f"{cls.__qualname__}.{inner.__name__}", ())  # type: ignore[union-attr]
                    or source.path != inner.__code__.co_filename  # type: ignore[union-attr]
                ):
                    self.follow(inner, f"{cls.__qualname__}.{name}", cls.__module__)
            elif plain.is_plain(value) or isinstance(value, dict | list | set):
                self.follow(value, f"{cls.__qualname__}.{name}", cls.__module__)
            elif isinstance(dispatcher := getattr(value, "dispatcher", None), types.FunctionType):
                self.follow(dispatcher, f"{cls.__qualname__}.{name}", cls.__module__)

    def _object(self, value: Any, name: str, module: str) -> None:
        first = self._once(value, name)
        if first:
            self._name(name, module, f"same as {first}")
            return
        self._open.append(lambda: self._content(value, name, module))

    def _content(self, value: Any, name: str, module: str) -> None:
        cls = type(value)
        try:
            inside = contents(value, self.territory)
        except Exception:  # an object that does not like to be looked into: its attributes may run any code
            inside = None
        if self.territory.owns(file_of(cls.__module__)) or self.territory.distributions(cls.__module__):
            self.follow(cls, f"{name}.type", module)
        elif inside:
            self._name(name, module, label(cls.__module__, cls.__qualname__))
        for key, one in inside or ():
            self.follow(one, f"{name}.{key}", module, handed=True)
        if inside is None:
            self._whole(module, f"{name} is {shown(cls.__name__)}, whose content cannot be followed")

    def _part(
        self,
        kind: str,
        name: str,
        part: Part,
        source: Source,
        scope: Mapping[str, Any],
        module: str,
        held: Iterable[str],
        handed: bool,
    ) -> None:
        """A definition: its syntax, its decorators, its annotations where they count, and all that it names."""
        foreign = tuple(not is_ours(at(scope, path)) for _, path, _ in part.decorators)
        counted = handed or any(foreign)
        if not counted:
            self._libraries(part.annotated, scope)
        if source.path not in self._sources:
            self._own_file(source)
            self._sources[source.path] = (source, scope)
        content, names = part.counted(kind, counted, foreign)
        self._piece(kind, name, self.territory.short(source.path), content)
        self._blind(part, scope, module)
        local = self._imported(part.imports, module) if part.imports else {}
        for one in sorted({*names, *local}) if local else names:
            if (one in local or one in scope) and one not in held:
                value = local[one] if one in local else scope[one]
                self._reached(value, one, module, part.chains.get(one, ()), one in part.handed or kind == "class")

    def _libraries(self, names: Iterable[str], scope: Mapping[str, Any]) -> None:
        """Of annotations that do not count, the libraries do: their objects are what the code works on."""
        for name in names:
            value = scope.get(name)
            home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            if isinstance(home, str) and not self._owned_file(home):
                self._distribution(home)

    def _blind(self, part: Part, scope: Mapping[str, Any], module: str) -> None:
        """What cannot be followed takes the whole of its module, and says so."""
        if not part.is_open:
            return
        self._noted |= "__subclasses__" in part.loads
        blind = sorted(one for one in part.blind if one not in scope)
        blind += ["import *"] * any(one.names[0].name == "*" for one in part.imports)
        if blind:
            self._whole(module, f"{part.name} uses {', '.join(blind)}, which cannot be followed")
        for name in sorted(part.loads - {"__subclasses__"}):
            loaded = None if name.endswith("*") else self._loaded(name)
            if loaded is not None:
                self._module(loaded, {()}, name, module)
            elif name.endswith("*"):
                self._all_files(name[:-1], f"{part.name} imports modules by a name that is made when it runs")

    def finish(self) -> None:
        """Go through all that is still open; then through subclasses, where classes take note of theirs or code asks for
        them, and through statements."""
        self._go()
        for cls in self._classes:  # which grows meanwhile
            told = any("__init_subclass__" in vars(base) for base in cls.__mro__ if self._owned_file(base.__module__))
            for one in current_subclasses(cls) if told or self._noted else ():
                self._name(f"{cls.__qualname__} subclass", cls.__module__, f"{one.__module__}.{one.__qualname__}")
                self.follow(one, one.__qualname__, one.__module__)
            self._go()
        self._statements()

    def _go(self) -> None:
        while self._open:
            self._open.popleft()()

    def _statements(self) -> None:
        """Statements of the modules met that set something in a library which the step uses, as `pd.set_option(…)`, and
        what is registered there."""
        done: set[str] = set()
        while self._sources.keys() - done:
            for file in sorted(self._sources.keys() - done):
                done.add(file)
                source, scope = self._sources[file]
                for found, path, names, text in source.effects:
                    if self._affects(at(scope, path[:1])):
                        self._piece("statement", text, self.territory.short(file), found)
                        self._set(names, scope)
            self._go()

    def _set(self, names: Iterable[str], scope: Mapping[str, Any]) -> None:
        """Values, functions and classes that a statement hands to a library."""
        for name in sorted(names):
            value = scope.get(name)
            if isinstance(value, types.FunctionType | type) or (name in scope and plain.is_plain(value)):
                self.follow(value, name, str(scope.get("__name__")), handed=True)

    def _affects(self, root: Any) -> bool:
        """Whether something of a library is meant that the step uses, or an own function that sets something there."""
        if isinstance(root, types.FunctionType) and self.territory.owns(root.__code__.co_filename):
            source = self.territory.source(root.__code__.co_filename)
            part = source.definition(root.__code__) if source else None
            named = [root.__globals__.get(name) for name in part.names] if part else []
            return any(self._sets(one) for one in named if isinstance(one, types.ModuleType))
        module = root.__name__ if isinstance(root, types.ModuleType) else getattr(root, "__module__", None)
        if not isinstance(module, str) or self._owned_file(module) or is_ours(root):
            return False
        if self.territory.distributions(module):
            return self._uses(module)
        return module.partition(".")[0] not in _HARMLESS

    def _sets(self, module: types.ModuleType) -> bool:
        return module.__name__ in _STATEFUL or self._uses(module.__name__)

    def _uses(self, module: str) -> bool:
        return any(name in self.distributions for name, _ in self.territory.distributions(module))
