"""The messages of the Open Inference Protocol's gRPC service, declared as the protocol describes them.

Field numbers follow the order of the fields, from 1. The descriptors live in a pool of their own, so that a program may
use another library's classes of the same names beside ours. A test compares them with those of a stock client.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SERVICE = "inference.GRPCInferenceService"
PARAMETERS = "map InferParameter parameters"
TENSOR = ("string name", "string datatype", "repeated int64 shape")
CALL = ("string model_name", "string model_version", "string id", PARAMETERS)
MESSAGES: dict[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready",),
    "ModelReadyRequest": ("string name", "string version"),
    "ModelReadyResponse": ("bool ready",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name", "string version", "repeated string extensions"),
    "ModelMetadataRequest": ("string name", "string version"),
    "ModelMetadataResponse": (
        "string name",
        "repeated string versions",
        "string platform",
        "repeated ModelMetadataResponse.TensorMetadata inputs",
        "repeated ModelMetadataResponse.TensorMetadata outputs",
    ),
    "ModelMetadataResponse.TensorMetadata": TENSOR,
    "ModelInferRequest": (
        *CALL,
        "repeated ModelInferRequest.InferInputTensor inputs",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs",
        "repeated bytes raw_input_contents",
    ),
    "ModelInferRequest.InferInputTensor": (*TENSOR, PARAMETERS, "InferTensorContents contents"),
    "ModelInferRequest.InferRequestedOutputTensor": ("string name", PARAMETERS),
    "ModelInferResponse": (
        *CALL,
        "repeated ModelInferResponse.InferOutputTensor outputs",
        "repeated bytes raw_output_contents",
    ),
    "ModelInferResponse.InferOutputTensor": (*TENSOR, PARAMETERS, "InferTensorContents contents"),
    "InferParameter": (
        "oneof bool bool_param",
        "oneof int64 int64_param",
        "oneof string string_param",
        "oneof double double_param",
        "oneof uint64 uint64_param",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents",
        "repeated int32 int_contents",
        "repeated int64 int64_contents",
        "repeated uint32 uint_contents",
        "repeated uint64 uint64_contents",
        "repeated float fp32_contents",
        "repeated double fp64_contents",
        "repeated bytes bytes_contents",
    ),
}
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
NOT_HERE = ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload", "ModelStreamInfer")
"""Calls that some servers add to the protocol; they are refused with a sentence."""


def message(name: str) -> Any:
    """The class of a message, as `message("ModelInferRequest")`."""
    return _classes()[name]


@cache
def _classes() -> dict[str, Any]:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    pool.Add(_file())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}")) for name in MESSAGES}


def _file() -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name="loopline/open_inference.proto", package="inference", syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        outer, _, inner = name.rpartition(".")
        made[name] = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        for number, text in enumerate(fields, 1):
            _add(made[name], name, number, text.split())
    return file


def _add(into: Any, owner: str, number: int, words: list[str]) -> None:
    """One field: [repeated | map | oneof] TYPE NAME."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    kind, name = words[-2:]
    many = words[0] in ("repeated", "map")
    label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
    field = into.field.add(name=name, number=number, label=label)
    if words[0] == "oneof":
        if not into.oneof_decl:
            into.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if words[0] == "map":
        entry = into.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add(entry, owner, 1, ["string", "key"])
        _add(entry, owner, 2, [kind, "value"])
        kind = f"{owner}.ParametersEntry"
    if kind in MESSAGES or kind.endswith("Entry"):
        field.type, field.type_name = Field.TYPE_MESSAGE, f".inference.{kind}"
    else:
        field.type = getattr(Field, f"TYPE_{kind.upper()}")
