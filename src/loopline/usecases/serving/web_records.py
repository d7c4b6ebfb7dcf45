"""The page of one prediction: its record, and what each input contributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page
from loopline.usecases.serving.explaining import scale
from loopline.usecases.serving.model import RESERVED

ABOUT = ("arm", "caller", "rules", "key")


def prediction(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One prediction; its explanation where one was kept."""
    record = call("serving.prediction", prediction=params["prediction"])
    inputs = {name: value for name, value in record.items() if name not in RESERVED}
    parts = record.get("explanation")
    return {
        "record": record,
        "about": [(name, record[name]) for name in ABOUT if record.get(name) is not None],
        "inputs": inputs,
        "explanation": None if parts is None else explained(record, parts),
    }


def explained(record: Mapping[str, Any], parts: Mapping[str, float]) -> dict[str, Any]:
    """Contributions, the largest first, with the width of each bar in percent of the largest."""
    base = float(record["explanation_base"])
    most = max((abs(value) for value in parts.values()), default=0.0) or 1.0
    rows = sorted(parts.items(), key=lambda part: -abs(part[1]))
    return {
        "base": base,
        "scale": scale(record["prediction"], base + sum(parts.values())),
        "rows": [{"input": name, "value": value, "width": round(100 * abs(value) / most)} for name, value in rows],
    }


PAGES = (Page("/predictions/{prediction}", "prediction.html", prediction, tab="endpoints"),)
