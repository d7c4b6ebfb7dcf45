"""The forms in which predictions are answered."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from loopline.shells.dataplane.answers import JSON
from loopline.shells.dataplane.bodies import OCTETS
from loopline.shells.dataplane.tensors import datatype_of, packed

if TYPE_CHECKING:
    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision

ID_HEADER = b"x-loopline-prediction-id: %b\r\n"


class Reply(Protocol):
    """A form."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        """The answer's body for the predictions of one request. Another content type than JSON, or further headers, are
        put into `item.exchange.form`."""


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
    """The Open Inference Protocol; row i of several is `<prediction_id>-<i>`. `binary`: the output comes after the JSON,
    as the binary tensor data extension has it."""

    __slots__ = ("binary", "request_id")

    def __init__(self, request_id: str | None, binary: bool = False) -> None:
        self.request_id = request_id
        self.binary = binary

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        output = revision.signature.output
        datatype = "FP64" if isinstance(values, array) else datatype_of(output, output=True)
        answer: dict[str, Any] = {"model_name": revision.endpoint, "model_version": str(revision.version)}
        if self.request_id is not None:
            answer["id"] = self.request_id
        answer["parameters"] = {"prediction_id": item.id, "revision": revision.number}
        tensor: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": [len(values)]}
        answer["outputs"] = [tensor]
        if not self.binary:
            tensor["data"] = list(values)
            return msgspec.json.encode(answer)
        data = packed(datatype, values)
        tensor["parameters"] = {"binary_data_size": len(data)}
        head = msgspec.json.encode(answer)
        item.exchange.form = OCTETS, b"inference-header-content-length: %d\r\n" % len(head)
        return head + data


class Scoring:
    """`{"predictions": […]}` as MLflow's scoring server answers; the prediction's id is in a header, and row i of several
    is that id + `-i`."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        item.exchange.form = JSON, ID_HEADER % item.id.encode()
        return msgspec.json.encode({"predictions": list(values)})


PLAIN = Plain()
SCORING = Scoring()
