"""Ground truth for what was predicted."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.bodies import only_json
from loopline.shells.dataplane.truths import parsed


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [(b"/v1/endpoints/%b/truth" % name, b"POST", Role.EDITOR, truth)]


def truth(app: Any, exchange: Any, served: Any) -> None:
    """Take ground truth; it is answered once it is on disk."""
    texts = served.live is None or served.live.signature.output.type in ("string", "timestamp")
    records = parsed(only_json(exchange), served.has_key, app.limits.rows, texts)
    app.truths.take(exchange, served.name, records)
