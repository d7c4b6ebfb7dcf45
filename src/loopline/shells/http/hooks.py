"""Webhooks: the only place where a caller needs no token, since the signature of the delivery is the right."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, LooplineError, Refused, Unavailable
from loopline.shells.http.api import JSON, unexpected
from loopline.shells.http.guard import HOOKS, error_body

LARGEST_BODY = 256 * 1024
A_SECOND, AT_ONCE = 5.0, 30.0
MOST_CALLERS = 10_000


class Rate:
    """How often one caller may come: AT_ONCE times, and A_SECOND more each second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, caller: str) -> bool:
        """Count one call; False when it is one too many."""
        now = self._clock()
        if len(self._left) >= MOST_CALLERS:
            self._left.clear()
        left, since = self._left.get(caller, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - since) * A_SECOND)
        self._left[caller] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def hook_routes(loopline: Loopline) -> list[Route]:
    """POST /api/v1/hooks/{project}/{policy}."""
    return [Route(f"{HOOKS}{{project}}/{{policy}}", endpoint(loopline, Rate()), methods=["POST"])]


def endpoint(loopline: Loopline, rate: Rate) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        if not rate.allows(request.client.host if request.client else ""):
            busy = Unavailable("Too many deliveries come from there.", "Wait a second and send it again.")
            return refusal(busy, 429)
        try:
            body = await body_of(request)
            if body is None:
                return refusal(Invalid("The delivery is too large.", f"At most {LARGEST_BODY} bytes are taken."), 413)
            content = await anyio.to_thread.run_sync(
                delivered, loopline, request.path_params, dict(request.headers), body
            )
        except ClientDisconnect:
            return Response(status_code=413)
        except Refused as error:
            return refusal(error, 401)
        except LooplineError as error:
            return refusal(error, error.http_status)
        except Exception:
            return unexpected()
        return Response(content, 202, media_type=JSON)

    return serve


def delivered(loopline: Loopline, names: dict[str, str], headers: dict[str, str], body: bytes) -> bytes:
    """Have automation take the delivery; answers what became of it."""
    firing = loopline.automation.deliver(names["project"], names["policy"], headers, body)
    if firing is None:
        return msgspec.json.encode({"firing": "", "state": "ignored", "reason": "it is not what the policy waits for"})
    return msgspec.json.encode({"firing": firing.id, "state": firing.state, "reason": firing.reason})


async def body_of(request: Request) -> bytes | None:
    """The bytes as they were signed, or None when they are too many."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BODY:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def refusal(error: LooplineError, status: int) -> Response:
    return Response(error_body(error), status, media_type=JSON)
