"""Plain rows: `{"rows": [{…}]}` → `{"predictions": […], "ids": […], "version": …}`; or columns as an Arrow stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.answers import JSON
from loopline.shells.dataplane.bodies import ARROW, SMALL, TENSORS, aside, kind_of, only_json, wants
from loopline.shells.dataplane.explained import EXPLAINED, asked, check
from loopline.shells.dataplane.pieces import submit
from loopline.shells.dataplane.replies import PLAIN

if TYPE_CHECKING:
    from loopline.shells.dataplane.replies import Reply


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [(b"/v1/endpoints/%b/predict" % name, b"POST", Role.VIEWER, predict)]


def predict(app: Any, exchange: Any, served: Any) -> None:
    """Answer rows."""
    revision, arm = served.choose(exchange)
    exchange.label = revision.series
    body = exchange.body
    if TENSORS in exchange.headers or exchange.headers.get(b"content-type", JSON) != JSON:
        if columns(app, exchange, revision, arm, PLAIN):
            return
        body = only_json(exchange)
    explain = asked(exchange)
    if explain:
        check(revision)
    form = EXPLAINED if explain else PLAIN
    contract = revision.rows
    rows = contract.quick(body)
    if rows is not None:
        submit(revision, exchange, rows, form, arm, explain)
        return

    def answer(found: list[tuple[Any, ...]]) -> None:
        submit(revision, exchange, found, form, arm, explain)

    if len(body) > SMALL:
        aside(app, exchange, partial(contract.from_plain, body), answer)
    else:
        answer(contract.from_plain(body))


def columns(app: Any, exchange: Any, revision: Any, arm: str, reply: Reply) -> bool:
    """Answer a request that comes as Arrow; as Arrow too where that is asked for. False when it comes as something
    else."""
    headers = exchange.headers
    if headers.get(b"content-type", JSON) == JSON or kind_of(exchange) != ARROW:
        return False
    from loopline.shells.dataplane.arrow import STREAM, from_arrow

    form: Reply = STREAM if wants(exchange, ARROW) else reply

    def answer(rows: list[tuple[Any, ...]]) -> None:
        submit(revision, exchange, rows, form, arm)

    aside(app, exchange, partial(from_arrow, revision.rows, exchange.body), answer)
    return True
