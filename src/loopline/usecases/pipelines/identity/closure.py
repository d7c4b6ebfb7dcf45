"""Follow a function to everything that it reaches by name."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import logging
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity import plain
from loopline.usecases.pipelines.identity.source import Definition, Source, chains, imports, names_around, source_of
from loopline.usecases.pipelines.identity.territory import Territory, distribution_of, is_library
from loopline.usecases.pipelines.model import Code, Piece

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_BLIND = frozenset({"eval", "exec", "globals", "locals", "vars", "__import__", "getattr", "importlib"})
_SILENT = (logging.Logger, typing.TypeVar, types.GenericAlias, types.UnionType)
_syntax: dict[int, tuple[ast.AST, str]] = {}


def code_of(function: types.FunctionType, territory: Territory) -> tuple[Code, dict[str, str]]:
    """The closure of a step's function, and the digests of the files beyond the project's folder that belong to it."""
    walk = Walk(territory)
    walk.follow(function, function.__qualname__, function.__module__)
    pieces = tuple(sorted(walk.pieces.values(), key=lambda piece: (piece.file, piece.kind, piece.name, piece.digest)))
    distributions = dict(sorted(walk.distributions.items()))
    parts = [part for piece in pieces for part in (piece.kind, piece.name, piece.file, piece.digest)]
    libraries = [part for pair in distributions.items() for part in pair]
    whole = digest("code", PYTHON, function.__qualname__, str(len(pieces)), *parts, *libraries)
    return Code(whole, pieces, distributions, PYTHON), walk.outside


class Walk:
    """One walk from one step: the pieces and distributions met so far."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self.pieces: dict[tuple[str, str, str], Piece] = {}
        self.distributions: dict[str, str] = {}
        self.outside: dict[str, str] = {}
        self._met: dict[int, Any] = {}

    def follow(self, value: Any, name: str, module: str) -> None:
        """Take in what `name`, found in `module`, stands for."""
        value = unwrapped(value)
        if isinstance(value, types.ModuleType):
            self._module(value, {()}, name)
        elif isinstance(value, types.FunctionType):
            self._once(value, lambda: self._function(value))
        elif isinstance(value, type):
            self._once(value, lambda: self._class(value))
        elif plain.is_plain(value):
            self._value(name, module, plain.digest_of(value))
        else:
            self._once(value, lambda: self._object(value, name, module))

    def _once(self, value: Any, take: Any) -> None:
        if id(value) not in self._met:
            self._met[id(value)] = value  # kept, so that no other object gets its id
            take()

    def _function(self, function: types.FunctionType) -> None:
        code, module = function.__code__, function.__module__ or ""
        if not self.territory.owns(code.co_filename):
            self._distribution(module_of(function))
            for inner in (getattr(function, "__wrapped__", None), *cells(function).values()):
                if isinstance(unwrapped(inner), types.FunctionType | type):
                    self.follow(inner, function.__qualname__, module)
            return
        source = source_of(code.co_filename)
        node = source.function(code.co_firstlineno, code.co_name) if source else None
        self._defaults(function)
        if source is None or node is None:
            self._bytecode(function)
            return
        self._piece("function", function.__qualname__, source, syntax(node))
        names = source.globals_of(node) | names_around(node)
        self._names(node, names, {**function.__globals__, **cells(function)}, module, source)

    def _bytecode(self, function: types.FunctionType) -> None:
        """A lambda, or code made at run time: what it is compiled to stands for its syntax."""
        code = function.__code__
        self._add(Piece("function", function.__qualname__, self._file(code.co_filename), compiled(code)))
        scope = {**function.__globals__, **cells(function)}
        for name in sorted(names_in(code)):
            if name in scope:
                self.follow(scope[name], name, function.__module__ or "")

    def _defaults(self, function: types.FunctionType) -> None:
        values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for position, value in enumerate(values):
            self.follow(value, f"{function.__qualname__} default {position + 1}", function.__module__ or "")

    def _class(self, cls: type) -> None:
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if not self.territory.owns(file):
            self._distribution(cls.__module__)
            return
        source = source_of(str(file))
        node = source.by_name.get(cls.__qualname__) if source else None
        if source is None or node is None:
            self._whole_file(str(file), f"the class {cls.__qualname__} was made at run time")
            return
        self._piece("class", cls.__qualname__, source, syntax(node))
        names = source.globals_of(node) | names_around(node)
        self._names(node, names, vars(sys.modules[cls.__module__]), cls.__module__, source)
        for base in cls.__mro__[1:]:
            self.follow(base, base.__qualname__, base.__module__)
        for name, value in vars(cls).items():  # what decorators or later statements put there
            if isinstance(unwrapped(value), types.FunctionType) and unwrapped(value).__code__.co_filename != file:
                self.follow(value, f"{cls.__qualname__}.{name}", cls.__module__)

    def _object(self, value: Any, name: str, module: str) -> None:
        if isinstance(value, _SILENT) or type(value).__module__ == "typing":
            return
        self.follow(type(value), type(value).__qualname__, type(value).__module__)
        inside = contents(value)
        if inside is not None:
            for key, one in inside:
                self.follow(one, f"{name}.{key}", module)
            return
        file = getattr(sys.modules.get(module), "__file__", None)
        if self.territory.owns(file):
            self._whole_file(str(file), f"{name} is {a(type(value).__name__)}, whose content cannot be followed")

    def _names(self, node: Definition, names: set[str], scope: Mapping[str, Any], module: str, source: Source) -> None:
        used, inside = chains(node), imports(node)
        local = self._imported(inside, module)
        if names & _BLIND or any(isinstance(one, ast.ImportFrom) and one.names[0].name == "*" for one in inside):
            blind = ", ".join(sorted(names & _BLIND)) or "import *"
            self._whole_file(source.path, f"{node.name} uses {blind}, which cannot be followed")
        for name in sorted(names | local.keys()):
            if name in local or name in scope:
                value = local.get(name, scope.get(name))
                if isinstance(value, types.ModuleType):
                    self._module(value, used.get(name, set()), name)
                else:
                    self.follow(value, name, module)

    def _imported(self, inside: Iterable[ast.Import | ast.ImportFrom], module: str) -> dict[str, Any]:
        """What imports inside a function bring: own modules are imported, of others only the distribution counts."""
        found: dict[str, Any] = {}
        for one in inside:
            if isinstance(one, ast.Import):
                for alias in one.names:
                    loaded = self._loaded(alias.name)
                    if loaded is not None:
                        name = alias.asname or alias.name.partition(".")[0]
                        found[name] = loaded if alias.asname else sys.modules[name]
            else:
                found |= self._imported_from(one, module)
        return found

    def _imported_from(self, one: ast.ImportFrom, module: str) -> dict[str, Any]:
        package = getattr(sys.modules.get(module), "__package__", "") or ""
        name = (
            importlib.util.resolve_name("." * one.level + (one.module or ""), package)
            if one.level
            else one.module or ""
        )
        loaded, found = self._loaded(name), {}
        for alias in one.names if loaded is not None else ():
            value = getattr(loaded, alias.name, None)
            found[alias.asname or alias.name] = self._loaded(f"{name}.{alias.name}") if value is None else value
        return found

    def _loaded(self, name: str) -> types.ModuleType | None:
        root = name.partition(".")[0]
        folder = Path(self.territory.folder)
        known = sys.modules.get(root)
        own = self.territory.owns(getattr(known, "__file__", None) or "") if known else False
        if own or (folder / f"{root}.py").exists() or (folder / root).is_dir():
            try:
                return importlib.import_module(name)
            except ImportError:
                return None
        self._distribution(root)
        return None

    def _module(self, module: types.ModuleType, used: Iterable[tuple[str, ...]], name: str) -> None:
        file = getattr(module, "__file__", None)
        if not self.territory.owns(file):
            if file or module.__name__ not in sys.builtin_module_names:
                self._distribution(module.__name__)
            return
        for path in sorted(used):
            if not path:
                self._whole_file(str(file), f"the module {module.__name__} is used as a value")
            elif hasattr(module, path[0]):
                value = getattr(module, path[0])
                if isinstance(value, types.ModuleType):
                    self._module(value, {path[1:]}, path[0])
                else:
                    self.follow(value, path[0], module.__name__)

    def _distribution(self, module: str | None) -> None:
        found = distribution_of((module or "").partition(".")[0]) if module else None
        if found:
            self.distributions[found[0]] = found[1]

    def _value(self, name: str, module: str, value: str) -> None:
        file = getattr(sys.modules.get(module), "__file__", None) or module
        self._add(Piece("value", name, self._file(file), value))

    def _whole_file(self, file: str, note: str) -> None:
        source = source_of(file)
        if source is not None:
            self._add(Piece("file", self._file(file), self._file(file), source.digest, note))

    def _piece(self, kind: str, name: str, source: Source, content: str) -> None:
        if not self.territory.inside(source.path):
            self.outside[source.path] = source.digest
        self._add(Piece(kind, name, self._file(source.path), content))

    def _add(self, piece: Piece) -> None:
        self.pieces[piece.kind + piece.digest, piece.name, piece.file] = piece

    def _file(self, file: str) -> str:
        return self.territory.short(file)


def unwrapped(value: Any) -> Any:
    """The function behind a step, pipeline, property, class or static method, cached function or bound method."""
    for _ in range(20):
        if isinstance(value, types.FunctionType | type | types.ModuleType):
            return value
        if isinstance(value, staticmethod | classmethod | types.MethodType):
            value = value.__func__
        elif isinstance(value, property | functools.cached_property):
            value = value.fget if isinstance(value, property) else value.func
        elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            value = value.__wrapped__
        else:
            break
    return value


def contents(value: Any) -> list[tuple[str, Any]] | None:
    """What is inside a container or an object of plain attributes; None when that cannot be known."""
    if isinstance(value, functools.partial):
        return [("func", value.func), *((str(n), one) for n, one in enumerate(value.args)), *value.keywords.items()]
    if isinstance(value, dict | types.MappingProxyType):
        return [(repr(key)[:40], item) for key, item in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [(str(n), one) for n, one in enumerate(value)]
    if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType):
        return []
    fields = getattr(type(value), "__struct_fields__", None) or getattr(type(value), "__slots__", None)
    own = type(value).__module__ in sys.modules and hasattr(value, "__dict__")
    if own and not is_native(type(value)):
        return list(vars(value).items())
    return [(name, getattr(value, name, None)) for name in fields] if fields and not is_native(type(value)) else None


def is_native(cls: type) -> bool:
    """Whether a class, or one that it is made of, keeps state where Python cannot see it or is a library's own."""
    roots = {base.__module__.partition(".")[0] for base in cls.__mro__ if base is not object}
    return any(distribution_of(root) is not None and is_library(file_of(root)) for root in roots)


def file_of(root: str) -> str:
    """Where a loaded top-level module lies."""
    return getattr(sys.modules.get(root), "__file__", None) or ""


def cells(function: types.FunctionType) -> dict[str, Any]:
    """The values that a closure holds, by name."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def module_of(function: types.FunctionType) -> str:
    """The module in which a function's code was written, whatever a decorator made of `__module__`."""
    name = function.__globals__.get("__name__")
    return str(name or function.__module__ or "")


def syntax(node: ast.AST) -> str:
    """The digest of a definition's syntax; known nodes are not hashed again."""
    known = _syntax.get(id(node))
    if known is None or known[0] is not node:
        known = _syntax[id(node)] = (node, digest("syntax", ast.dump(node, annotate_fields=False)))
    return known[1]


def compiled(code: types.CodeType) -> str:
    """The digest of compiled code and its constants without positions."""
    constants = [compiled(one) if isinstance(one, types.CodeType) else repr(one) for one in code.co_consts]
    return digest("bytecode", code.co_code, *code.co_names, "", *code.co_varnames, "", *constants)


def names_in(code: types.CodeType) -> set[str]:
    """All names that compiled code mentions, inner functions included."""
    inner = [names_in(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return {*code.co_names, *code.co_freevars}.union(*inner)


def a(word: str) -> str:
    """The word with its article."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
