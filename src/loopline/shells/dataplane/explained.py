"""Answers that say what each input contributed: asked for by `?explain=true`, over the Open Inference Protocol also by the
parameter `explain` of the request."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.shells.dataplane.answers import NO_MODEL, Fault
from loopline.shells.dataplane.replies import OpenInference

if TYPE_CHECKING:
    from loopline.shells.dataplane.exchange import Exchange
    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision

QUERY = b"explain=true"


class _Parameters(msgspec.Struct, frozen=True):
    explain: bool = False


class _Wish(msgspec.Struct):
    parameters: _Parameters = _Parameters()


_WISH = msgspec.json.Decoder(_Wish)


def asked(exchange: Exchange) -> bool:
    """Whether the address asks for it."""
    path = exchange.path
    return b"?" in path and QUERY in path.split(b"?", 1)[1].split(b"&")


def asked_within(body: bytes) -> bool:
    """Whether the JSON of a request asks for it."""
    if b'"explain"' not in body:
        return False
    try:
        return _WISH.decode(body).parameters.explain
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False  # whoever reads the body says what is wrong with it


def check(revision: Revision) -> None:
    """Fault when the model is up and cannot tell."""
    ready = [worker for worker in revision.workers if worker.ready]
    if ready and not any(worker.explains for worker in ready):
        raise Fault(
            NO_MODEL,
            f"What the inputs contributed cannot be told of {revision.model}/{revision.version}.",
            "It can of linear models and of trees; ask without `explain`.",
        )


class Explained:
    """As plain rows, with `explanations`: for each row `base` and `contributions` by input; null where they cannot be
    told."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        rows = len(values)
        ids = [item.id] if rows == 1 else [f"{item.id}-{row}" for row in range(rows)]
        return msgspec.json.encode(
            {
                "predictions": list(values),
                "ids": ids,
                "explanations": told(revision, item, rows),
                "version": revision.version,
                "revision": revision.number,
            }
        )


class ExplainedTensors(OpenInference):
    """The Open Inference Protocol with two more outputs: `explanation` of shape [rows, inputs], whose inputs are named by
    its parameter `inputs`, and `explanation_base` of shape [rows]."""

    __slots__ = ()

    def __init__(self, request_id: str | None) -> None:
        super().__init__(request_id, binary=False)

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        answer = msgspec.json.decode(super().body(revision, item, values))
        if item.explanation is not None:
            base, columns = item.explanation
            names = [column.name for column in revision.signature.inputs]
            flat = array("d", [column[row] for row in range(len(base)) for column in columns])
            answer["outputs"] += [
                {"name": "explanation", "datatype": "FP64", "shape": [len(base), len(columns)],
                 "parameters": {"inputs": ",".join(names)}, "data": list(flat)},
                {"name": "explanation_base", "datatype": "FP64", "shape": [len(base)], "data": list(base)},
            ]  # fmt: skip
        return msgspec.json.encode(answer)


def told(revision: Revision, item: Item, rows: int) -> list[Any] | None:
    """Base and contributions by input, for each row."""
    if item.explanation is None:
        return None
    base, columns = item.explanation
    names = [column.name for column in revision.signature.inputs]
    return [
        {"base": base[row], "contributions": {name: column[row] for name, column in zip(names, columns, strict=True)}}
        for row in range(rows)
    ]


EXPLAINED = Explained()
