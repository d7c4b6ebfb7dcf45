"""What MLflow's clients saved: read from the `MLmodel` file, so far as a runtime of ours can load it safely.

Nothing here runs, builds or unpickles anything: a version is servable when its parts are known kinds of plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loopline.core.errors import LooplineError
from loopline.core.tables import Signature
from loopline.kit.yaml_positions import YamlError, read
from loopline.ports.runtime import Runtime
from loopline.usecases.registry import flavor_files
from loopline.usecases.registry.flavor_files import Head, NotServable
from loopline.usecases.registry.flavor_signatures import agreed, settled, translated
from loopline.usecases.registry.model import NO_SIGNATURE

DESCRIPTION = "MLmodel"
LARGEST_DESCRIPTION = 1 << 20


class Found(NamedTuple):
    """What a version is made of. `reason` says why no runtime loads it, "" when one does; `told` is for its metadata."""

    format: str
    signature: Signature
    files: dict[str, str]
    reason: str
    told: dict[str, Any]


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
    signature, problem = NO_SIGNATURE, ""
    try:
        signature = translated(described.get("signature"))
    except NotServable as error:
        problem = str(error)
    try:
        form, stored = flavor_files.stored(flavors, files, content)
        runtime = runtimes.get(form)
        if runtime is None:
            raise NotServable(f"No runtime for {form} is installed.")
        at_hand = {name: path(digest) for name, digest in stored.items()}
        classes = runtime.inspect(at_hand)
        signature = agreed(described.get("signature"), signature, problem, told_by(runtime, at_hand))
        signature, problem = settled(signature, classes), ""
    except NotServable as error:
        return Found(shape, signature, {}, problem or str(error), told)
    except LooplineError as error:
        return Found(shape, signature, {}, problem or error.message, told)
    return Found(form, signature, stored, "", told)


def told_by(runtime: Any, files: Mapping[str, Path]) -> Signature | None:
    """The signature that the files themselves tell; None for a format that tells none."""
    tell = getattr(runtime, "signature", None)
    return None if tell is None else tell(files)


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
