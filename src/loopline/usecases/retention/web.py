"""Pages of retention: the trash, what takes the room, and what would go with a thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from loopline.core.pages import Call, Form, Page, attempted

PAGES_OF = {
    "experiment": "/runs?experiment={}",
    "model": "/models/{}",
    "dataset": "/datasets/{}",
    "project": "/projects/{}",
    "predictions": "/endpoints/{}",
    "ground truth": "/endpoints/{}",
    "run": "/runs/{}",
    "endpoint": "/endpoints/{}",
    "release": "/releases/{}",
}
MOST_ROOMS = 100


def trash(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What is in the trash, and the policies that put runs there."""
    found = call("retention.trash")
    return {"trash": [each | {"told": told(each)} for each in found], "policies": call("retention.policies")}


def room(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What takes the room."""
    found = call("retention.room")
    rooms = found["rooms"]
    for each in rooms:
        place = PAGES_OF.get(each["kind"], "")
        each["address"] = place.format(quote(each["name"], safe="")) if each["name"] else ""
    largest = max((each["size"] for each in rooms), default=1) or 1
    return {**found, "rooms": rooms[:MOST_ROOMS], "more": max(0, len(rooms) - MOST_ROOMS), "largest": largest}


def remove(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What would go with a thing, before it goes."""
    kind, name = params.get("kind", "")[:40], params.get("name", "")[:600]
    found = call("retention.look", kind=kind, name=name) if kind and name else None
    if found is not None and attempted(call, "retention.tombstone", kind=kind, name=name) is not None:
        hidden = any((one["kind"], one["name"]) == (kind, found["name"]) for one in call("retention.trash"))
        return {"found": found, "hidden": hidden}
    return {"found": found, "hidden": False}


def told(each: Mapping[str, Any]) -> str:
    """A thing's name as people read it."""
    return str(each["title"] or each["name"])


PAGES = (
    Page("/trash", "trash.html", trash, tab="trash"),
    Page("/room", "room.html", room, tab="trash"),
    Page("/remove", "remove.html", remove, tab="trash"),
)
FORMS = (
    Form("/trash/restore", "retention.restore", "/trash"),
    Form("/trash/purge", "retention.purge", "/trash"),
    Form("/remove", "retention.remove", "/trash"),
)
