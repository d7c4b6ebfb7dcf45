"""The files of a Python class: its module, and the modules beside it that this one imports, found without running any."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from loopline.core.errors import Invalid

INSTALLED = ("site-packages", "dist-packages")


def place_of(model: type | str) -> tuple[Path, str, str]:
    """Folder, dotted module and class of a class, or of "file.py:Class". Invalid for one that stands in no file."""
    if isinstance(model, str):
        file, _, name = model.partition(":")
        path = Path(file).resolve()
        if not path.is_file() or not name.isidentifier():
            raise Invalid(f"{model[:80]!r} names no class in a file.", "Write it as model.py:Model.")
        return path.parent, path.stem, name
    if "<locals>" in model.__qualname__:
        raise Invalid(f"{model.__qualname__} is defined inside a function.", "Define it at the top of a file.")
    try:
        source = Path(inspect.getsourcefile(model) or "").resolve()
    except (OSError, TypeError):
        source = Path()
    if not source.is_file():
        raise Invalid(f"{model.__qualname__} stands in no file.", "Define it in a file, or give file.py:Class.")
    return *rooted(source, model.__module__), model.__qualname__


def rooted(source: Path, module: str) -> tuple[Path, str]:
    """The folder from which a module's file is imported, and the dotted name that it has there."""
    whole = source.parent if source.name == "__init__.py" else source.with_suffix("")
    parts = module.split(".")
    if tuple(parts) == whole.parts[-len(parts) :] and module != "__main__":
        return whole.parents[len(parts) - 1], module
    return source.parent, source.stem


def closure(root: Path, module: str) -> dict[str, Path]:
    """Relative name → path of every module under `root` that `module` needs. Empty for an installed one. Invalid for a
    file that is no Python."""
    if any(part in INSTALLED for part in root.parts):
        return {}
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        for name, path in files_of(root, waiting.pop()):
            if name not in found:
                found[name] = path
                waiting.extend(imported(path, name))
    return found


def files_of(root: Path, module: str) -> Iterator[tuple[str, Path]]:
    """The files that importing a dotted name runs: its packages, and itself where it is a file of ours."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return
    for depth in range(1, len(parts) + 1):
        inside = "/".join(parts[:depth])
        for name in (f"{inside}/__init__.py", f"{inside}.py"):
            if (root / name).is_file():
                yield name, root / name
                break


def imported(path: Path, name: str) -> Iterator[str]:
    """Dotted names that a file imports, at whatever place in it."""
    package = name.removesuffix(".py").removesuffix("/__init__").split("/")
    package = package if name.endswith("__init__.py") else package[:-1]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)


def parsed(path: Path) -> ast.Module:
    """A file's syntax. Invalid for what is no Python."""
    try:
        return ast.parse(path.read_bytes(), str(path.name))
    except (SyntaxError, ValueError) as error:
        raise Invalid(f"{path.name} is no Python: {error}.", "Mend the file.") from None


def method(path: Path, name: str) -> ast.FunctionDef:
    """The method `predict` of a class at the top of a file. Invalid where there is none."""
    for node in parsed(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "predict":
                    return part
            raise Invalid(f"The class {name} has no method predict.", "Write `def predict(self, frame)`.")
    raise Invalid(f"{path.name} has no class {name!r} at its top.", "Define it there.")
