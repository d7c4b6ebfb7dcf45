"""MLflow's scoring protocol: `/endpoints/{name}/invocations`, and `/invocations` where there is one endpoint only."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.answers import JSON, Fault, unavailable
from loopline.shells.dataplane.bodies import CSV, SMALL, aside, kind_of
from loopline.shells.dataplane.pieces import submit
from loopline.shells.dataplane.replies import SCORING
from loopline.shells.dataplane.revision import COLD, READY
from loopline.shells.dataplane.scoring import from_csv, from_json

PLAIN_TEXT = b"text/plain; charset=utf-8"


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [(b"/endpoints/%b/invocations" % name, b"POST", Role.VIEWER, invocations)]


def fixed() -> list[tuple[bytes, Any]]:
    """See `doors.fixed`."""
    return [(b"/ping", ping), (b"/version", version)]


def invocations(app: Any, exchange: Any, served: Any) -> None:
    """Answer rows in one of MLflow's forms."""
    revision, arm = served.choose(exchange)
    exchange.label = revision.series
    kind = kind_of(exchange)
    read = from_json if kind == JSON else from_csv if kind == CSV else None
    if read is None:
        raise Fault(415, "The body is declared neither as JSON nor as CSV.", "Send application/json or text/csv.")
    work = partial(read, revision.rows, exchange.body)

    def answer(rows: list[tuple[Any, ...]]) -> None:
        submit(revision, exchange, rows, SCORING, arm)

    if len(exchange.body) > SMALL:
        aside(app, exchange, work, answer)
    else:
        answer(work())


def ping(app: Any, exchange: Any) -> None:
    """Whether everything that is live, and that the caller may ask, answers."""
    seen = app.seen_by(exchange.caller)
    if any(served.live is not None and served.live.state not in (READY, COLD) for served in seen):
        raise unavailable("Not ready yet.")
    exchange.reply(200, b"\n")


def version(app: Any, exchange: Any) -> None:
    """The version of what serves."""
    exchange.reply(200, import_module("loopline").__version__.encode(), kind=PLAIN_TEXT)
