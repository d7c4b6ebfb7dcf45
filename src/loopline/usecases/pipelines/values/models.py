"""Models: the estimator in a safe format, and beside it what must be known about it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from blake3 import blake3

from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Signature
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines.model import Leaf
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.values import tables
from loopline.usecases.pipelines.values.folders import write_out


class Output(Protocol):
    """Where a writer puts its files."""

    def new(self) -> Path: ...
    def noted(self, path: Path) -> str: ...
    def blob(self, content: bytes) -> str: ...


def written(model: Model, runtimes: Mapping[str, Runtime], output: Output) -> Leaf:
    """The leaf of a model. Invalid without a safe format for it or a signature."""
    runtime = next((one for one in runtimes.values() if one.accepts(model.estimator)), None)
    if runtime is None:
        raise Invalid(
            f"There is no safe format for a model of the type {type(model.estimator).__qualname__}.",
            f"Formats here: {', '.join(sorted(runtimes)) or 'none'}.",
        )
    if model.signature is None:
        raise Invalid("A model was returned without a signature.", "Give example= (some input rows) or signature=.")
    files = saved(model, runtime, output)
    manifest = {"format": runtime.format, "signature": msgspec.to_builtins(model.signature), "files": files}
    about = {
        "manifest": output.blob(msgspec.json.encode(manifest, order="sorted")),
        "format": runtime.format,
        "signature": manifest["signature"],
        "files": files,
        "metrics": {key: number(value) for key, value in sorted(model.metrics.items())},
        "evaluation": frame_blob(model.evaluation, "evaluation", output),
        "profile": frame_blob(model.profile, "profile", output),
        "name": model.name,
        "metadata": plain_metadata(model.metadata),
    }
    content = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return Leaf("model", blake3(content).hexdigest(), len(content), content)


def plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A model's metadata as JSON has it; Invalid for what it has no form for."""
    try:
        return dict(json.loads(json.dumps(metadata)))
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"The model's metadata cannot be kept: {error}.", "Use texts and numbers, times as ISO texts."
        ) from None


def saved(model: Model, runtime: Runtime, output: Output) -> dict[str, str]:
    """Name → digest of the files that a runtime writes."""
    folder = output.new()
    folder.mkdir()
    runtime.save(model.estimator, folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): output.noted(path) for path in paths}


def frame_blob(value: Any, what: str, output: Output) -> str | None:
    """A frame, bytes or plain value as a blob: the form in which the registry keeps it."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return output.blob(value)
    table = tables.as_arrow(value)
    if table is not None:
        path = output.new()
        tables.write(table, path)
        return output.noted(path)
    try:
        return output.blob(json.dumps(value, sort_keys=True).encode())
    except (TypeError, ValueError):
        raise Invalid(f"The model's {what} is of the type {type(value).__qualname__}.", "Give a frame.") from None


def read(
    content: bytes, digest: str, folder: Path, places: Mapping[str, str], runtimes: Mapping[str, Runtime]
) -> Model:
    """The model of a leaf's content; `folder` is where its files may stand under their names."""
    about = json.loads(content)
    signature = msgspec.convert(about["signature"], Signature)
    runtime = runtimes.get(about["format"])
    if runtime is None:
        raise Unavailable(f"There is no runtime for the format {about['format']!r} here.", "Install its extra.")
    inside = write_out(about["files"], places, folder / f"in-{digest[:16]}", link=True)
    loaded = runtime.load(inside, signature)
    evaluation = tables.read(Path(places[about["evaluation"]])) if about["evaluation"] else None
    return Model(
        getattr(loaded, "model", loaded),
        signature=signature,
        metrics={key: float("nan") if value is None else value for key, value in about["metrics"].items()},
        evaluation=evaluation,
        name=about["name"],
        metadata=about["metadata"],
    )


def number(value: float) -> float | None:
    """A metric that JSON can carry; None for one that is no finite number."""
    return value if math.isfinite(value) else None
