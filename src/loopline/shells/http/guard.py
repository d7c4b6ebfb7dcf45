"""What stands before every request: exact Host, same Origin, size, who asks. Nothing passes that is not let in here."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec

from loopline.core.errors import Invalid, LooplineError, Refused
from loopline.core.verbs import Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "loopline_session"
LARGEST_BODY = 64 * 1024 * 1024
LARGEST_FILE = 1 << 40
OPEN_PATHS = ("/health", "/sign-in", "/sign-out", "/favicon.ico")
OPEN_FOLDER = "/static/"
HOOKS = "/api/v1/hooks/"
KEY_PATHS = ("/api/v1/access/who", "/api/v1/serving/address")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; media-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Tokens(Protocol):
    """What the guard asks of access."""

    def verify(self, secret: str) -> Caller | None: ...

    def session(self, secret: str) -> Caller | None: ...


class Guard:
    """ASGI middleware in front of the router."""

    def __init__(
        self,
        app: App,
        tokens: Tokens,
        hosts: frozenset[str],
        takes_file: Callable[[str, str], bool] = lambda method, path: False,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts
        self._takes_file = takes_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_host(headers)
            check_origin(scope["method"], headers)
            check_size(headers, large := self._takes_file(scope["method"], scope["path"]))
            caller = await self._caller(scope["path"], headers)
        except LooplineError as error:
            await refuse(send, error)
            return
        if caller is None and not is_open(scope["path"]):
            await self._ask_to_sign_in(headers, send)
            return
        if caller is not None and not may_ask(caller, scope["method"], scope["path"]):
            await refuse(send, beyond(caller))
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive if large else counted(receive), with_headers(send))

    def _check_host(self, headers: dict[str, str]) -> None:
        if headers.get("host", "").lower() not in self._hosts:
            raise Invalid(
                f"This server does not answer to the name {headers.get('host', '')!r}.",
                "Use the address that `loopline up` printed.",
            )

    async def _caller(self, path: str, headers: dict[str, str]) -> Caller | None:
        secret = presented(headers.get("authorization", ""))
        if secret:
            return self._tokens.verify(secret)  # one look into an index: shorter than the way to a thread
        session = cookie(headers.get("cookie", ""))
        return await anyio.to_thread.run_sync(self._tokens.session, session) if session else None

    async def _ask_to_sign_in(self, headers: dict[str, str], send: Send) -> None:
        if "text/html" in headers.get("accept", "") and "authorization" not in headers:
            await answer(send, 303, b"", ((b"location", b"/sign-in"),))
            return
        error = Refused(
            "A token is needed here.", "Send it as `Authorization: Bearer …`; `loopline token new` makes one."
        )
        told = {"error": error.kind, "message": error.message, "hint": error.hint, "error_code": "UNAUTHENTICATED"}
        headers_of_json = ((b"content-type", b"application/json"), (b"www-authenticate", b"Bearer"))
        await answer(send, 401, msgspec.json.encode(told), headers_of_json)  # the last field is for MLflow's clients


def presented(authorization: str) -> str:
    """The token in an Authorization header: as a bearer's, or as the password of clients that know only passwords."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(secret, validate=True).decode().partition(":")[2].strip()
        except ValueError:
            return ""
    return secret.strip() if scheme.lower() == "bearer" else ""


def check_origin(method: str, headers: dict[str, str]) -> None:
    """A browser may change something only from our own pages."""
    if method in SAFE_METHODS:
        return
    origin = headers.get("origin")
    same = origin is None or place(origin) == headers.get("host", "").lower()
    if not same or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused("Another site's page may not change anything here.", "Use Loopline's own pages or a token.")


def place(origin: str) -> str | None:
    """The host and port that an origin names; None when it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def check_size(headers: dict[str, str], large: bool = False) -> None:
    """A body may hold LARGEST_BODY bytes; one that goes to disk, LARGEST_FILE."""
    length, most = headers.get("content-length", "0"), LARGEST_FILE if large else LARGEST_BODY
    if not length.isdigit() or int(length) > most:
        raise Invalid(f"A body of {length[:20]} bytes is too large.", f"At most {most} bytes are taken.")


def is_open(path: str) -> bool:
    """Whether a path may be asked without a token (a webhook's delivery is signed instead)."""
    return path in OPEN_PATHS or (path.startswith((OPEN_FOLDER, HOOKS)) and ".." not in path)


def may_ask(caller: Caller, method: str, path: str) -> bool:
    """Whether a caller may ask here at all: a token limited to endpoints may learn who it is and where predictions are
    answered; all else is refused, whatever there is."""
    return caller.endpoints is None or is_open(path) or (method in SAFE_METHODS and path in KEY_PATHS)


def beyond(caller: Caller) -> LooplineError:
    """What such a token is told."""
    named = ", ".join(caller.endpoints or ())
    return Refused(f"{caller.name!r} is a token for the endpoints {named} alone.", "Ask the serving address with it.")


def cookie(header: str) -> str | None:
    """The session's secret in a Cookie header, if any."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def counted(receive: Receive) -> Receive:
    """A body without a length may not grow past the limit either."""
    seen = 0

    async def one() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise Invalid("The body is too large.", f"At most {LARGEST_BODY} bytes are taken.")
        return message

    return one


def with_headers(send: Send) -> Send:
    """Every answer carries the headers that keep browsers careful."""

    async def one(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            own = {bytes(name).lower() for name, _ in given}  # what is shown in a sandbox brings a stricter policy
            message["headers"] = [*given, *(pair for pair in HEADERS if pair[0] not in own)]
        await send(message)

    return one


async def refuse(
    send: Send, error: LooplineError, status: int = 0, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    await answer(
        send, status or error.http_status, error_body(error), ((b"content-type", b"application/json"), *headers)
    )


async def answer(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    length = ((b"content-length", str(len(body)).encode()),)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length, *HEADERS]})
    await send({"type": "http.response.body", "body": body})


def error_body(error: LooplineError) -> bytes:
    """An error as it travels: its kind, one sentence, the way out."""
    return msgspec.json.encode({"error": error.kind, "message": error.message, "hint": error.hint})
