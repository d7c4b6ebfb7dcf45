"""The home page: the loop with its state, and the timeline of facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page


def data(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    return {"facts": call("ledger.facts", newest=True, limit=50)}


PAGES = (Page("/", "home.html", data, tab="home"),)
