"""What each input contributed to a prediction that was logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.errors import NotFound, Refused
from loopline.core.tables import Signature
from loopline.usecases.serving.model import column_name
from loopline.usecases.serving.needs import Versions

CLOSE = 1e-4
OWN_PROCESS = "Its contributions can be asked for with the prediction itself: `?explain=true`."


def explain(record: Mapping[str, Any], signature: Signature, registry: Versions) -> dict[str, Any]:
    """See `Serving.explain`."""
    stored = record.get("explanation")
    if stored is not None:
        base, parts = float(record["explanation_base"]), {name: float(value) for name, value in stored.items()}
    else:
        base, parts = _now(record, signature, registry)
    told = {name: record[name] for name in ("endpoint", "revision", "model", "version")}
    return {
        "prediction": record["id"], "value": record["prediction"], **told, "base": base, "contributions": parts,
        "scale": scale(record["prediction"], base + sum(parts.values())), "stored": stored is not None,
    }  # fmt: skip


def scale(value: Any, total: float) -> str:
    """In what base and contributions are counted: "prediction" when they add up to it, "log-odds" when they add up to
    those of a probability, else "raw score" (the model's own, or of fewer inputs than were logged)."""
    import math

    if isinstance(value, int | float):
        if abs(total - value) <= CLOSE * max(1.0, abs(value)):
            return "prediction"
        if abs(1 / (1 + math.exp(-max(-700.0, min(700.0, total)))) - value) <= CLOSE:
            return "log-odds"
    return "raw score"


def _now(record: Mapping[str, Any], signature: Signature, registry: Versions) -> tuple[float, dict[str, float]]:
    """Computed by the version that answered, from the inputs that were logged."""
    name = f"{record['model']}/{record['version']}"
    if record.get("rules"):
        raise Refused(
            f"The prediction was made under the rules {record['rules']}, which change what the model sees.", OWN_PROCESS
        )
    columns = _columns(record, signature)
    version = registry.version(record["model"], record["version"])
    try:
        loaded: Any = registry.load(record["model"], record["version"])
    except Refused as error:
        raise Refused(f"{name} is not loaded here: {error.message}", OWN_PROCESS) from None
    if not callable(getattr(loaded, "explain", None)):
        raise Refused(
            f"What the inputs contributed cannot be told of {name}, stored as {version.format!r}.",
            "It can of linear models and of trees (scikit-learn with the extra shap, LightGBM, XGBoost, CatBoost).",
        )
    found, base = loaded.explain(columns)
    names = [column.name for column in signature.inputs]
    return float(base[0]), dict(zip(names, (float(value) for value in found[0]), strict=True))


def _columns(record: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """The logged inputs as a model takes them."""
    from loopline.usecases.serving.records.columns import as_numpy, kind_of, pack

    columns = {}
    for column in signature.inputs:
        held = column_name(column.name)
        if held not in record:
            raise NotFound(
                f"The input {column.name!r} of {record['id']} was not logged.", "It is redacted at this endpoint."
            )
        kind = kind_of(column)
        columns[column.name] = as_numpy(kind, pack(kind, [record[held]]))
    return columns
