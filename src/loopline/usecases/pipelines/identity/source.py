"""Source files, parsed once: the syntax of each definition without positions, comments and docstrings."""

from __future__ import annotations

import ast
import functools
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity.scopes import Definition, all_of, free_names, names_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLIND = frozenset({"eval", "exec", "globals", "vars", "getattr"})
_known: dict[str, tuple[tuple[int, int, int], Source]] = {}


class Part:
    """A definition as identity sees it.

    `digest` is its syntax without decorators and, for a function without any, without annotations, which
    `annotations` stands for; `names` are what body and defaults take from around it.
    """

    def __init__(self, node: Definition | ast.Lambda, annotations: str, annotated: frozenset[str]) -> None:
        self.node = node
        self.name = "lambda" if isinstance(node, ast.Lambda) else node.name
        self.annotations = annotations
        self.annotated = annotated
        self._counted: dict[tuple[str, bool, tuple[bool, ...]], tuple[str, tuple[str, ...]]] = {}

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the syntax."""
        parts = [*ast.iter_child_nodes(self.node)]
        decorators = {id(one) for one in getattr(self.node, "decorator_list", ())}
        dumps = [ast.dump(one, annotate_fields=False) for one in parts if id(one) not in decorators]
        return digest("syntax", type(self.node).__name__, self.name, *dumps)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Names taken from around, those of annotations and decorators left out."""
        if isinstance(self.node, ast.ClassDef):
            return free_names(self.node) | names_of([*self.node.bases, *self.node.keywords])
        arguments = self.node.args
        defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
        return free_names(self.node) | names_of(defaults)

    @functools.cached_property
    def decorators(self) -> list[tuple[str, tuple[str, ...], frozenset[str]]]:
        """Of each decorator the digest, the names that lead to it, and all names in it."""
        found = []
        for one in getattr(self.node, "decorator_list", ()):
            called = path_of(one.func if isinstance(one, ast.Call) else one)
            found.append((digest("decorator", ast.dump(one, annotate_fields=False)), called, names_of([one])))
        return found

    @functools.cached_property
    def chains(self) -> dict[str, set[tuple[str, ...]]]:
        """For each name the attributes taken of it: `a.b.c` gives a: {(b, c)}; a bare `a` gives a: {()}."""
        return chains(self.node)

    @functools.cached_property
    def handed(self) -> frozenset[str]:
        """Names and last attributes that are used otherwise than called: handed on, kept, compared."""
        called = {id(one.func) for one in ast.walk(self.node) if isinstance(one, ast.Call)}
        uses = [
            one for one in ast.walk(self.node) if isinstance(one, ast.Name | ast.Attribute) and id(one) not in called
        ]
        return frozenset(one.id if isinstance(one, ast.Name) else one.attr for one in uses)

    @functools.cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """Imports inside the definition."""
        return [one for one in ast.walk(self.node) if isinstance(one, ast.Import | ast.ImportFrom)]

    def counted(self, kind: str, annotated: bool, decorators: tuple[bool, ...]) -> tuple[str, tuple[str, ...]]:
        """The digest of all of the definition that counts, with or without annotations and with these decorators, and the
        names in that, sorted."""
        key = (kind, annotated, decorators)
        if key not in self._counted:
            chosen = [one for one, counts in zip(self.decorators, decorators, strict=True) if counts]
            parts = [self.digest, *(found for found, _, _ in chosen), *([self.annotations] if annotated else [])]
            names = self.names.union(*(inside for _, _, inside in chosen), self.annotated if annotated else ())
            self._counted[key] = digest(kind, *parts), tuple(sorted(names))
        return self._counted[key]

    @functools.cached_property
    def is_open(self) -> bool:
        """Whether something in it may reach more than it names."""
        return bool(self.blind or self.loads or any(one.names[0].name == "*" for one in self.imports))

    @functools.cached_property
    def blind(self) -> frozenset[str]:
        """What is used that can reach anything by a name known only when it runs."""
        return blind_spots(self.node)

    @functools.cached_property
    def loads(self) -> frozenset[str]:
        """Modules imported by `import_module` with a written name; a name made when it runs ends with "*". The subclasses
        of a class are asked for as `__subclasses__`."""
        return frozenset(name for one in ast.walk(self.node) for name in modules_loaded(one))


class Source:
    """One file: `digest` of its bytes, its definitions by qualified name and first line, its lambdas by line."""

    def __init__(self, path: str) -> None:
        content = Path(path).read_bytes()
        self.path = path
        self.digest = blake3(content).hexdigest()
        self.tree = ast.parse(content)
        strip_docstrings(self.tree)
        self.by_line: dict[tuple[int, str], Part] = {}
        self.by_name: dict[str, list[Part]] = {}
        self.lambdas: dict[int, list[ast.Lambda]] = {}
        self._index(self.tree, "", False)

    @functools.cached_property
    def whole(self) -> str:
        """The digest of the whole file's syntax, annotations included."""
        tree = ast.parse(Path(self.path).read_bytes())
        strip_docstrings(tree)
        return digest("file", ast.dump(tree, annotate_fields=False))

    @functools.cached_property
    def chains(self) -> dict[str, set[tuple[str, ...]]]:
        """The attributes taken of each name anywhere in the file."""
        return chains(self.tree)

    @functools.cached_property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """All imports of the file."""
        return [one for one in ast.walk(self.tree) if isinstance(one, ast.Import | ast.ImportFrom)]

    @functools.cached_property
    def brought(self) -> dict[str, tuple[int, str, str]]:
        """Names that the module takes from others: level, module and name there of `from … import …`."""
        return {
            alias.asname or alias.name: (one.level, one.module or "", alias.name)
            for one in statements(self.tree.body)
            if isinstance(one, ast.ImportFrom)
            for alias in one.names
        }

    @functools.cached_property
    def effects(self) -> list[tuple[str, tuple[str, ...], frozenset[str], str]]:
        """Statements of the module that call or set something, such as `pd.set_option(…)`: digest, path, names, text."""
        found = []
        for one in statements(self.tree.body):
            path = effect_of(one)
            registered = isinstance(one, Definition)
            content = one.decorator_list if isinstance(one, Definition) else [one]
            names = names_of(content) | ({one.name} if isinstance(one, Definition) else frozenset())
            if path:
                dumps = [ast.dump(part, annotate_fields=False) for part in content]
                found.append((digest("statement", str(registered), *dumps), path, names, ".".join(path)))
        return found

    def definition(self, code: types.CodeType) -> Part | None:
        """The function that compiled code was written as."""
        if code.co_name == "<lambda>":
            return self._lambda(code)
        return self.by_line.get((code.co_firstlineno, code.co_name))

    def _lambda(self, code: types.CodeType) -> Part | None:
        places = set(code.co_positions())
        for one in self.lambdas.get(code.co_firstlineno, ()):
            body = one.body
            if (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in places:
                part = self.by_line.get((one.lineno, f"<lambda> {one.col_offset}"))
                if part is None:
                    part = self.by_line[one.lineno, f"<lambda> {one.col_offset}"] = Part(one, "", frozenset())
                return part
        return None

    def _index(self, node: ast.AST, prefix: str, in_function: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                self._definition(child, prefix)
                continue
            if isinstance(child, ast.Lambda):
                self.lambdas.setdefault(child.lineno, []).append(child)
            elif isinstance(child, ast.Constant) and child.kind is not None:
                child.kind = None  # u"text" is "text"
            elif isinstance(child, ast.AnnAssign) and in_function:
                plainly_assigned(child)
            self._index(child, prefix, in_function)

    def _definition(self, node: Definition, prefix: str) -> None:
        name = prefix + node.name
        self._index(node, name + ("." if isinstance(node, ast.ClassDef) else ".<locals>."), isinstance(node, Function))
        annotations, names = settled(node) if isinstance(node, Function) else ("", frozenset[str]())
        part = Part(node, annotations, names)
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        self.by_line[first, node.name] = part
        self.by_name.setdefault(name, []).append(part)


def source_of(path: str) -> Source | None:
    """The parsed file, again only when it changed; None for what is no readable Python file."""
    try:
        stat = os.stat(path)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _known.get(path)
        if known is None or known[0] != stamp:
            known = _known[path] = (stamp, Source(path))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return known[1]


def settled(node: Function) -> tuple[str, frozenset[str]]:
    """Take the annotations out of a function's signature; answer their digest and names. Decorated functions keep theirs
    in their syntax, as decorators read them."""
    arguments = all_of(node.args)
    found = [one for one in (*(argument.annotation for argument in arguments), node.returns) if one is not None]
    names = names_of([*found, *(one for text in found for one in parsed(text))])
    dumps = digest("annotations", *(ast.dump(one, annotate_fields=False) for one in found)) if found else ""
    if not node.decorator_list:
        for argument in arguments:
            argument.annotation = None
        node.returns = None
    return dumps, names


def plainly_assigned(node: Any) -> None:
    """Make `x: int = 3` in a function `x = 3`: such an annotation is never evaluated."""
    node.annotation = ast.Constant(None)
    if node.value is not None and isinstance(node.target, ast.Name):
        node.__class__ = ast.Assign
        node.targets, node.type_comment = [node.target], None


def parsed(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions in texts inside an annotation."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            try:
                yield ast.parse(one.value, mode="eval")
            except SyntaxError:
                continue


def strip_docstrings(tree: ast.AST) -> None:
    """Take docstrings out; they are comments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]


def path_of(node: ast.AST) -> tuple[str, ...]:
    """The names of `a.b.c`; of what goes on from a call or an item, the names before it; empty for anything else."""
    path: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            path.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call | ast.Subscript):
            path.clear()
            node = node.func if isinstance(node, ast.Call) else node.value
        else:
            return ()
    return (node.id, *reversed(path))


def chains(node: ast.AST) -> dict[str, set[tuple[str, ...]]]:
    """For each name in a node the attributes taken of it, also by `getattr` with a written name."""
    found: dict[str, set[tuple[str, ...]]] = {}
    inner: set[int] = set()
    for one in ast.walk(node):  # outer nodes come first, so the whole chain is seen before its beginning
        if id(one) in inner:
            continue
        path: list[str] = []
        part: ast.AST = one
        while True:
            if isinstance(part, ast.Attribute):
                path.append(part.attr)
                inner.add(id(part))
                part = part.value
            elif (written := attribute_asked(part)) is not None:
                path.append(written[1])
                part = written[0]
            else:
                break
        if isinstance(part, ast.Name):
            inner.add(id(part))
            found.setdefault(part.id, set()).add(tuple(reversed(path)))
    return found


def attribute_asked(node: ast.AST) -> tuple[ast.AST, str] | None:
    """What `getattr(object, "name")` asks, and which name."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "getattr":
        return None
    if len(node.args) < 2 or not isinstance(node.args[1], ast.Constant) or not isinstance(node.args[1].value, str):
        return None
    return node.args[0], node.args[1].value


def blind_spots(node: ast.AST) -> frozenset[str]:
    """Words in a node by which code reaches what cannot be seen: `eval`, `getattr` with a name that is computed, …"""
    found: set[str] = set()
    written = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call) and attribute_asked(one)}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and one.id in _BLIND and id(one) not in written:
            found.add(one.id)
    return frozenset(found)


def modules_loaded(node: ast.AST) -> Iterator[str]:
    """The modules that a call of `import_module` or `__import__` loads, and that `sys.modules` may give."""
    if isinstance(node, ast.Attribute) and path_of(node)[-2:] == ("sys", "modules"):
        yield "*"
    if isinstance(node, ast.Attribute) and node.attr == "__subclasses__":
        yield node.attr
    if not isinstance(node, ast.Call) or path_of(node.func)[-1:] not in (("import_module",), ("__import__",)):
        return
    name = node.args[0] if node.args else None
    start = name.values[0] if isinstance(name, ast.JoinedStr) and name.values else None
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield name.value
    else:
        yield f"{start.value}*" if isinstance(start, ast.Constant) and isinstance(start.value, str) else "*"


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that an import runs, those in blocks included, definitions left out."""
    for one in body:
        if isinstance(one, ast.If) and is_guard(one.test):
            yield from statements(one.orelse)
            continue
        if isinstance(one, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for field in ("body", "orelse", "finalbody"):
                yield from statements(getattr(one, field, []))
        else:
            yield one


def is_guard(test: ast.expr) -> bool:
    """Whether a condition is one that an import of the module does not meet."""
    return bool({"__name__", "TYPE_CHECKING"} & set(path_of(getattr(test, "left", test))))


def effect_of(node: ast.stmt) -> tuple[str, ...]:
    """The names that lead to what a statement calls or sets, or to what a definition is registered at by a decorator;
    empty for one that only defines names."""
    if isinstance(node, Definition):
        paths = [path_of(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]
        return next((path for path in paths if any(part.startswith("register") for part in path)), ())
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return path_of(node.value.func)
    targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [getattr(node, "target", None)]
    for one in targets:
        if isinstance(one, ast.Attribute | ast.Subscript):
            return path_of(one)
    return ()
