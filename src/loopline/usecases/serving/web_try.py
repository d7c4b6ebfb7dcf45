"""The page on which an endpoint is tried: a form made from the signature, answered by the data plane itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.pages import Call, Page, attempted

ORDINARY: dict[str, Any] = {
    "float": 0.0, "integer": 0, "string": "", "boolean": False, "timestamp": "2013-01-01T00:00:00Z",
}  # fmt: skip
NUMBERS = {"float": float, "integer": int}
TRUTHS = {"true": True, "false": False}
PREFIX = "input."


def page(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The form with what was typed or the newest logged row, the answer or refusal where one was asked for, and how to ask
    the same from a program."""
    name = params["endpoint"]
    endpoint = call("serving.endpoint", endpoint=name)
    revision = endpoint["live"] or endpoint["wanted"]
    columns = revision["signature"]["inputs"] if revision else []
    asked = any(field.startswith(PREFIX) for field in params)
    row = typed(columns, params) if asked else usual(columns, call, name)
    answer, refusal = told(call, name, row) if asked else (None, None)
    where = attempted(call, "serving.address")
    return {
        "endpoint": endpoint,
        "address": where,
        "fields": fields(columns, row, endpoint["options"].get("ranges", {})),
        "answer": answer,
        "refusal": refusal,
        "examples": examples(where["url"] if where else "http://127.0.0.1:8401", name, row),
    }


def told(call: Call, name: str, row: Mapping[str, Any]) -> tuple[Any, LooplineError | None]:
    """What the data plane answers, or how it refuses."""
    try:
        return call("serving.try", endpoint=name, rows=[row]), None
    except LooplineError as refusal:
        return None, refusal


def typed(columns: Sequence[Mapping[str, Any]], params: Mapping[str, str]) -> dict[str, Any]:
    """The row that was typed. What is no number stays text, for the data plane to refuse in its words."""
    return {column["name"]: value_of(column, params.get(PREFIX + column["name"], "")) for column in columns}


def value_of(column: Mapping[str, Any], text: str) -> Any:
    """One typed value; nothing is null, except for text that may not be null."""
    kind = column["type"]
    if not text and (column["nullable"] or kind != "string"):
        return None
    if kind == "boolean":
        return TRUTHS.get(text, text)
    try:
        return NUMBERS[kind](text) if kind in NUMBERS else text
    except ValueError:
        return text


def usual(columns: Sequence[Mapping[str, Any]], call: Call, name: str) -> dict[str, Any]:
    """The newest logged row where it holds all inputs, else an ordinary value for each."""
    newest = (attempted(call, "serving.predictions", endpoint=name, limit=1) or [{}])[0]
    if columns and all(newest.get(column["name"]) is not None or column["nullable"] for column in columns):
        return {column["name"]: newest.get(column["name"]) for column in columns}
    return {column["name"]: None if column["nullable"] else ORDINARY[column["type"]] for column in columns}


def fields(
    columns: Sequence[Mapping[str, Any]], row: Mapping[str, Any], ranges: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What the form shows of each input."""
    return [
        {
            **column,
            "field": PREFIX + column["name"],
            "value": shown(row.get(column["name"])),
            "range": ranges.get(column["name"], {}),
        }
        for column in columns
    ]


def shown(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def examples(url: str, name: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The same request for curl and for Python."""
    body = json.dumps({"rows": [row]}, ensure_ascii=False)
    curl = (
        f"curl {url}/v1/endpoints/{name}/predict \\\n"
        f'  -H "Authorization: Bearer $LOOPLINE_TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )
    python = f"import loopline\n\nendpoint = loopline.endpoint({name!r}, url={url!r})  # LOOPLINE_TOKEN is the token\nprint(endpoint.predict({dict(row)!r}))"
    return {"curl": curl, "Python": python}


PAGES = (Page("/endpoints/{endpoint}/try", "try.html", page, tab="endpoints", posted=True),)
