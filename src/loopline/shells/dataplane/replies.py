"""The forms in which predictions are answered."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from loopline.shells.dataplane.rows import DATATYPES

if TYPE_CHECKING:
    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision


class Reply(Protocol):
    """A form."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        """The answer's body for the predictions of one request."""


class Plain:
    """`{"predictions": […], "ids": […], "version": …, "revision": …}`."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        if len(values) == 1 and isinstance(values, array):
            return f'{{"predictions":[{values[0]!r}],"ids":["{item.id}"],{revision.tail}'.encode()
        ids = [item.id] if len(values) == 1 else [f"{item.id}-{row}" for row in range(len(values))]
        return msgspec.json.encode(
            {"predictions": list(values), "ids": ids, "version": revision.version, "revision": revision.number}
        )


class OpenInference:
    """The Open Inference Protocol; row i of several is `<prediction_id>-<i>`."""

    __slots__ = ("request_id",)

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        output = revision.signature.output
        datatype = "FP64" if isinstance(values, array) else next(iter(DATATYPES[output.type]))
        answer: dict[str, Any] = {"model_name": revision.endpoint, "model_version": str(revision.version)}
        if self.request_id is not None:
            answer["id"] = self.request_id
        answer["parameters"] = {"prediction_id": item.id, "revision": revision.number}
        tensor = {"name": output.name, "datatype": datatype, "shape": [len(values)], "data": list(values)}
        answer["outputs"] = [tensor]
        return msgspec.json.encode(answer)


PLAIN = Plain()
