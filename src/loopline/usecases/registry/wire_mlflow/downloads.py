"""A version as a folder in a tar, over our own address: raw bytes travel as those of the protocol do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from loopline.core.errors import Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route

PATH = "/api/v1/models/{model}/versions/{version}/files/{name}"


def get(registry: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """The tar `MODEL-VERSION.tar`; who fetches it is remembered."""
    text = fields["version"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Invalid(f"{text[:40]!r} is no number of a version.", "`loopline versions MODEL` lists them.")
    found = registry.archive(fields["model"], int(text))
    if fields["name"] not in (found.name, "version.tar"):
        raise NotFound(f"There is no download {fields['name'][:100]!r}.", f"It is called {found.name}.")
    registry.note_download(fields["model"], int(text), caller.name, "download")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Raw(found.pieces, "application/x-tar", headers, found.size)


ROUTES = (Route("GET", PATH, Role.VIEWER, get, large=True),)
