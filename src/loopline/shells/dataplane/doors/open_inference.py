"""The Open Inference Protocol, version 2, over REST."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.answers import json_answer, unavailable
from loopline.shells.dataplane.bodies import only_json
from loopline.shells.dataplane.replies import OpenInference
from loopline.shells.dataplane.revision import READY
from loopline.shells.dataplane.rows import metadata


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [
        (b"/v2/models/%b/infer" % name, b"POST", Role.VIEWER, infer),
        (b"/v2/models/%b" % name, b"GET", Role.VIEWER, described),
        (b"/v2/models/%b/ready" % name, b"GET", Role.VIEWER, ready),
    ]


def infer(app: Any, exchange: Any, served: Any) -> None:
    """Answer tensors."""
    revision, arm = served.choose(exchange)
    exchange.label = revision.series
    rows, request_id = revision.rows.from_tensors(only_json(exchange))
    revision.submit(exchange, rows, OpenInference(request_id), arm)


def described(app: Any, exchange: Any, served: Any) -> None:
    """The model's metadata."""
    live = served.present()
    output = metadata((live.signature.output,))
    versions, inputs = [str(live.version)], metadata(live.signature.inputs)
    json_answer(
        exchange,
        {"name": served.name, "versions": versions, "platform": "loopline", "inputs": inputs, "outputs": output},
    )


def ready(app: Any, exchange: Any, served: Any) -> None:
    """Whether the model answers."""
    if served.live is None or served.live.state != READY:
        raise unavailable(f"Endpoint {served.name!r} is not ready.")
    json_answer(exchange, {"name": served.name, "ready": True})
