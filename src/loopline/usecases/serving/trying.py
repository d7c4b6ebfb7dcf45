"""Asking an endpoint on behalf of whoever looks at a page: as that person, through the data plane's own door."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Refused
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.serving.base import Base

PATIENCE_S = 10.0


class Try(msgspec.Struct):
    """Rows for an endpoint."""

    endpoint: str
    rows: list[dict[str, Any]]


class Tried(msgspec.Struct, frozen=True):
    """What the data plane answered."""

    predictions: list[Any]
    ids: list[str]
    version: int
    revision: int


class Trying(Base):
    """Ask as somebody else."""

    def verify(self, secret: str) -> Caller | None:
        """Who presents a bearer token, or the secret that was lent for a minute to `try_out`; else None."""
        return self._access.verify(secret) or self._access.borrower(secret)

    def try_out(self, name: str, rows: list[dict[str, Any]], caller: str) -> Tried:
        """Predictions for rows, asked in the name of the token `caller`. Raises whatever the door refuses; Unavailable when
        no data plane runs."""
        from loopline.usecases.serving.client import Endpoint
        from loopline.usecases.serving.waiting import address

        self._database.read(lambda tx: self._endpoint(tx, name))
        url = address(self._home)["url"]
        secret = self._access.lend(caller)
        if secret is None:
            raise Refused(f"{caller!r} has no token to ask with.", "`loopline predict` asks from a terminal.")
        try:
            with Endpoint(name, url, secret, timeout=PATIENCE_S) as endpoint:
                found = endpoint.predict(rows)
        finally:
            self._access.sign_out(secret)
        return Tried(list(found), found.ids, found.version, found.revision)


def try_out(serving: Any, request: Try, caller: Caller) -> Tried:
    tried: Tried = serving.try_out(request.endpoint, request.rows, caller.name)
    return tried


TRY_VERBS = (
    Verb(
        "serving.try",
        "POST",
        "/serving/endpoints/{endpoint}/try",
        Role.VIEWER,
        Try,
        try_out,
        "Ask an endpoint for predictions",
    ),
)
