"""Source files, parsed once: the syntax of each function and class without positions, comments and docstrings."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_known: dict[str, tuple[tuple[int, int, int], Source]] = {}


class Source:
    """One file: `digest` of its bytes, definitions by qualified name and first line, and the global names of each."""

    def __init__(self, path: str) -> None:
        content = Path(path).read_bytes()
        self.path = path
        self.digest = blake3(content).hexdigest()
        self.tree = ast.parse(content)
        strip_docstrings(self.tree)
        self.by_line: dict[tuple[int, str], Definition] = {}
        self.by_name: dict[str, Definition] = {}
        self._index(self.tree, "")
        self._tables: dict[tuple[int, str], symtable.SymbolTable] = {}
        self._index_tables(symtable.symtable(content.decode(), path, "exec"))

    def function(self, first_line: int, name: str) -> Definition | None:
        """The definition that begins (with its decorators) on that line."""
        return self.by_line.get((first_line, name))

    def globals_of(self, node: Definition) -> set[str]:
        """Names that the body of a definition takes from outside of it (module, enclosing functions, built-ins)."""
        table = self._tables.get((node.lineno, node.name))
        return set(outer_names(table)) if table else set()

    def _index(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                name = prefix + child.name
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                self.by_line[first, child.name] = child
                self.by_name[name] = child
                self._index(child, name + ("." if isinstance(child, ast.ClassDef) else ".<locals>."))
            else:
                self._index(child, prefix)

    def _index_tables(self, table: symtable.SymbolTable) -> None:
        for child in table.get_children():
            self._tables[child.get_lineno(), child.get_name()] = child
            self._index_tables(child)


def source_of(path: str) -> Source | None:
    """The parsed file, again only when it changed; None for what is no readable Python file."""
    try:
        stat = Path(path).stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _known.get(path)
        if known is None or known[0] != stamp:
            known = _known[path] = (stamp, Source(path))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return None
    return known[1]


def outer_names(table: symtable.SymbolTable) -> Iterator[str]:
    """Global and free names of a scope and of all scopes inside it."""
    for symbol in table.get_symbols():
        if (symbol.is_referenced() and (symbol.is_global() or symbol.is_free())) or symbol.is_declared_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from outer_names(child)


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


def names_around(node: Definition) -> set[str]:
    """Names in decorators, bases, defaults and annotations, which belong to the scope around a definition."""
    outside: list[ast.AST] = list(node.decorator_list)
    if isinstance(node, ast.ClassDef):
        outside += [*node.bases, *node.keywords]
    else:
        outside += [node.args, *([node.returns] if node.returns else [])]
    return {one.id for part in outside for one in ast.walk(part) if isinstance(one, ast.Name)}


def chains(node: ast.AST) -> dict[str, set[tuple[str, ...]]]:
    """For each name in a definition the attributes taken of it: `a.b.c` gives a: {(b, c)}; a bare `a` gives a: {()}."""
    found: dict[str, set[tuple[str, ...]]] = {}
    inner: set[int] = set()
    for one in ast.walk(node):  # outer nodes come first, so the whole chain is seen before its beginning
        if isinstance(one, ast.Attribute) and id(one) not in inner:
            path: list[str] = []
            part: ast.AST = one
            while isinstance(part, ast.Attribute):
                inner.add(id(part))
                path.append(part.attr)
                part = part.value
            if isinstance(part, ast.Name):
                inner.add(id(part))
                found.setdefault(part.id, set()).add(tuple(reversed(path)))
        elif isinstance(one, ast.Name) and id(one) not in inner:
            found.setdefault(one.id, set()).add(())
    return found


def imports(node: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Imports inside a definition."""
    return [one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)]
