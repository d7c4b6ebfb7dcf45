"""The addresses that MLflow's client prints for people ("View run at …/#/experiments/1/runs/…") lead to our pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loopline.app.wiring import Loopline
from loopline.core.errors import LooplineError
from loopline.shells.http.pages import problem


def link_routes(loopline: Loopline) -> list[Route]:
    """The script links.js brings what stands behind the # here, as browsers keep that to themselves."""
    return [
        Route("/experiments/{experiment_id:int}", experiment(loopline), methods=["GET"]),
        Route("/experiments/{experiment_id:int}/runs", experiment(loopline), methods=["GET"]),
        Route("/experiments/{experiment_id:int}/runs/{run_id}", run, methods=["GET"]),
        Route("/experiments/{experiment_id:int}/runs/{run_id}/{rest:path}", run, methods=["GET"]),
    ]


def experiment(loopline: Loopline) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            found = await anyio.to_thread.run_sync(loopline.tracking.experiment, request.path_params["experiment_id"])
        except LooplineError as error:
            return problem(error, request.state.caller)
        return RedirectResponse(f"/runs?{urlencode({'experiment': found.name})}", 303)

    return serve


async def run(request: Request) -> Response:
    return RedirectResponse(f"/runs/{quote(request.path_params['run_id'], safe='')}", 303)
