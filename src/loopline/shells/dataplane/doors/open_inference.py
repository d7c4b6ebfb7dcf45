"""The Open Inference Protocol, version 2, over REST, with its binary tensor data extension."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.answers import JSON, Fault, json_answer, unavailable
from loopline.shells.dataplane.bodies import OCTETS, SMALL, TENSORS, aside, kind_of
from loopline.shells.dataplane.doors.plain import columns
from loopline.shells.dataplane.explained import ExplainedTensors, asked, asked_within, check
from loopline.shells.dataplane.pieces import submit
from loopline.shells.dataplane.replies import OpenInference
from loopline.shells.dataplane.revision import COLD, READY
from loopline.shells.dataplane.tensors import Request, metadata, read


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
    if columns(app, exchange, revision, arm, OpenInference(None)):
        return
    length = json_length(exchange)
    contract, output, body = revision.rows, revision.signature.output, exchange.body

    explain = asked(exchange) or asked_within(body if length is None else body[:length])
    if explain:
        check(revision)

    def answer(request: Request) -> None:
        form = ExplainedTensors(request.id) if explain else OpenInference(request.id, request.binary)
        submit(revision, exchange, request.rows, form, arm, explain)

    if len(body) > SMALL:
        aside(app, exchange, lambda: read(contract, output, body, length), answer)
    else:
        answer(read(contract, output, body, length))


def json_length(exchange: Any) -> int | None:
    """Where the JSON of a request ends and binary data begins; None where all of it is JSON."""
    kind = kind_of(exchange)
    told = exchange.headers.get(TENSORS)
    if told is None:
        if kind != JSON:
            raise Fault(415, "The body is not declared as JSON.", "Send Content-Type: application/json.")
        return None
    if kind not in (JSON, OCTETS):
        raise Fault(415, "The body is not declared as binary tensors.", "Send Content-Type: application/octet-stream.")
    if not told.isdigit() or len(told) > 12 or int(told) > len(exchange.body):
        raise Fault(
            400,
            f"Inference-Header-Content-Length is {told[:20].decode('ascii', 'replace')!r} for {len(exchange.body)} bytes.",
            "Send the length of the JSON, in bytes.",
        )
    return int(told)


def described(app: Any, exchange: Any, served: Any) -> None:
    """The model's metadata."""
    live = served.present()
    output = metadata((live.signature.output,), output=True)
    versions, inputs = [str(live.version)], metadata(live.signature.inputs)
    json_answer(
        exchange,
        {"name": served.name, "versions": versions, "platform": "loopline", "inputs": inputs, "outputs": output},
    )


def ready(app: Any, exchange: Any, served: Any) -> None:
    """Whether the model answers."""
    if served.live is None or served.live.state not in (READY, COLD):
        raise unavailable(f"Endpoint {served.name!r} is not ready.")
    json_answer(exchange, {"name": served.name, "ready": True})
