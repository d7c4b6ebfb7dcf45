"""MLflow's protocol on the control plane: the routes that use-cases offer in their `wire_mlflow`, carried as MLflow's own
server would. What is logged comes in on a short way: checked on the event loop, written by the shared writer, answered
after its fsync, without a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import msgspec

from loopline.app.wires import mlflow_code, mlflow_wires, pattern_of
from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, LooplineError, Refused, Unavailable
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Coded, Raw, Route
from loopline.kit.durable import temporary_name
from loopline.shells.http.guard import App, Receive, Scope, Send
from loopline.shells.http.guard import refuse as refuse_natively
from loopline.shells.http.reporting import logged

VERSION = "3.17.2"
PREFIXES = tuple(f"/{api}/{number}/mlflow/" for api in ("api", "ajax-api") for number in ("2.0", "3.0"))
NOT_OFFERED = re.compile(
    r"/(ajax-)?api/[23]\.0/mlflow/(assessments|datasets|scorers|issues|label-schemas|review-queues|gateway|"
    r"prompt-optimization|webhooks|workspaces|mcp|jobs|genai|users|experiments/permissions|traces/(metrics|link-\w+|"
    r"[^/]+/(assessments|credentials-for-\w+)))\b|/graphql\Z|/gateway/"
)
JSON = ((b"content-type", b"application/json"),)
LARGEST_JSON = 64 << 20
MOST_VALUES = 1_000_000
PIECE = 1 << 20
LARGE_AT_ONCE = 20  # of the 40 threads there are by default, so that what is small is answered meanwhile
STATUSES = {
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
SERVER = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "trace_archival_enabled": False,
}


class Bound(NamedTuple):
    """A route and the part that answers it."""

    part: str
    route: Route


class Mlflow:
    """ASGI: answers what MLflow's clients ask, hands the rest on to `app`."""

    def __init__(self, app: App, loopline: Loopline) -> None:
        self._app = app
        self._loopline = loopline
        self._large = anyio.CapacityLimiter(LARGE_AT_ONCE)
        self._exact: dict[str, dict[str, Bound]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Bound]]] = []
        self._intake: dict[str, Callable[[Any, bytes], Any]] = {}
        for part, routes, intake in mlflow_wires():
            for path, route in mounted(routes):
                self._mount(path, Bound(part, route))
            self._intake |= {prefix + path: prepare for path, prepare in intake.items() for prefix in PREFIXES}
        self._patterns.sort(key=lambda one: one[0].pattern.count("(?P"))

    def _mount(self, path: str, bound: Bound) -> None:
        if "{" not in path:
            self._exact.setdefault(path, {})[bound.route.method] = bound
            return
        pattern = pattern_of(path)
        for known, methods in self._patterns:
            if known == pattern:
                methods[bound.route.method] = bound
                return
        self._patterns.append((pattern, {bound.route.method: bound}))

    def addresses(self) -> Iterator[tuple[str, str, Bound | None]]:
        """Every method and path that is answered here; those on the short way have no route."""
        yield from (("POST", path, None) for path in self._intake)
        for path, methods in self._exact.items():
            yield from ((method, path, bound) for method, bound in methods.items())
        for pattern, methods in self._patterns:
            path = re.sub(r"\(\?P<\w+>[^)]*\)", "x", pattern.pattern.removesuffix(r"\Z")).replace("\\", "")
            yield from ((method, path, bound) for method, bound in methods.items())

    def takes_file(self, method: str, path: str) -> bool:
        """Whether the body of such a request goes to disk, and so may be large."""
        if method not in ("PUT", "POST") or path in self._intake:
            return False
        found = self._found(path)
        bound = found[0].get(method) if found else None
        return bound is not None and bound.route.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        try:
            prepare = self._intake.get(path)
            if prepare is not None and scope["method"] == "POST":
                await self._take_in(prepare, scope, receive, send)
                return
            found = self._found(path)
            if found is None or (scope["method"] not in found[0] and NOT_OFFERED.match(path)):
                await self._others(scope, receive, send, path)
                return
            await self._answer(found, scope, receive, send)
        except LooplineError as error:
            await (refuse_natively if path.startswith("/api/v1/") else refuse)(send, error)
        except asyncio.CancelledError:
            raise
        except Gone:
            return
        except Exception:
            number = logged()
            await say(send, 500, body_of("INTERNAL_ERROR", f"Something went wrong inside (error {number})."))

    def _found(self, path: str) -> tuple[dict[str, Bound], dict[str, str]] | None:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        if path.startswith(("/api/v1/", "/static/")):
            return self._native(path)
        return self._matched(path)

    def _native(self, path: str) -> tuple[dict[str, Bound], dict[str, str]] | None:
        return self._matched(path) if "/files/" in path else None

    def _matched(self, path: str) -> tuple[dict[str, Bound], dict[str, str]] | None:
        for pattern, methods in self._patterns:
            match = pattern.match(path)
            if match is not None:
                return methods, match.groupdict()
        return None

    async def _others(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        if path == "/version":
            await say(send, 200, VERSION.encode(), ((b"content-type", b"text/plain; charset=utf-8"),))
        elif path in ("/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info"):
            await say(send, 200, msgspec.json.encode(SERVER))
        elif NOT_OFFERED.match(path):
            await say(send, 501, body_of("NOT_IMPLEMENTED", f"Loopline does not offer {path[:200]}."))
        elif path.startswith(PREFIXES):
            await say(send, 404, body_of("ENDPOINT_NOT_FOUND", f"There is nothing at {path[:200]}."))
        else:
            await self._app(scope, receive, send)

    async def _take_in(self, prepare: Callable[[Any, bytes], Any], scope: Scope, receive: Receive, send: Send) -> None:
        check_role(Role.EDITOR, scope["state"]["caller"])
        check_json(scope)
        work = prepare(self._loopline.tracking, await whole(receive))
        if work is not None:
            await self._written(work)
        await say(send, 200, b"{}")

    def _written(self, work: Callable[[Any], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        waited: asyncio.Future[Any] = loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if waited.cancelled():
                return
            if error is None:
                waited.set_result(value)
            else:
                waited.set_exception(error)

        self._loopline.database.post(work, lambda *answer: loop.call_soon_threadsafe(settle, *answer))
        return waited

    async def _answer(
        self, found: tuple[dict[str, Bound], dict[str, str]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        methods, places = found
        method = "GET" if scope["method"] == "HEAD" and "HEAD" not in methods else scope["method"]
        bound = methods.get(method)
        if bound is None:
            allowed = ((b"allow", ", ".join(sorted(methods)).encode()),)
            message = f"{scope['method']} is not possible at {scope['path'][:200]}."
            await say(send, 405, body_of("BAD_REQUEST", message), (*JSON, *allowed))
            return
        caller: Caller = scope["state"]["caller"]
        check_role(bound.route.role, caller)
        with contextlib.ExitStack() as kept:
            fields = query_of(scope)
            if bound.route.file:
                fields["headers"] = headers_of(scope)
                fields["body"] = await self._kept(kept, receive)
            elif scope["method"] not in ("GET", "HEAD"):
                fields |= await json_of(scope, receive)
            fields |= places
            service = self._loopline.get(bound.part)
            turns = self._large if bound.route.file or bound.route.large else None
            answer = await anyio.to_thread.run_sync(bound.route.call, service, fields, caller, limiter=turns)
            await deliver(send, answer)

    async def _kept(self, stack: contextlib.ExitStack, receive: Receive) -> Path:
        """The body as a file in the installation (so that it can be moved into its place), removed at the end."""
        folder = self._loopline.home / "work" / "uploads"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / temporary_name("upload")
            stack.callback(path.unlink, missing_ok=True)
            with open(path, "xb", buffering=PIECE) as file:
                async for piece in pieces(receive):
                    file.write(piece)
        except OSError as error:
            raise Unavailable(
                f"The upload cannot be written ({error.strerror}).", "Free disk, then try again."
            ) from error
        return path


class Gone(Exception):
    """The client went away before its request was whole."""


def mounted(routes: tuple[Route, ...]) -> Iterator[tuple[str, Route]]:
    """The routes at each of their addresses."""
    for route in routes:
        for path in (route.path,) if route.path.startswith("/") else tuple(one + route.path for one in PREFIXES):
            yield path, route


def check_role(role: Role, caller: Caller) -> None:
    """Refused when the caller's role does not reach."""
    if caller.role < role:
        raise Refused(
            f"{caller.name!r} is {caller.role.name.lower()}; this needs {role.name.lower()}.",
            "Ask an admin for a token with that role.",
        )


def check_json(scope: Scope) -> None:
    """Invalid when a body is not declared as JSON (a browser's form could be sent by any page)."""
    declared = headers_of(scope).get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise Invalid("Bad Request. Content-Type must be one of ['application/json'].")


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by their names in small letters."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def query_of(scope: Scope) -> dict[str, Any]:
    """The query's fields; one that comes several times as a list."""
    try:
        text = scope["query_string"].decode()
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=10_000, errors="strict")
    except ValueError:
        raise Invalid("The query cannot be read.", "Encode it as UTF-8 with percent signs.") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        known = fields.get(name)
        fields[name] = value if known is None else [*known, value] if isinstance(known, list) else [known, value]
    return fields


async def json_of(scope: Scope, receive: Receive) -> dict[str, Any]:
    """The fields of a JSON body; none for an empty one."""
    content = await whole(receive)
    if not content and scope["method"] == "DELETE":
        return {}
    check_json(scope)
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MOST_VALUES:
        raise Invalid(f"The body holds more than {MOST_VALUES:,} values.", "Send it in parts.")
    try:
        found = msgspec.json.decode(content or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Coded(Invalid(f"The body is not JSON ({error})."), "MALFORMED_REQUEST") from None
    if isinstance(found, str):  # old clients encode twice
        with contextlib.suppress(msgspec.DecodeError):
            found = msgspec.json.decode(found)
    if not isinstance(found, dict):
        raise Coded(Invalid("The body is not a JSON object.", "Send fields by name."), "MALFORMED_REQUEST")
    return found


async def whole(receive: Receive) -> bytes:
    """The whole body."""
    found = [piece async for piece in pieces(receive)]
    return found[0] if len(found) == 1 else b"".join(found)


async def pieces(receive: Receive) -> Any:
    """The body as it comes."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def deliver(send: Send, answer: Any) -> None:
    """Plain data as JSON, bytes as they are, a file piece by piece."""
    if not isinstance(answer, Raw):
        await say(send, 200, await anyio.to_thread.run_sync(msgspec.json.encode, answer if answer is not None else {}))
        return
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-type", answer.media_type.encode("latin-1")))
    if isinstance(answer.content, bytes):
        await say(send, 200, answer.content, tuple(headers))
        return
    if answer.size is not None:
        headers.append((b"content-length", str(answer.size).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while piece := await anyio.to_thread.run_sync(next, answer.content, b""):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, error: LooplineError) -> None:
    """An error as MLflow's clients understand it."""
    code = mlflow_code(error)
    await say(send, STATUSES.get(code, 400), body_of(code, str(error)))


def body_of(code: str, message: str) -> bytes:
    """The body of an error."""
    return msgspec.json.encode({"error_code": code, "message": message})


async def say(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = JSON) -> None:
    """A whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
