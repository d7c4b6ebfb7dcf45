"""The page of one file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call

MOST_TEXT = 64 * 1024
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def artifact(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One file of a run: shown when it is a text or a small picture."""
    found = call("tracking.artifact", run_id=params["run_id"], name=params.get("name", ""))
    one, content = found["artifact"], found["content"]
    small = one["size"] <= 4 << 20
    picture = f"data:{one['media_type']};base64,{content}" if one["media_type"] in IMAGES and small else ""
    return {"run": call("tracking.get", run_id=params["run_id"]), "one": one, "picture": picture, "text": text(content)}


def text(content: str) -> str | None:
    """The beginning of a text file (it comes in base64), or None for anything else."""
    import base64

    raw = base64.b64decode(content)[: MOST_TEXT + 1]
    try:
        shown = raw[:MOST_TEXT].decode(errors="ignore" if len(raw) > MOST_TEXT else "strict")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in shown else shown
