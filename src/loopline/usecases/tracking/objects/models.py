"""A model as files of a run: models/NAME/… with a model.json that says format and signature."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.core.programs import locked
from loopline.core.tables import Column, ColumnType, Signature
from loopline.ports.runtime import Runtime

ABOUT = "loopline.json"  # what a folder of a model says about itself
_TYPES: tuple[tuple[str, ColumnType], ...] = (
    ("bool", "boolean"),
    ("int", "integer"),
    ("uint", "integer"),
    ("float", "float"),
    ("double", "float"),
    ("decimal", "float"),
    ("timestamp", "timestamp"),
)


runtimes: Callable[[], Mapping[str, Runtime]] = dict
"""The model formats of the installation, by name; the shell that opens runs says what they are."""


def keep(run: Any, name: str, model: Any, signature: Signature | None, register: str = "", lock: Any = None) -> None:
    """Keep a model with a run, in a format that runs nothing when it is loaded; Invalid when there is none for it. `lock`
    is the requirements.lock of the environment that it runs in."""
    checked_name("model", register or "unnamed")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        form = written(model, folder)
        for kept, path in locked(lock).items():
            shutil.copyfile(path, folder / kept)
        about = {"format": form, "signature": msgspec.to_builtins(signature)}
        (folder / ABOUT).write_bytes(msgspec.json.encode(about))
        run.artifact(folder, f"models/{name}")
    run.tags({f"loopline.model.{name}": form})
    if register:
        run.register(name, register)


def written(model: Any, folder: Path) -> str:
    """Write a model's files; answers the name of their format. One that lies in files already writes them itself."""
    if hasattr(model, "write") and isinstance(getattr(model, "format", None), str):
        model.write(folder)
        return str(model.format)
    libraries = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    for runtime in runtimes().values():
        if runtime.accepts(model):
            runtime.save(model, folder)
            return runtime.format
    if "torch" in libraries:  # a module alone: its program is not known
        return weights(model, folder)
    raise Invalid(
        f"There is no safe format for a {type(model).__name__}.",
        "Use scikit-learn, LightGBM, XGBoost, CatBoost, ONNX or PyTorch, or keep your own files by run.artifact().",
    )


def weights(module: Any, folder: Path) -> str:
    """The weights of a torch module as safetensors; Invalid without that package."""
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise Invalid(
            "The weights cannot be kept without the package safetensors.",
            "Install the extra: pip install 'loopline[torch]'.",
        ) from None
    save_file({name: one.contiguous() for name, one in module.state_dict().items()}, str(folder / "model.safetensors"))
    return "torch-safetensors"


def signature_of(inputs: Any, output: Any, name: str = "prediction") -> Signature | None:
    """The signature of a model that took `inputs` (a frame or array of rows) and gives values like `output`."""
    columns = columns_of(inputs)
    if columns is None:
        return None
    given = columns_of({name: output})
    return Signature(tuple(columns), given[0] if given else Column(name, "float"))


def columns_of(data: Any) -> list[Column] | None:
    """Names and types of the columns of a frame; of an array x0, x1, …; None for what is neither."""
    from loopline.usecases.tracking.objects.tables import arrow

    if hasattr(data, "dtype") and hasattr(data, "shape") and not hasattr(data, "iloc"):
        if len(data.shape) != 2:
            return None
        kind = of_type(str(data.dtype))
        return [Column(f"x{number}", kind) for number in range(data.shape[1])]
    try:
        table = arrow(data)
    except Exception:
        return None
    return [
        Column(str(one.name), of_type(plain_type(one.type)), table[one.name].null_count > 0) for one in table.schema
    ]


def plain_type(kind: Any) -> str:
    """The name of an Arrow type; of a category that of its values."""
    return str(getattr(kind, "value_type", kind) if str(kind).startswith("dictionary") else kind)


def of_type(name: str) -> ColumnType:
    """The type of a column for the name of Arrow's or numpy's."""
    return next((ours for begin, ours in _TYPES if name.startswith(begin)), "string")
