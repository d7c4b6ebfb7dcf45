"""Plain rows: `{"rows": [{…}]}` → `{"predictions": […], "ids": […], "version": …}`."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.bodies import only_json
from loopline.shells.dataplane.replies import PLAIN


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [(b"/v1/endpoints/%b/predict" % name, b"POST", Role.VIEWER, predict)]


def predict(app: Any, exchange: Any, served: Any) -> None:
    """Answer rows."""
    revision, arm = served.choose(exchange)
    exchange.label = revision.series
    revision.submit(exchange, revision.rows.from_plain(only_json(exchange)), PLAIN, arm)
