"""The names that a definition takes from around it, held against Python's own table of symbols."""

from __future__ import annotations

import ast
import importlib
import symtable
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.usecases.pipelines.identity.scopes import Definition, free_names

pytestmark = pytest.mark.unit
MODULES = ("argparse", "ast", "contextlib", "copy", "csv", "datetime", "functools", "inspect", "json.decoder", "random")


def global_names(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and (symbol.is_referenced() or symbol.is_declared_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from global_names(child)


@pytest.mark.parametrize("module", MODULES)
def test_names_of_real_code_are_those_that_python_finds(module: str) -> None:
    path = Path(str(importlib.import_module(module).__file__))
    source = path.read_text()
    tables = {(one.get_lineno(), one.get_name()): one for one in symtable.symtable(source, "", "exec").get_children()}
    found = [node for node in ast.parse(source).body if isinstance(node, Definition)]
    for node in found:
        expected = set(global_names(tables[node.lineno, node.name])) - {"__class__"}
        names = {name for name in free_names(node) if not name.startswith("__")}
        missing = {name for name in expected - names if not name.startswith(("__", f"_{node.name}__"))}
        assert not missing, node.name
        assert isinstance(node, ast.ClassDef) or not names - expected, node.name
    assert found or module == "datetime"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(a, *b, c=1, **d): return a, b, c, d, e", {"e"}),
        ("def f():\n x = 1\n def g(): return x + y\n return g", {"y"}),
        ("def f():\n global x\n def g(): return x\n x = 1", {"x"}),
        ("def f():\n x = 1\n class C:\n  x = 2\n  def m(self): return x\n return C", set()),
        ("def f(xs): return [x + y for x in xs if (y := z(x))], y", {"z"}),
        ("def f(xs): return {k: v for k, v in xs for k in w}", {"w"}),
        ("def f(x):\n match x:\n  case {'a': a, **rest}: return a, rest\n  case [b, *c]: return b, c\n  case K(): pass", {"K"}),
        ("def f():\n import a.b, c as d\n from e import g as h\n return a, d, h, c, g", {"c", "g"}),
        ("def f():\n try: pass\n except E as e: return e\n with o() as p: return p\n for q, (r, *s) in t: del q", {"E", "o", "t"}),
        ("class C(B, k=v):\n a = 1\n b = a\n limit = limit\n def m(self): return a", {"a", "limit"}),
        ("def f():\n def g(x=y, *, z: w = v): return lambda q=u: q + t\n return g", {"y", "w", "v", "u", "t"}),
    ],
)  # fmt: skip
def test_each_way_to_bind_a_name(code: str, expected: set[str]) -> None:
    node = ast.parse(code).body[0]
    assert isinstance(node, Definition)
    assert free_names(node) == expected
