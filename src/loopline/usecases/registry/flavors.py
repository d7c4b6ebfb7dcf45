"""What MLflow's clients saved: read from the `MLmodel` file, so far as a runtime of ours can load it safely.

Nothing here runs, builds or unpickles anything: a version is servable when its parts are known kinds of plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from loopline.core.errors import LooplineError
from loopline.core.tables import Column, ColumnType, Signature
from loopline.kit.yaml_positions import YamlError, read
from loopline.ports.runtime import Runtime
from loopline.usecases.registry.model import NO_SIGNATURE, is_pickle

DESCRIPTION = "MLmodel"
LARGEST_DESCRIPTION = 1 << 20
MOST_COLUMNS = 10_000
SKOPS = "sklearn-skops"
SKOPS_FILE = "model.skops"
_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt", ".pth")
_TYPES: dict[str, ColumnType] = {
    "double": "float",
    "float": "float",
    "long": "integer",
    "integer": "integer",
    "string": "string",
    "boolean": "boolean",
    "datetime": "timestamp",
}
_KINDS: dict[str, ColumnType] = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "s": "string"}
Head = Callable[[str, int], bytes]


class Found(NamedTuple):
    """What a version is made of. `reason` says why no runtime loads it, "" when one does; `told` is for its metadata."""

    format: str
    signature: Signature
    files: dict[str, str]
    reason: str
    told: dict[str, Any]


class NotServable(Exception):
    """Why a model cannot be loaded here; the version is kept all the same."""


def examined(
    files: Mapping[str, str], content: Head, path: Callable[[str], Path], runtimes: Mapping[str, Runtime]
) -> Found:
    """What the files of a model, {name: digest}, amount to. `content(digest, most)` answers the first bytes of one,
    `path(digest)` a local copy."""
    try:
        described = description(files, content)
    except NotServable as error:
        return Found("mlflow", NO_SIGNATURE, {}, str(error), {})
    flavors = described.get("flavors")
    flavors = flavors if isinstance(flavors, dict) else {}
    names = [str(name) for name in flavors if name != "python_function"] or [str(name) for name in flavors]
    shape, told = f"mlflow-{names[0]}"[:80] if names else "mlflow", about(described, names)
    try:
        signature = translated(described.get("signature"))
    except NotServable as error:
        return Found(shape, NO_SIGNATURE, {}, str(error), told)
    try:
        stored = skops_file(flavors, files, content)
        runtime = runtimes.get(SKOPS)
        if runtime is None:
            raise NotServable(f"No runtime for {SKOPS} is installed.")
        signature = settled(signature, runtime.inspect({SKOPS_FILE: path(stored)}))
    except NotServable as error:
        return Found(shape, signature, {}, str(error), told)
    except LooplineError as error:
        return Found(shape, signature, {}, error.message, told)
    return Found(SKOPS, signature, {SKOPS_FILE: stored}, "", told)


def description(files: Mapping[str, str], content: Head) -> dict[str, Any]:
    """The `MLmodel` file as plain data."""
    digest = files.get(DESCRIPTION)
    if digest is None:
        raise NotServable("There is no MLmodel file among its files." if files else "Its files are not kept here.")
    text = content(digest, LARGEST_DESCRIPTION + 1)
    if len(text) > LARGEST_DESCRIPTION:
        raise NotServable("Its MLmodel file is too large.")
    try:
        found = read(text.decode()).data
    except (YamlError, UnicodeDecodeError) as error:
        raise NotServable(f"Its MLmodel file cannot be read ({str(error)[:200]}).") from None
    if not isinstance(found, dict):
        raise NotServable("Its MLmodel file holds no description.")
    return found


def about(described: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """What is worth telling of a model."""
    told: dict[str, Any] = {"flavors": names[:20]}
    for key in ("mlflow_version", "model_uuid", "utc_time_created"):
        if isinstance(described.get(key), str):
            told[key] = described[key][:100]
    sklearn = described.get("flavors", {}).get("sklearn") if isinstance(described.get("flavors"), dict) else None
    if isinstance(sklearn, dict) and isinstance(sklearn.get("sklearn_version"), str):
        told["sklearn_version"] = sklearn["sklearn_version"][:100]
    return told


def skops_file(flavors: Mapping[str, Any], files: Mapping[str, str], content: Head) -> str:
    """The digest of the skops file in a scikit-learn model saved as plain data."""
    sklearn, pyfunc = flavors.get("sklearn"), flavors.get("python_function")
    if not isinstance(sklearn, dict):
        named = ", ".join(str(name) for name in flavors)[:100] or "no flavor"
        raise NotServable(f"It is saved as {named}; of MLflow's flavors only scikit-learn saved as skops is loaded.")
    kind = str(sklearn.get("serialization_format"))[:40]
    if kind != "skops":
        raise NotServable(
            f"It is saved with {kind}, which could run any code when loaded; save it with serialization_format='skops'."
        )
    for flavor in (sklearn, pyfunc if isinstance(pyfunc, dict) else {}):
        if flavor.get("code"):
            raise NotServable("It brings code of its own, which is never run.")
    if isinstance(pyfunc, dict) and pyfunc.get("loader_module") != "mlflow.sklearn":
        raise NotServable("It is loaded by a module of its own, which is never run.")
    for name, digest in files.items():
        if name.endswith(_PICKLES) or is_pickle(content(digest, 2)):
            raise NotServable(f"It brings a pickle ({name[:80]}), which could run any code when loaded.")
    stored = files.get(str(sklearn.get("pickled_model", SKOPS_FILE)))
    if stored is None:
        raise NotServable(f"Its MLmodel file names {str(sklearn.get('pickled_model'))[:80]!r}, which is not there.")
    return stored


def translated(written: Any) -> Signature:
    """MLflow's signature as ours: named columns in, one column out. Columns without names are called x0, x1, …, as
    scikit-learn calls them."""
    if not isinstance(written, dict) or not written.get("inputs"):
        raise NotServable("It has no signature; log it with `signature=` or `input_example=`.")
    inputs, outputs = specs(written["inputs"]), specs(written.get("outputs"))
    if not outputs:
        raise NotServable("Its signature does not say what it gives; log it with the outputs too.")
    columns = (
        tensor_columns(inputs[0])
        if is_tensor(inputs[0])
        else tuple(column(one, f"x{place}") for place, one in enumerate(inputs))
    )
    if (is_tensor(inputs[0]) and len(inputs) > 1) or len({one.name for one in columns}) != len(columns):
        raise NotServable("Its signature names several tensors or one column twice, which no table has.")
    return Signature(columns, output(outputs))


def specs(text: Any) -> list[dict[str, Any]]:
    """The columns or tensors of one side of a signature."""
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else text or []
    except (msgspec.DecodeError, RecursionError):
        raise NotServable("Its signature cannot be read.") from None
    if not isinstance(found, list) or len(found) > MOST_COLUMNS or not all(isinstance(one, dict) for one in found):
        raise NotServable("Its signature is not a list of columns.")
    return found


def is_tensor(spec: Mapping[str, Any]) -> bool:
    """Whether a side of a signature is an array."""
    return spec.get("type") == "tensor"


def column(spec: Mapping[str, Any], unnamed: str) -> Column:
    """One column as ours."""
    kind, name = spec.get("type"), spec.get("name", unnamed)
    if not isinstance(kind, str) or kind not in _TYPES or not isinstance(name, str) or not name:
        raise NotServable(f"Its signature holds a column of type {str(kind)[:40]!r}, which no table here has.")
    return Column(name, _TYPES[kind], nullable=spec.get("required") is False or spec.get("optional") is True)


def tensor_columns(spec: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of an array of rows."""
    kind, shape = tensor(spec)
    if len(shape) != 2 or not 0 < shape[1] <= MOST_COLUMNS:
        raise NotServable(f"Its signature takes an array of shape {shape}, which is no table.")
    return tuple(Column(f"x{place}", kind) for place in range(shape[1]))


def tensor(spec: Mapping[str, Any]) -> tuple[ColumnType, list[int]]:
    """Type and shape of an array."""
    inner = spec.get("tensor-spec")
    inner = inner if isinstance(inner, dict) else {}
    shape, kind = inner.get("shape"), str(inner.get("dtype"))[:1]
    if not isinstance(shape, list) or not all(type(side) is int for side in shape) or kind not in _KINDS:
        raise NotServable("Its signature holds an array that cannot be read.")
    return _KINDS[kind], shape


def output(outputs: list[dict[str, Any]]) -> Column:
    """The one column that a model gives: a number, as classes that are numbers are, or a text."""
    first = outputs[0]
    if is_tensor(first):
        kind, shape = tensor(first)
        if shape not in ([-1], [-1, 1]):
            raise NotServable(f"Its signature gives an array of shape {shape}; one value a row is served.")
        name = "prediction"
    else:
        found = column(first, "prediction")
        kind, name = found.type, found.name
    if len(outputs) > 1:
        raise NotServable(f"Its signature gives {len(outputs)} columns; one is served.")
    if kind == "timestamp":
        raise NotServable("It gives times, which no model here does.")
    return Column(name, "string" if kind == "string" else "float")


def settled(signature: Signature, classes: int | None) -> Signature:
    """The signature with what really comes out: of two classes, whatever they are called, the probability of the
    second."""
    if signature.output.type != "string":
        return signature
    if classes is None:
        raise NotServable("It gives texts, and how many classes it knows cannot be told from its files.")
    kind: ColumnType = "float" if classes == 2 else "string"
    return Signature(signature.inputs, Column(signature.output.name, kind))
