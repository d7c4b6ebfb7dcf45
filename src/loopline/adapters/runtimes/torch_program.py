"""A PyTorch model as an exported program: its graph as JSON and its tensors as safetensors. In a process of its own."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes.isolation import Isolated
from loopline.adapters.runtimes.torch_audit import TRAINED, check_tensors, cleaned
from loopline.core.errors import Invalid, LooplineError, Unavailable
from loopline.core.tables import Signature

PROGRAM, WEIGHTS, TENSORS = "program.json", "tensors.json", "tensors.safetensors"
LARGEST_JSON = 64 << 20
PARTS = {"weights": "model_weights_config.json", "constants": "model_constants_config.json"}


class Torch(Isolated):
    """The runtime of the format "torch": takes what `torch.export.export` answers. The program gets one float32 tensor of
    n rows x inputs, and gives n values; export it with a dynamic number of rows."""

    format = "torch"

    def accepts(self, model: Any) -> bool:
        """Whether it is an exported program (torch is not imported for others)."""
        return any(
            f"{one.__module__}.{one.__name__}" == "torch.export.exported_program.ExportedProgram"
            for one in type(model).__mro__
        )

    def save(self, model: Any, folder: Path) -> None:
        """Write program.json, tensors.json and tensors.safetensors. Refused for a program that holds more than tensors."""
        import torch
        from safetensors.torch import save_file

        buffer = io.BytesIO()
        torch.export.save(model, buffer)
        config, tensors = {}, {}
        with zipfile.ZipFile(buffer) as archive:
            root = archive.namelist()[0].partition("/")[0]
            program = json.loads(archive.read(f"{root}/models/model.json"))
            for part, name in PARTS.items():
                config[part] = json.loads(archive.read(f"{root}/data/{part}/{name}"))["config"]
                check_tensors(config[part])
                for one in config[part].values():
                    raw = archive.read(f"{root}/data/{part}/{one['path_name']}")
                    tensors[f"{part}/{one['path_name']}"] = torch.frombuffer(bytearray(raw or b"\0"), dtype=torch.uint8)
        (folder / PROGRAM).write_text(json.dumps(cleaned(program), sort_keys=True))
        (folder / WEIGHTS).write_text(json.dumps(config, sort_keys=True))
        save_file(tensors, str(folder / TENSORS))

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Refused for what could run code, Invalid for a damaged file; torch is not imported."""
        cleaned(read(files, PROGRAM))
        for part in PARTS:
            check_tensors(read(files, WEIGHTS).get(part, {}))
        if TENSORS not in files:
            raise Invalid(f"The model has no {TENSORS}.", "Register it again.")
        return None

    def load_here(self, folder: Path, signature: Signature) -> Program:
        """Build the program and try it with two rows."""
        files = {path.name: path for path in folder.iterdir()}
        self.inspect(files)
        try:
            import torch
        except ImportError:
            hint = "Give the version a lock with torch and safetensors in it."
            raise Unavailable("The model needs torch, which is not in its environment.", hint) from None
        torch.set_num_threads(1)
        if any(column.type in ("string", "timestamp") for column in signature.inputs):
            raise Invalid(
                "A torch program takes numbers, and its signature names texts.", "Register the right signature."
            )
        try:
            with tempfile.TemporaryDirectory() as scratch:
                return Program(rebuilt(files, Path(scratch) / "model.pt2"), signature)
        except LooplineError:
            raise
        except Exception as error:  # a forged program may fail in any way
            raise Invalid(f"{PROGRAM} holds no usable program ({str(error)[:200]}).", TRAINED) from None


class Program:
    """A program in memory. Satisfies `LoadedModel`."""

    def __init__(self, program: Any, signature: Signature) -> None:
        self._module = program.module()
        self._names = [column.name for column in signature.inputs]
        for rows in (1, 2):
            self._called(rows)

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`."""
        import numpy as np
        import torch

        table = np.stack([np.asarray(columns[name], dtype=np.float32) for name in self._names], axis=1)
        with torch.inference_mode():
            return self._module(torch.from_numpy(table)).to(torch.float64).reshape(len(table)).numpy()

    def _called(self, rows: int) -> None:
        import numpy as np

        try:
            self.predict({name: np.zeros(rows) for name in self._names})
        except Exception as error:
            raise Invalid(
                f"The program does not give a value for each of {rows} rows of {len(self._names)} inputs: {str(error)[:200]}",
                'Export it with dynamic_shapes=({0: torch.export.Dim("rows")},) and one value a row.',
            ) from None


def read(files: Mapping[str, Path], name: str) -> Any:
    """A JSON file of the model."""
    path = files.get(name)
    if path is None or not path.is_file() or path.stat().st_size > LARGEST_JSON:
        raise Invalid(f"The model has no {name}.", "Register it again.")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise Invalid(f"{name} is damaged.", "Register the model again.") from None
    if not isinstance(found, dict):
        raise Invalid(f"{name} is damaged.", "Register the model again.")
    return found


def rebuilt(files: Mapping[str, Path], path: Path) -> Any:
    """The program, read by torch from an archive that we wrote ourselves: no byte of a pickle comes from the model."""
    import torch
    from safetensors import safe_open

    samples = io.BytesIO()
    torch.save(((torch.zeros(1),), {}), samples)
    config = read(files, WEIGHTS)
    with zipfile.ZipFile(path, "w") as archive, safe_open(str(files[TENSORS]), "pt") as tensors:

        def put(name: str, content: bytes) -> None:
            archive.writestr(f"model/{name}", content)

        put("archive_format", b"pt2")
        put("archive_version", b"0")
        put("byteorder", b"little")
        put(".data/version", b"6\n")
        put("models/model.json", json.dumps(cleaned(read(files, PROGRAM))).encode())
        put("data/sample_inputs/model.pt", samples.getvalue())
        for part, name in PARTS.items():
            put(f"data/{part}/{name}", json.dumps({"config": config[part]}).encode())
            for one in config[part].values():
                put(
                    f"data/{part}/{one['path_name']}",
                    tensors.get_tensor(f"{part}/{one['path_name']}").numpy().tobytes(),
                )
    return torch.export.load(path)
