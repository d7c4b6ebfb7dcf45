"""The native API: each verb of each use-case as a route under /api/v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from loopline.app.wiring import Loopline, all_verbs
from loopline.core.errors import Invalid, LooplineError, Refused
from loopline.core.verbs import Caller, Verb
from loopline.shells.http.guard import error_body
from loopline.shells.http.loading import elsewhere
from loopline.shells.http.reporting import logged

JSON = "application/json"
MOST_VALUES = 1_000_000  # a value takes far more memory than text; a file travels as one


def api_routes(loopline: Loopline) -> list[Route]:
    """One route a verb; fixed paths before those with placeholders."""
    verbs = sorted(all_verbs(), key=lambda verb: ("{" in verb.path, verb.path))
    return [
        Route(f"/api/v1{verb.path}", endpoint(loopline, verb), methods=[verb.method], name=verb.name) for verb in verbs
    ]


def endpoint(loopline: Loopline, verb: Verb) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            caller = request.state.caller
            check_role(verb, caller)  # before the body is read: who may not ask costs nothing
            fields = await fields_of(request, verb)
            content = await anyio.to_thread.run_sync(do, loopline, verb, fields, caller)
        except ClientDisconnect:
            return Response(status_code=413)
        except LooplineError as error:
            return Response(error_body(error), error.http_status, media_type=JSON)
        except Exception:
            return unexpected()
        return Response(content, media_type=JSON)

    return serve


def do(loopline: Loopline, verb: Verb, fields: Mapping[str, Any], caller: Caller) -> bytes:
    """Do the verb as `caller`; answers JSON."""
    return msgspec.json.encode(perform(loopline, verb, fields, caller))


def perform(loopline: Loopline, verb: Verb, fields: Mapping[str, Any], caller: Caller) -> Any:
    """Check the caller's role and the fields, then do the verb."""
    check_role(verb, caller)
    try:
        request = msgspec.convert(fields, verb.request, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{verb.name} was asked wrongly: {error}.", verb.summary + ".") from None
    service = loopline.get(verb.name.partition(".")[0])
    if verb.loads is not None:
        verb.loads(service, request)
        return elsewhere(loopline, verb, request, caller)
    return verb.call(service, request, caller)


def check_role(verb: Verb, caller: Caller) -> None:
    """Refused when the caller's role does not reach for the verb."""
    if caller.role < verb.role:
        raise Refused(
            f"{caller.name!r} is {caller.role.name.lower()}; {verb.name} needs {verb.role.name.lower()}.",
            "Ask an admin for a token with that role.",
        )


async def fields_of(request: Request, verb: Verb) -> dict[str, Any]:
    """The fields in body, query and path; a field that the verb does not know is refused."""
    types = {field.encode_name: field.type for field in msgspec.structs.fields(verb.request)}
    fields = {**await body_of(request), **query_of(request, types), **request.path_params}
    for unknown in sorted(fields.keys() - types.keys()):
        raise Invalid(f"{verb.name} takes no {unknown[:100]!r}.", f"It takes {', '.join(sorted(types)) or 'nothing'}.")
    return fields


def query_of(request: Request, types: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        listed = text[:1] in ("[", "{") and types.get(name) is not str
        try:
            found[name] = msgspec.json.decode(text) if listed else text
        except (msgspec.DecodeError, RecursionError):
            raise Invalid(f"The query's {name[:100]!r} is not JSON.", "Encode lists as JSON.") from None
    return found


async def body_of(request: Request) -> dict[str, Any]:
    if request.method in ("GET", "DELETE", "HEAD"):
        return {}
    content = await request.body()
    if not content:
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
        raise Invalid("The body is not declared as JSON.", "Send Content-Type: application/json.")
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MOST_VALUES:
        raise Invalid(f"The body holds more than {MOST_VALUES:,} values.", "Send it in parts.")
    try:
        data = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not JSON ({error}).", "Send one JSON object.") from None
    if not isinstance(data, dict):
        raise Invalid("The body is not a JSON object.", 'Send fields by name, as {"name": …}.')
    return data


def unexpected() -> Response:
    """What nobody foresaw: the reader gets a number to ask about, the log the rest."""
    number = logged()
    text = {
        "error": "internal",
        "message": f"Something went wrong inside (error {number}).",
        "hint": "See the server's log.",
    }
    return Response(msgspec.json.encode(text), 500, media_type=JSON)
