"""A plain Python class as a model: its source with the modules beside it, and files of its own. Code: a process of its own."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from loopline.adapters.runtimes import python_sources as sources
from loopline.adapters.runtimes.isolation import Isolated, copied, manifest
from loopline.core.errors import Invalid, LooplineError, Unavailable
from loopline.core.programs import TAKES, PythonModel
from loopline.core.rows import rows_of
from loopline.core.tables import Signature

CODE, FILES = "code", "files"
# What the annotation of predict's argument begins with → what it gets.
ANNOTATIONS = {
    "pd.": "pandas", "pandas.": "pandas", "pl.": "polars", "polars.": "polars", "pa.": "arrow", "pyarrow.": "arrow",
    "list": "rows", "Sequence": "rows", "dict": "columns", "Mapping": "columns",
}  # fmt: skip


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What to import, and what `predict` gets."""

    FILE: ClassVar[str] = "python.json"
    module: str
    name: str
    takes: str


class Python(Isolated):
    """The runtime of the format "python"."""

    format = "python"

    def accepts(self, model: Any) -> bool:
        """Whether it is a class described as a model."""
        return isinstance(model, PythonModel)

    def save(self, model: PythonModel, folder: Path) -> None:
        """Write code/, files/ and python.json. Nothing is imported."""
        root, module, name = sources.place_of(model.model)
        code = sources.closure(root, module)
        takes = model.takes or "pandas"
        if code:
            where = next(
                each
                for each in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py")
                if each in code
            )
            takes = model.takes or annotated(sources.method(code[where], name))
        copied(code, folder / CODE)
        copied(model.files, folder / FILES)
        copied(model.lock, folder)
        said = Manifest(module=module, name=name, takes=takes)
        (folder / Manifest.FILE).write_bytes(msgspec.json.encode(said, order="sorted"))

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid where the manifest or the class is not there; nothing is imported."""
        said: Manifest = manifest(files.get(Manifest.FILE), Manifest)
        if said.takes not in TAKES or not all(part.isidentifier() for part in said.module.split(".")):
            raise Invalid(f"{Manifest.FILE} names what no model is.", "Register the model again.")
        place = f"{CODE}/{said.module.replace('.', '/')}"
        found = files.get(f"{place}.py", files.get(f"{place}/__init__.py"))
        if found is not None:
            sources.method(found, said.name)
        elif any(name.startswith(f"{CODE}/") for name in files):
            raise Invalid(f"The model has no module {said.module}.", "Register the model again.")
        return None

    def load_here(self, folder: Path, signature: Signature) -> Made:
        """Import the class, make one, and have it load its files."""
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self.inspect(files)
        said: Manifest = manifest(files.get(Manifest.FILE), Manifest)
        try:
            made = getattr(imported(folder / CODE, said.module), said.name)()
            if hasattr(made, "load"):
                (folder / FILES).mkdir(exist_ok=True)
                made.load(folder / FILES)
        except LooplineError:
            raise
        except Exception as error:  # whatever the code of the model raises
            what = f"{type(error).__name__}: {error}".strip()[:300]
            raise Invalid(f"The class {said.name} of {said.module} cannot be loaded ({what}).", "Mend it.") from error
        return Made(made, taking(said.takes, signature))


class Made:
    """An object with `predict`. Satisfies `LoadedModel`."""

    def __init__(self, model: Any, view: Callable[[Mapping[str, Any]], Any]) -> None:
        self.model = model
        self._view = view
        explain = getattr(model, "explain", None)
        if explain is not None:
            self.explain = lambda columns: explain(view(columns))

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. RuntimeError when the model wants to end the process."""
        import numpy as np

        try:
            found = np.asarray(self.model.predict(self._view(columns)))
        except SystemExit as error:  # it belongs to the row, as all else that the model raises
            raise RuntimeError(f"the model called exit({error.code!r})") from None
        return found.astype(np.float64) if found.dtype.kind in "fiub" else found.astype(object)


def imported(code: Path, module: str) -> Any:
    """The model's module, from its own folder."""
    top = module.partition(".")[0]
    known = sys.modules.get(top)
    if known is not None and code.is_dir() and code not in Path(getattr(known, "__file__", None) or "/").parents:
        raise Invalid(f"The model's module {top!r} has the name of another one.", "Give its file another name.")
    sys.dont_write_bytecode = True  # the folder belongs to the installation
    if code.is_dir() and str(code) not in sys.path:
        sys.path.insert(0, str(code))
    return importlib.import_module(module)


def annotated(method: ast.FunctionDef) -> str:
    """What `predict` takes by the annotation of its argument; pandas without one that says it."""
    arguments = method.args.posonlyargs + method.args.args
    note = ast.unparse(arguments[1].annotation) if len(arguments) > 1 and arguments[1].annotation else ""
    note = note.strip("'\"").removeprefix("typing.").removeprefix("collections.abc.")
    return next((takes for begin, takes in ANNOTATIONS.items() if note.startswith(begin)), "pandas")


def taking(takes: str, signature: Signature) -> Callable[[Mapping[str, Any]], Any]:
    """What turns columns into what `predict` gets."""
    names = [column.name for column in signature.inputs]

    def columns(given: Mapping[str, Any]) -> Any:
        return {name: given[name] for name in names}

    if takes == "columns":
        return columns
    if takes == "rows":
        return lambda given: rows_of(given, signature.inputs)
    if takes == "arrow":
        import pyarrow

        return lambda given: pyarrow.table(columns(given))
    try:
        library = importlib.import_module(takes)
    except ImportError:
        raise Unavailable(
            f"The model takes a {takes} frame, and {takes} is not in its environment.", "Install it, or take rows."
        ) from None
    return lambda given: library.DataFrame(columns(given))
