"""Run in a process of its own: import a project's contracts and print them as data.

`python -m loopline.usecases.projects.contracts FOLDER file.py:name …`
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid, LooplineError


def main(arguments: list[str]) -> None:
    """Print {"contracts": {reference: contract}} or {"error", "hint"} as the last line."""
    folder, *references = arguments
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    try:
        answer: dict[str, Any] = {"contracts": {each: contract(Path(folder), each) for each in references}}
    except LooplineError as error:
        answer = {"error": error.message, "hint": error.hint}
    print("\n" + msgspec.json.encode(answer).decode(), end="")


def contract(folder: Path, reference: str) -> Any:
    """The contract that `file.py:name` names; Invalid says why there is none."""
    file, _, name = reference.rpartition(":")
    found = getattr(_module(folder, file), name, None)
    if not (isinstance(found, msgspec.Struct) and type(found).__name__ == "Contract"):
        what = "does not exist" if found is None else f"is a {type(found).__name__}"
        raise Invalid(f"{reference} is no contract: {name} {what}.", f"Write {name} = Contract(columns=[…]) in {file}.")
    return msgspec.to_builtins(found)


def _module(folder: Path, file: str) -> Any:
    path = folder / file
    if not path.is_file():
        raise Invalid(f"There is no {file} in {folder}.", "Correct the contract's place in loopline.yaml.")
    name = ".".join(Path(file).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Invalid(f"{file} cannot be imported.", "Give it a name that Python can import.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LooplineError as error:
        raise Invalid(f"{file}: {error.message}", error.hint) from None
    except Exception as error:  # the project's own code may fail in any way
        line = _line(error, path)
        raise Invalid(f"{file}{line} cannot be imported: {type(error).__name__}: {error}.", "Mend the file.") from None
    return module


def _line(error: Exception, path: Path) -> str:
    import traceback

    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


if __name__ == "__main__":
    main(sys.argv[1:])
