"""The verbs over HTTP, on the standard library alone."""

from __future__ import annotations

import http.client
import json
import re
import select
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from loopline.app.wiring import verb_named
from loopline.core.errors import KINDS, Invalid, LooplineError, Unavailable
from loopline.core.verbs import Verb
from loopline.shells.sdk.asking import request_for

TIMEOUT_S = 60.0


class Remote:
    """Talks to `loopline up` somewhere. One connection a thread, reopened when the server closed it."""

    def __init__(self, url: str, token: str | None, ca: str | None = None) -> None:
        parts = parsed(url)
        if token is not None and not (token.isascii() and token.isprintable()):
            raise Invalid("The token holds characters that no token has.", "Look at LOOPLINE_TOKEN.")
        kind: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":
            kind = partial(http.client.HTTPSConnection, context=trust(ca))
        self._ca = ca
        self._url = url
        self._token = token
        self.target = url.rstrip("/")
        self._base = parts.path.rstrip("/")
        self._kind, self._host, self._port = kind, str(parts.hostname), parts.port
        self._local = threading.local()
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def call(self, name: str, /, **fields: Any) -> Any:
        verb = verb_named(name)
        given = msgspec.to_builtins({key: value for key, value in fields.items() if value is not None})
        request_for(verb, given)
        target, body = address(verb, given)
        return self._ask(verb.method, f"{self._base}/api/v1{target}", body)

    def upload(self, path: Path, run_id: str, name: str, media_type: str = "") -> None:
        """Keep the file at `path` with a run, read in pieces."""
        target = f"{self._base}/api/v1/tracking/runs/{quote(run_id, safe='')}/files/{quote(name)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file:
            self._ask("PUT", f"{target}?{urlencode({'media_type': media_type})}", file, headers)

    def download(self, model: str, version: int, target: Path) -> Path:
        """Write a model version as the folder MODEL-VERSION into `target`, as it comes; answers it."""
        from typing import cast

        from loopline.usecases.registry.downloading import unpacked

        place = f"/api/v1/models/{quote(model, safe='')}/versions/{version}/files/version.tar"
        self._drop_if_stale()
        try:
            self._connection.request("GET", f"{self._base}{place}", None, self._headers)
            answer = self._connection.getresponse()
            if answer.status >= 400:
                understood(answer.status, answer.read())
            folder = unpacked(cast("IO[bytes]", answer), target)
            answer.read()
            return folder
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unavailable(f"The download from {self._url} broke off ({error}).", "Try again.") from None

    def reopened(self) -> Remote:
        """A client for a forked child, which must not use its parent's connections."""
        return Remote(self._url, self._token, self._ca)

    def __reduce__(self) -> Any:
        """The same server for another process."""
        return Remote, (self._url, self._token, self._ca)

    def close(self) -> None:
        """Close this thread's connection; another thread's closes with the thread."""
        self._connection.close()

    release = close

    @property
    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def _ask(
        self, method: str, target: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str] | None = None
    ) -> Any:
        self._drop_if_stale()
        try:
            self._connection.request(method, target, body, {**self._headers, **(headers or {})})
            answer = self._connection.getresponse()
            return understood(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            hint = "Start it with `loopline up`, or unset LOOPLINE_URL to work without a server."
            raise Unavailable(f"No server answers at {self._url} ({error}).", hint) from None

    def _drop_if_stale(self) -> None:
        """Close a kept connection that the server has closed meanwhile, so that nothing must be sent twice."""
        kept = self._connection.sock
        if kept is not None and select.select([kept], [], [], 0)[0]:
            self._connection.close()


def trust(ca: str | None) -> Any:
    """Whom to trust: the certificates in the file `ca` or LOOPLINE_CA, else the system's. Invalid for a bad file."""
    from loopline.kit.tls import Unusable, trusting

    try:
        return trusting(ca)
    except Unusable as error:
        raise Invalid(str(error), "Name a file of certificates in PEM form.") from None


def parsed(url: str) -> SplitResult:
    """The parts of a server's address; Invalid when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port beyond 65535, half of an IPv6 address
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid(f"{url!r} is not the address of a server.", "Write it as http://127.0.0.1:8400.")
    return parts


def address(verb: Verb, fields: Mapping[str, Any]) -> tuple[str, bytes | None]:
    """Path with query, and body: the path takes its placeholders, a GET or DELETE puts the rest into the query."""
    rest = dict(fields)
    path = re.sub(r"{(\w+)}", lambda match: quote(str(rest.pop(match[1])), safe=""), verb.path)
    if verb.method in ("GET", "DELETE"):
        query = {key: as_query(value) for key, value in rest.items()}
        return (f"{path}?{urlencode(query)}" if query else path), None
    return path, msgspec.json.encode(rest)


def as_query(value: Any) -> str:
    """Lists and maps travel as JSON, the rest as plain text."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def understood(status: int, content: bytes) -> Any:
    """The data of a good answer; the error of a bad one, of the kind the server named."""
    try:
        data = msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        raise Unavailable("What answers there is not Loopline.", "Check the address.") from None
    if status < 400:
        return data
    if not isinstance(data, dict) or "message" not in data:
        raise Unavailable(f"The server answered {status}.", "Check the address: it is that of the pages.")
    raise KINDS.get(data.get("error", ""), LooplineError)(data["message"], data.get("hint", ""))
