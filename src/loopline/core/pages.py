"""A page: what a person looks at. It is drawn from the same verbs that programs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.verbs import Role

Call = Callable[..., Any]
"""`call("registry.versions", model="late")` answers plain data, asked as the person who looks at the page."""


def attempted(call: Call, verb: str, **fields: Any) -> Any:
    """What a verb answers, or None when there is no such thing or its part cannot answer just now: a page shows the
    rest nevertheless."""
    try:
        return call(verb, **fields)
    except LooplineError:
        return None


@dataclass(frozen=True)
class Page:
    """GET `path` draws `template` (a Jinja2 file beside web.py) with what `data(call, params)` answers; `params` holds
    the path's {placeholders} and the query. `tab` is the entry in the navigation that it belongs to. A page that is
    `posted` is drawn for POST too, with the fields of a form among `params`: for what should stand in no address."""

    path: str
    template: str
    data: Callable[[Call, Mapping[str, str]], Mapping[str, Any]]
    tab: str = ""
    role: Role = Role.VIEWER
    posted: bool = False


@dataclass(frozen=True)
class Form:
    """POST `path`: calls `verb` with the form's fields and the path's placeholders, then goes back to `back`, whose
    {placeholders} are filled from the same fields."""

    path: str
    verb: str
    back: str
