"""Between the messages of gRPC and the bodies of the protocol's REST form."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.shells.rpc.messages import message

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
BINARY = {"binary_data_output": True}


class Wrong(Exception):
    """A request that says two things at once, or one that cannot be; its text is a sentence."""


class Tensor(msgspec.Struct):
    """A tensor in an answer."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Answered(msgspec.Struct):
    """An answer."""

    model_name: str
    model_version: str
    outputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}


_ANSWERED = msgspec.json.Decoder(Answered)


def body_of(request: Any) -> tuple[bytes, int]:
    """The REST body of a ModelInferRequest, and how many bytes of it are JSON when tensors follow as they are (else 0).
    Raises Wrong."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Wrong(f"There are {len(request.inputs)} inputs but {len(raw)} raw contents.")
    said: dict[str, Any] = {"parameters": parameters_of(request.parameters)} if request.parameters else {}
    if request.id:
        said["id"] = request.id
    outputs = [{"name": each.name, **_given(each.parameters)} for each in request.outputs]
    if outputs:
        said["outputs"] = outputs
    if not raw:
        said["inputs"] = [_typed(each) for each in request.inputs]
        return msgspec.json.encode(said), 0
    said["parameters"] = {**said.get("parameters", {}), **BINARY}
    said["inputs"] = [_sized(each, len(content)) for each, content in zip(request.inputs, raw, strict=True)]
    head = msgspec.json.encode(said)
    return b"".join((head, *raw)), len(head)


def response_of(body: bytes, head: int) -> Any:
    """The ModelInferResponse for a REST answer whose first `head` bytes are JSON (0: all of it)."""
    told = _ANSWERED.decode(body[:head] if head else body)
    response = message("ModelInferResponse")(model_name=told.model_name, model_version=told.model_version, id=told.id)
    _put(response.parameters, told.parameters)
    start = head
    for tensor in told.outputs:
        output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        size = tensor.parameters.pop("binary_data_size", None)
        _put(output.parameters, tensor.parameters)
        if size is not None:
            response.raw_output_contents.append(body[start : start + size])
            start += size
        elif tensor.data is not None:
            _fill(output.contents, tensor.datatype, tensor.data)
    return response


def parameters_of(given: Any) -> dict[str, Any]:
    """Parameters as plain values."""
    found = {}
    for name, value in given.items():
        which = value.WhichOneof("parameter_choice")
        found[name] = getattr(value, which) if which else None
    return found


def _given(parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters_of(parameters)} if parameters else {}


def _typed(tensor: Any) -> dict[str, Any]:
    kind = CONTENTS.get(tensor.datatype)
    if kind is None:
        raise Wrong(
            f"The input {tensor.name[:100]!r} has the datatype {tensor.datatype[:20]!r}, which has no typed form."
        )
    filled = [each.name for each, _ in tensor.contents.ListFields()]
    if filled not in ([], [kind]):
        raise Wrong(f"The input {tensor.name[:100]!r} is {tensor.datatype} but has its values in {filled[0]}.")
    data = list(getattr(tensor.contents, kind))
    if tensor.datatype == "BYTES":
        data = [_text(each, tensor.name) for each in data]
    shape = list(tensor.shape)
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": data, **_given(tensor.parameters)}


def _sized(tensor: Any, size: int) -> dict[str, Any]:
    if tensor.HasField("contents"):
        raise Wrong(f"The input {tensor.name[:100]!r} has both raw and typed contents.")
    more = {**parameters_of(tensor.parameters), "binary_data_size": size}
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": more}


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Wrong(f"The input {name[:100]!r} holds bytes that are not text in UTF-8.") from None


def _fill(contents: Any, datatype: str, data: list[Any]) -> None:
    """An output's values; a text that is null is empty here as in binary, for there is no null."""
    values = [each.encode() if isinstance(each, str) else b"" if each is None else each for each in data]
    getattr(contents, CONTENTS[datatype]).extend(values)


def _put(into: Any, parameters: dict[str, Any]) -> None:
    for name, value in parameters.items():
        if isinstance(value, bool):
            into[name].bool_param = value
        elif isinstance(value, int):
            into[name].int64_param = value
        elif isinstance(value, float):
            into[name].double_param = value
        else:
            into[name].string_param = value if isinstance(value, str) else msgspec.json.encode(value).decode()
