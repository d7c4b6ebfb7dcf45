"""Pages and their forms, drawn on the server with what the verbs answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from loopline.app.wiring import PARTS, Loopline, verb_named
from loopline.core.errors import Invalid, LooplineError, NotFound, Refused
from loopline.core.pages import Call, Form, Page
from loopline.core.verbs import Caller
from loopline.shells.http import home
from loopline.shells.http.api import perform, unexpected
from loopline.shells.http.filters import FILTERS
from loopline.shells.http.guard import COOKIE

HERE = Path(__file__).parent
REMOVABLE = {
    "runs": ("run", "run_id"),
    "models": ("model", "model"),
    "endpoints": ("endpoint", "endpoint"),
    "snapshots": ("snapshot", "digest"),
    "releases": ("release", "ref"),
    "datasets": ("dataset", "name"),
    "projects": ("project", "name"),
}
MOST_FIELDS = 1_000
USECASES = Path(import_module("loopline.usecases").__path__[0])


def web_modules() -> list[Any]:
    """The web.py of each use-case that has one, and the home page's."""
    return [
        home,
        *(import_module(f"loopline.usecases.{name}.web") for name in PARTS if has_pages(name)),
    ]


def has_pages(name: str) -> bool:
    """Whether a use-case has a web.py, or a folder of that name."""
    return (USECASES / name / "web.py").exists() or (USECASES / name / "web" / "__init__.py").exists()


@cache
def templates() -> jinja2.Environment:
    """Templates of the layout and of each use-case ("monitoring/page.html" lies in its templates folder)."""
    folders = {name: jinja2.FileSystemLoader(USECASES / name / "templates") for name in PARTS}
    loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader(HERE / "templates"), jinja2.PrefixLoader(folders)])
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(FILTERS)
    return environment


def page_routes(loopline: Loopline) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/sign-in", sign_in(loopline), methods=["GET", "POST"]),
        Route("/sign-out", sign_out(loopline), methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    for module in web_modules():
        name = module.__name__.split(".")[-2]
        for page in module.PAGES:
            methods = ["GET", "POST"] if page.posted else ["GET"]
            routes.append(Route(page.path, draw(loopline, page, name), methods=methods))
        routes += [Route(form.path, submit(loopline, form), methods=["POST"]) for form in getattr(module, "FORMS", ())]
    return routes


def calls(loopline: Loopline, caller: Caller) -> Call:
    """Verbs as `caller`, answering plain data."""

    def call(name: str, /, **fields: Any) -> Any:
        verb = verb_named(name)
        return msgspec.to_builtins(perform(loopline, verb, fields, caller))

    return call


def draw(loopline: Loopline, page: Page, part: str) -> Callable[[Request], Awaitable[Response]]:
    name = page.template if part == "http" else f"{part}/{page.template}"

    def render(caller: Caller, params: Mapping[str, str]) -> str:
        if caller.role < page.role:
            raise Refused(f"{caller.name!r} may not see this page.", "Ask an admin for a role.")
        data = page.data(calls(loopline, caller), params)
        return templates().get_template(name).render(tab=page.tab, caller=caller, params=params, **data)

    async def serve(request: Request) -> Response:
        params = {**joined(request.query_params.multi_items()), **request.path_params}
        try:
            if request.method == "POST":
                params = {**await form_of(request), **request.path_params}
            text = await anyio.to_thread.run_sync(render, request.state.caller, params)
        except LooplineError as error:
            told = await anyio.to_thread.run_sync(remembered, loopline, page.path, params, error)
            return problem(told, request.state.caller)
        except Exception:
            return unexpected()
        return Response(text, media_type="text/html")

    return serve


def remembered(loopline: Loopline, path: str, params: Mapping[str, str], error: LooplineError) -> LooplineError:
    """The error, and when and by whom the thing was removed that the page is about, if it was."""
    kind, field = REMOVABLE.get(path.split("/")[1], ("", ""))
    if not isinstance(error, NotFound) or not params.get(field):
        return error
    stone = loopline.retention.tombstone(kind, params[field])
    if stone is None:
        return error
    return NotFound(
        f"The {kind} {stone.name[:80]} was {stone.sentence}.", "As long as it is in the trash, it can come back."
    )


def submit(loopline: Loopline, form: Form) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        fields: dict[str, Any] = {}
        try:
            fields = {**await form_of(request), **request.path_params}
            await anyio.to_thread.run_sync(lambda: calls(loopline, request.state.caller)(form.verb, **fields))
        except LooplineError as error:
            return problem(error, request.state.caller)
        except Exception:
            return unexpected()
        return RedirectResponse(form.back.format_map(defaultdict(str, fields)), 303)

    return serve


def problem(error: LooplineError, caller: Caller | None) -> Response:
    text = templates().get_template("problem.html").render(error=error, caller=caller, tab="")
    return Response(text, error.http_status, media_type="text/html")


def sign_in(loopline: Loopline) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            secret = await opened(loopline, request)
        except LooplineError as error:
            return problem(error, None)
        if secret is None:
            text = templates().get_template("sign_in.html").render(tab="", caller=None)
            return Response(text, media_type="text/html")
        answer = RedirectResponse("/", 303)
        https = request.url.scheme == "https"
        answer.set_cookie(COOKIE, secret, max_age=12 * 3600, httponly=True, samesite="lax", path="/", secure=https)
        return answer

    return serve


async def opened(loopline: Loopline, request: Request) -> str | None:
    """The secret of a session opened by a one-time code (link) or by a token (form); None to show the form."""
    code = request.query_params.get("code")
    if request.method == "GET":
        return await anyio.to_thread.run_sync(loopline.access.sign_in, code) if code else None
    token = (await form_of(request)).get("token", "")
    return await anyio.to_thread.run_sync(loopline.access.sign_in_with, token)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a plain HTML form."""
    try:
        return joined(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Invalid("The form could not be read.", "Go back and send it again.") from None


def joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Fields by name; what comes several times, as the boxes of a list do, is one text with commas between."""
    found: dict[str, str] = {}
    for name, value in fields:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def sign_out(loopline: Loopline) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        secret = request.cookies.get(COOKIE)
        if secret:
            await anyio.to_thread.run_sync(loopline.access.sign_out, secret)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer

    return serve
