"""Calls of the Open Inference Protocol over gRPC, by grpcio."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

import grpc
import msgspec
import pytest

from loopline.shells.rpc.messages import message
from loopline.shells.rpc.tensors import response_of

pytestmark = pytest.mark.integration
COLUMNS = (
    ("dep_hour", "FP64", "fp64_contents", [7.5, 9.0]),
    ("distance", "INT64", "int64_contents", [1400, 200]),
    ("temp", "FP64", "fp64_contents", [1.5, 2.5]),
    ("carrier", "BYTES", "bytes_contents", [b"UA", b"AA"]),
    ("holiday", "BOOL", "bool_contents", [False, True]),
)


def infer(rows: int = 1, **changed: Any) -> Any:
    request = message("ModelInferRequest")(model_name="late", id="mine")
    for name, datatype, field, values in COLUMNS:
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[rows])
        getattr(tensor.contents, field).extend(changed.get(name, values[:rows]))
    return request


def raw(rows: int = 1) -> Any:
    request = message("ModelInferRequest")(model_name="late", id="mine")
    texts = b"".join(struct.pack("<I", len(each)) + each for each in (b"UA", b"AA")[:rows])
    packed = (
        struct.pack(f"<{rows}d", *(7.5, 9.0)[:rows]),
        struct.pack(f"<{rows}q", *(1400, 200)[:rows]),
        struct.pack(f"<{rows}d", *(1.5, 2.5)[:rows]),
        texts,
        bytes((0, 1)[:rows]),
    )
    for (name, datatype, _, _), content in zip(COLUMNS, packed, strict=True):
        request.inputs.add(name=name, datatype=datatype, shape=[rows])
        request.raw_input_contents.append(content)
    return request


def refused(ask: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as told:
        ask()
    return told.value.code(), told.value.details()


def once_refused(ask: Callable[[], Any]) -> Any:
    """The first refusal: options are heard of a moment after they were set."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            ask()
        except grpc.RpcError as error:
            return error
    raise AssertionError("it was never refused")


def test_health_and_metadata(rpc: Any) -> None:
    assert rpc.call("ServerLive", token=None).live
    assert rpc.call("ServerReady").ready
    assert rpc.call("ModelReady", message("ModelReadyRequest")(name="late")).ready
    assert rpc.call("ModelReady", message("ModelReadyRequest")(name="late", version="1")).ready
    assert rpc.call("ServerMetadata").name == "loopline"
    told = rpc.call("ModelMetadata", message("ModelMetadataRequest")(name="late"))
    assert (told.name, list(told.versions)) == ("late", ["1"])
    found = [(each.name, each.datatype, list(each.shape)) for each in told.inputs]
    assert found == [(name, datatype, [-1]) for name, datatype, _, _ in COLUMNS]
    assert [each.datatype for each in told.outputs] == ["FP64"]


def test_typed_tensors_are_answered_typed_and_logged(rpc: Any) -> None:
    told = rpc.call("ModelInfer", infer(2))
    assert (told.model_name, told.model_version, told.id) == ("late", "1", "mine")
    assert list(told.outputs[0].contents.fp64_contents) == [107.5, 109.0]
    assert list(told.outputs[0].shape) == [2]
    name = told.parameters["prediction_id"].string_param
    assert rpc.router.record(f"{name}-1")["prediction"] == 109.0


def test_raw_tensors_are_answered_raw(rpc: Any) -> None:
    told = rpc.call("ModelInfer", raw(2))
    assert told.id == "mine"
    assert not told.outputs[0].HasField("contents")
    assert told.raw_output_contents[0] == struct.pack("<2d", 107.5, 109.0)


def test_what_is_wrong_is_told_with_the_routers_words(rpc: Any) -> None:
    code, text = refused(lambda: rpc.call("ModelInfer", infer(1, dep_hour=[-1.0])))
    assert (code, "could not score" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    unknown = message("ModelInferRequest")(model_name="nobody")
    assert refused(lambda: rpc.call("ModelInfer", unknown))[0] == grpc.StatusCode.NOT_FOUND
    older = infer()
    older.model_version = "9"
    assert refused(lambda: rpc.call("ModelInfer", older))[0] == grpc.StatusCode.NOT_FOUND
    code, text = refused(lambda: rpc.call("ModelInfer", infer(2, dep_hour=[1.0])))
    assert (code, "dep_hour" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert refused(lambda: rpc.call("ModelInfer", infer(), token=None))[0] == grpc.StatusCode.UNAUTHENTICATED
    assert refused(lambda: rpc.call("ModelInfer", infer(), token="loop_x"))[0] == grpc.StatusCode.UNAUTHENTICATED
    ready = message("ModelReadyRequest")(name="../../health")
    assert refused(lambda: rpc.call("ModelReady", ready))[0] == grpc.StatusCode.NOT_FOUND


def test_what_says_two_things_is_refused(rpc: Any) -> None:
    both = infer()
    both.raw_input_contents.append(b"12345678")
    code, text = refused(lambda: rpc.call("ModelInfer", both))
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, "There are 5 inputs but 1 raw contents.")
    both.raw_input_contents.extend([b"12345678"] * 4)
    assert "both raw and typed" in refused(lambda: rpc.call("ModelInfer", both))[1]
    other = infer()
    other.inputs[0].contents.int_contents.append(3)
    assert "has its values in" in refused(lambda: rpc.call("ModelInfer", other))[1]
    half = infer()
    half.inputs[0].datatype = "FP16"
    assert "FP16" in refused(lambda: rpc.call("ModelInfer", half))[1]
    dark = infer(1, carrier=[b"\xff"])
    assert "UTF-8" in refused(lambda: rpc.call("ModelInfer", dark))[1]


@pytest.mark.parametrize("name", ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload", "Nothing"])
def test_calls_beyond_the_protocol_are_not_implemented(rpc: Any, name: str) -> None:
    assert refused(lambda: rpc.call(name))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_a_call_ends_with_its_deadline_and_its_limits(rpc: Any) -> None:
    rpc.router.serving.configure("late", {"rate": 0.05, "burst": 1}, "tester")
    token = rpc.router.opened.access.new("shop", "viewer", "tester", ["late"]).secret
    told = once_refused(lambda: rpc.call("ModelInfer", infer(), token=token))
    assert (told.code(), "0.05 requests a second" in told.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    more = dict(told.trailing_metadata())
    assert 0 < float(more["x-ratelimit-reset"]) <= int(more["retry-after"]) <= 20
    rpc.router.serving.configure("late", {"rate": None}, "tester")
    elsewhere = message("ModelReadyRequest")(name="other")
    assert refused(lambda: rpc.call("ModelReady", elsewhere, token=token))[0] == grpc.StatusCode.NOT_FOUND
    assert rpc.call("ServerReady", token=token).ready
    slow = infer()
    slow.model_name = "slow"  # takes 0.2 s for a batch
    assert refused(lambda: rpc.call("ModelInfer", slow, timeout=0.1))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert rpc.call("ModelInfer", slow).outputs[0].contents.fp64_contents[0] == 107.5


def test_the_router_may_restart_in_between(rpc: Any) -> None:
    rpc.router.stop()
    rpc.router.start()
    assert list(rpc.call("ModelInfer", infer(), timeout=60).outputs[0].contents.fp64_contents) == [107.5]


@pytest.mark.parametrize("form", [infer, raw])
def test_what_each_input_contributed(rpc: Any, form: Any) -> None:
    request = form(2)
    request.model_name = "told"
    request.parameters["explain"].bool_param = True
    late, shares, base = rpc.call("ModelInfer", request).outputs
    assert (list(late.shape), list(shares.shape), list(base.shape)) == ([2], [2, 5], [2])
    assert shares.parameters["inputs"].string_param == "dep_hour,distance,temp,carrier,holiday"
    assert len(shares.contents.fp64_contents) == 10


def test_bytes_that_are_no_message_are_refused_in_words(rpc: Any) -> None:
    with grpc.insecure_channel(rpc.address) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        code, told = refused(lambda: call(b"\xff\xff\xff", timeout=60))
    assert (code, told) == (grpc.StatusCode.INVALID_ARGUMENT, "The request is no message of this call.")


def test_a_text_that_is_null_is_answered_as_empty() -> None:
    tensor = {"name": "y", "datatype": "BYTES", "shape": [2], "data": ["late", None]}
    body = msgspec.json.encode({"model_name": "m", "model_version": "1", "outputs": [tensor]})
    assert list(response_of(body, 0).outputs[0].contents.bytes_contents) == [b"late", b""]
