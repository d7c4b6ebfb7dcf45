"""Which names a definition takes from around it, by Python's rules of scope."""

from __future__ import annotations

import ast
from collections.abc import Iterable

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def free_names(node: Definition | ast.Lambda) -> frozenset[str]:
    """Names that the body of a definition, and whatever is defined in it, takes from outside of it."""
    scope = Scope("class" if isinstance(node, ast.ClassDef) else "function")
    if not isinstance(node, ast.ClassDef):
        scope.bind_arguments(node.args)
    scope.visit_all([node.body] if isinstance(node, ast.Lambda) else node.body)
    free, declared = scope.needs()
    return frozenset(free | declared)


def names_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Names that expressions take from the scope they stand in."""
    scope = Scope("function")
    scope.visit_all(nodes)
    free, declared = scope.needs()
    return frozenset(free | declared)


class Scope:
    """One scope: the names it reads and binds, and the scopes inside it."""

    def __init__(self, kind: str, around: Scope | None = None) -> None:
        self.kind = kind
        self.around = around
        self.read: set[str] = set()
        self.bound: set[str] = set()
        self.declared: set[str] = set()
        self.beyond: set[str] = set()
        self.inner: list[Scope] = []

    def needs(self) -> tuple[set[str], set[str]]:
        """Names from the scopes around, and names declared global."""
        bound = self.bound - self.declared - self.beyond
        free = (self.read - bound) - self.declared | self.beyond
        declared = set(self.declared)
        for scope in self.inner:
            names, from_module = scope.needs()
            free |= names if self.kind == "class" else names - bound
            declared |= from_module
        return free, declared

    def visit_all(self, nodes: Iterable[ast.AST]) -> None:
        """Take in several nodes."""
        for node in nodes:
            self.visit(node)

    def visit(self, node: ast.AST) -> None:
        """Take in a node and what is inside it."""
        if isinstance(node, ast.Name):
            (self.read if isinstance(node.ctx, ast.Load) else self.bound).add(node.id)
        elif isinstance(node, Definition):
            self._definition(node)
        elif isinstance(node, ast.Lambda):
            self._around(node.args)
            self._inside("function", node.args, [node.body])
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node)
        elif isinstance(node, ast.NamedExpr):
            self._walrus(node)
        elif isinstance(node, ast.Assign | ast.AugAssign):
            self._assignment(node)
        else:
            self._binding(node)
            self.visit_all(ast.iter_child_nodes(node))

    def _binding(self, node: ast.AST) -> None:
        """What statements bind that hold names as plain texts."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Global):
            self.declared |= set(node.names)
        elif isinstance(node, ast.Nonlocal):
            self.beyond |= set(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            self.bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self.bound.add(node.rest)

    def _definition(self, node: Definition) -> None:
        self.bound.add(node.name)
        self.visit_all(node.decorator_list)
        self.bound |= {one.name for one in getattr(node, "type_params", ())}
        if isinstance(node, ast.ClassDef):
            self.visit_all([*node.bases, *node.keywords])
            self._inside("class", None, node.body)
            return
        self._around(node.args)
        if node.returns is not None:
            self.visit(node.returns)
        self._inside("function", node.args, node.body)

    def _around(self, arguments: ast.arguments) -> None:
        """Defaults and annotations belong to the scope around."""
        self.visit_all([*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)])
        self.visit_all(one.annotation for one in all_of(arguments) if one.annotation is not None)

    def _inside(self, kind: str, arguments: ast.arguments | None, body: Iterable[ast.AST]) -> None:
        scope = Scope(kind, self)
        self.inner.append(scope)
        if arguments is not None:
            scope.bind_arguments(arguments)
        scope.visit_all(body)

    def bind_arguments(self, arguments: ast.arguments) -> None:
        """Parameters are bound."""
        self.bound |= {one.arg for one in all_of(arguments)}

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        scope = Scope("comprehension", self)
        self.inner.append(scope)
        self.visit(node.generators[0].iter)
        for position, one in enumerate(node.generators):
            scope.visit_all([one.target, *one.ifs, *([one.iter] if position else [])])
        scope.visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])

    def _walrus(self, node: ast.NamedExpr) -> None:
        scope = self
        while scope.kind == "comprehension" and scope.around is not None:
            scope = scope.around
        scope.bound.add(node.target.id)
        if scope is not self:
            self.read.add(node.target.id)
        self.visit(node.value)

    def _assignment(self, node: ast.Assign | ast.AugAssign) -> None:
        """In a class `limit = limit` reads the limit around it."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {one.id for one in targets if isinstance(one, ast.Name)}
        if self.kind == "class" and names & names_of([node.value]):
            self.beyond |= names & names_of([node.value])
        self.visit_all([*targets, node.value])


def all_of(arguments: ast.arguments) -> list[ast.arg]:
    """Every parameter."""
    more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]
