"""A project's code in this process: imported from its folder, and again when its files changed."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import machinery
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from blake3 import blake3

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.usecases.pipelines.steps import Pipeline, Step

_loaded: dict[str, str] = {}  # folder → stamp of the files from which its modules were imported

_expected: dict[str, str] = {}  # path → digest of the files whose code is in the keys


@contextmanager
def project_code(folder: str, stamp: str, files: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have `folder` at the beginning of the import path; modules of other projects and of older files are forgotten.
    Loading one of `files` (name → digest) that has changed since is Invalid: its results would be kept as those of the
    older one."""
    root = resolved(folder)
    if _loaded.get(root) != stamp:
        forget({root, *_loaded})
        _loaded.clear()
        _loaded[root] = stamp
        read_as_written(root)
        importlib.invalidate_caches()
    _expected.clear()
    _expected.update({f"{root}/{name}": known for name, known in (files or {}).items()})
    sys.path.insert(0, root)
    try:
        yield
    finally:
        if root in sys.path:
            sys.path.remove(root)


@functools.cache
def resolved(folder: str) -> str:
    """The folder without links and dots."""
    return str(Path(folder).resolve())


class AsWritten(machinery.SourceFileLoader):
    """Loads a file from its text. Byte code is known to be of an older text by size and whole seconds only, and what
    an older text gave must not be kept under the key of the newer one."""

    def get_code(self, fullname: str) -> CodeType:
        """The file's code, compiled now."""
        path = self.get_filename(fullname)
        content = self.get_data(path)
        if path in _expected and blake3(content).hexdigest() != _expected[path]:
            raise Invalid(f"{Path(path).name} was changed while the run went on.", "Run the pipeline again.")
        code: CodeType = self.source_to_code(content, path)
        return code


def found_as_written(path: str) -> machinery.FileFinder:
    """The finder of a folder of the project; ImportError for other folders."""
    if "site-packages" in path or not any(path == root or path.startswith(f"{root}/") for root in _loaded):
        raise ImportError(path)
    loaders = (
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (AsWritten, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),  # there is nothing else of it
    )
    return machinery.FileFinder(path, *loaders)


def read_as_written(root: str) -> None:
    """Have the modules of a project loaded from what its files say."""
    if found_as_written not in sys.path_hooks:
        sys.path_hooks.insert(0, found_as_written)
    for path in [one for one in sys.path_importer_cache if one == root or one.startswith(f"{root}/")]:
        del sys.path_importer_cache[path]


def forget(folders: set[str]) -> None:
    """Take the modules whose files lie in these folders out of the process, and out of its steps' reach."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
        if any(str(file).startswith(folder + "/") for folder in folders) and "/site-packages/" not in str(file):
            del sys.modules[name]


def module_name(file: str) -> str:
    """The name under which a file of the project is imported: `flows/train.py` is `flows.train`."""
    return ".".join(Path(file).with_suffix("").parts)


def imported(file: str, folder: str) -> ModuleType:
    """The module in `file` of the project; NotFound without it, Invalid when its import fails, with the place."""
    if not (Path(folder) / file).is_file():
        raise NotFound(f"There is no {file} in {folder}.", "Run `loopline init`, or name the file in loopline.yaml.")
    try:
        module = importlib.import_module(module_name(file))
    except LooplineError:
        raise
    except Exception as error:
        raise Invalid(f"{file} cannot be imported: {type(error).__name__}: {error}{place(error, folder)}.") from error
    if not Path(module.__file__ or "/").resolve().samefile(Path(folder) / file):
        raise Invalid(f"{file} has the name of a module that is loaded already.", "Give the file another name.")
    return module


def place(error: BaseException, folder: str) -> str:
    """ " (file, line n)" of the last line of the project that led to the error."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename}, line {error.lineno})" if str(error.filename) not in str(error) else ""
    root = str(Path(folder).resolve())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(root)]
    return f" ({frames[-1].filename[len(root) + 1 :]}, line {frames[-1].lineno})" if frames else ""


def pipeline_in(module: ModuleType, name: str) -> Pipeline[Any, Any]:
    """The pipeline of that name; NotFound lists those that are there."""
    found = list({id(one): one for one in vars(module).values() if isinstance(one, Pipeline)}.values())
    named = [one for one in found if one.name == name]
    if len(named) == 1:
        return named[0]
    if named:
        raise Invalid(f"{module.__name__}.py has {len(named)} pipelines named {name!r}.", "Rename all but one.")
    there = ", ".join(sorted({one.name for one in found})) or "none"
    raise NotFound(f"There is no pipeline {name!r} in {module.__name__}.py.", f"Pipelines there: {there}.")


def step_at(target: str) -> Step[Any, Any]:
    """The step that "module:name" names."""
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if isinstance(found, Step):
        return found
    for other in vars(importlib.import_module(module)).values():  # `train = step(_train)`
        if isinstance(other, Step) and other.function is found:
            return other
    raise Invalid(f"{target} is no longer a step.", "Run the pipeline again.")
