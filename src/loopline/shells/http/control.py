"""The control plane's application and its process."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loopline import __version__
from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.shells.http.api import JSON, api_routes
from loopline.shells.http.guard import Guard, error_body
from loopline.shells.http.hooks import hook_routes
from loopline.shells.http.links import link_routes
from loopline.shells.http.metrics import TEXT, metrics_text
from loopline.shells.http.mlflow import Mlflow
from loopline.shells.http.pages import page_routes, problem

if TYPE_CHECKING:
    from loopline.kit.tls import Certificates


def application(loopline: Loopline, hosts: frozenset[str]) -> Any:
    """The ASGI application behind its guard; `hosts` are the exact Host headers that it answers to."""

    def health(_: Request) -> Response:
        """The server answers; and whether somebody looks after the monitors, which the worker does."""
        told = {"status": "ok", "version": __version__}
        with suppress(LooplineError):
            told |= {"monitors": trouble} if (trouble := loopline.monitoring.not_watched()) else {}
        return JSONResponse(told)

    def metrics(_: Request) -> Response:
        return PlainTextResponse(metrics_text(loopline), media_type=TEXT)

    routes = [
        Route("/health", health),
        Route("/metrics", metrics),
        *hook_routes(loopline),
        *api_routes(loopline),
        *link_routes(loopline),
        *page_routes(loopline),
    ]
    app = Starlette(routes=routes, exception_handlers={404: not_found, 405: wrong_method})
    mlflow = Mlflow(app, loopline)
    return Guard(mlflow, loopline.access, hosts, mlflow.takes_file)


async def not_found(request: Request, _: Exception) -> Response:
    error = NotFound(f"There is nothing at {request.url.path[:200]!r}.", "The home page links to all there is.")
    if request.url.path.startswith("/api/"):
        return Response(error_body(error), 404, media_type=JSON)
    return problem(error, getattr(request.state, "caller", None))


async def wrong_method(request: Request, error: Exception) -> Response:
    refused = Invalid(f"{request.method} is not possible at {request.url.path[:200]!r}.", "Ask with another method.")
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    return Response(error_body(refused), 405, headers, media_type=JSON)


def host_names(host: str, port: int, more: tuple[str, ...] = ()) -> frozenset[str]:
    """The Host headers to answer to: loopback by every name, the address bound, and what was configured."""
    names = {"localhost", "127.0.0.1", "[::1]", host.lower(), *(name.lower() for name in more)}
    return frozenset({f"{name}:{port}" for name in names} | (names if port in (80, 443) else set()))


def serve(
    loopline: Loopline, listening: socket.socket, hosts: frozenset[str], ready: Any, tls: Certificates | None = None
) -> None:
    """Answer requests on a listening socket until SIGTERM, with `tls` in TLS alone; calls `ready` just before the first."""
    import uvicorn

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    config = uvicorn.Config(
        application(loopline, hosts),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=3,
        loop="uvloop",
        http="httptools",
        ws="none",
    )
    if tls is not None:
        config.load()
        config.ssl = tls.context
    ready()
    uvicorn.Server(config).run(sockets=[listening])
