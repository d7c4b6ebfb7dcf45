"""A foreign protocol that a use-case speaks: routes with fields in and plain data out; the HTTP shell carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.verbs import Role


@dataclass(frozen=True)
class Route:
    """`call(service, fields, caller)` answers a dict (JSON), a `Raw`, or raises a LooplineError.

    `path` lies under the protocol's prefixes, or stands alone when it begins with a slash; its {placeholders} come in
    `fields` as texts ({name:path} takes slashes too), as do the query's (a repeated one as a list) and the body's JSON.
    With `file` the body is no JSON: `fields["body"]` is the path of a file that holds it and may be moved away.
    A `large` call may read a file of any size before it answers: only few of these run at once.
    """

    method: str
    path: str
    role: Role
    call: Callable[[Any, dict[str, Any], Any], Any]
    file: bool = False
    large: bool = False


@dataclass(frozen=True)
class Raw:
    """An answer that is no JSON. `content` may be an iterator of pieces; `size` is then its length in bytes."""

    content: bytes | Iterator[bytes]
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


class Coded(LooplineError):
    """An error with the code that the foreign protocol knows it by."""

    def __init__(self, error: LooplineError, code: str) -> None:
        super().__init__(error.message, error.hint)
        self.kind = error.kind
        self.http_status = error.http_status
        self.exit_code = error.exit_code
        self.code = code
