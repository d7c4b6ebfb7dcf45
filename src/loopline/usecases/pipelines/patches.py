"""What was edited: two versions of a function, class or value as a short unified diff."""

from __future__ import annotations

import ast
from collections.abc import Callable

import msgspec

from loopline.usecases.pipelines.model import Difference, Plan

_LINES = 40
_WIDTH = 60


def patched(
    found: Difference, kind: str, name: str, plans: tuple[Plan | None, Plan | None], read: Callable[[str], bytes]
) -> Difference:
    """A difference of code with the edit shown, where both versions of the file are kept; a written value by its text."""
    texts = [text_of(kind, name, source_of(plan, found.file, read)) for plan in plans]
    before, after = texts
    if before is None or after is None or before == after:
        return found
    patch = diff(before, after)
    if kind != "value":
        return msgspec.structs.replace(found, patch=patch)
    was, now = (value_in(text) for text in texts if text is not None)
    return msgspec.structs.replace(found, was=was or found.was, now=now or found.now, patch=patch)


def source_of(plan: Plan | None, file: str, read: Callable[[str], bytes]) -> str | None:
    """A file as it was when a plan was traced; None when it is not kept."""
    from loopline.core.errors import LooplineError

    if plan is None or file not in plan.files:
        return None
    try:
        return read(plan.files[file]).decode(errors="replace")
    except LooplineError:  # evicted, or damaged
        return None


def text_of(kind: str, name: str, source: str | None) -> str | None:
    """The lines of a definition (with decorators) or of an assignment; None when they are not there."""
    if source is None:
        return None
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    if kind == "file":
        return source
    node = assigned(tree, name) if kind == "value" else defined(tree, name)
    if node is None:
        return None
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno]) + "\n"


def defined(tree: ast.AST, qualname: str) -> ast.stmt | None:
    """The last function or class of that qualified name."""
    found: ast.AST | None = tree
    for name in (part for part in qualname.split(".") if part != "<locals>"):
        nodes = [] if found is None else [one for one in ast.walk(found) if one is not found]
        named = [one for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        found = next((one for one in reversed(named) if one.name == name), None)
    return found if isinstance(found, ast.stmt) else None


def assigned(tree: ast.Module, name: str) -> ast.stmt | None:
    """The last statement of a module that assigns the name, or the beginning of the name."""
    plain = name.partition(".")[0]
    for one in reversed(tree.body):
        targets = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
        names = {
            part.id
            for target in targets
            if target is not None
            for part in ast.walk(target)
            if isinstance(part, ast.Name)
        }
        if isinstance(one, ast.Assign | ast.AnnAssign) and plain in names:
            return one
    return None


def value_in(text: str) -> str:
    """The value of a short assignment of one name; empty for others."""
    try:
        node = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return ""
    plain = isinstance(node, ast.AnnAssign) or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
    said = ast.unparse(node.value) if plain and getattr(node, "value", None) is not None else ""  # type: ignore[attr-defined]
    return said if len(said) <= _WIDTH else ""


def diff(before: str, after: str) -> str:
    """A unified diff without its head, cut after some lines."""
    from difflib import unified_diff

    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    cut = [f"… {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *cut])
