"""The calls of the service: each is asked of the router, with the caller's token."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from loopline.shells.rpc.messages import METHODS, NOT_HERE, SERVICE, message
from loopline.shells.rpc.tensors import Wrong, body_of, response_of
from loopline.shells.rpc.upstream import Answer, Lost, Upstream

CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
LENGTH = b"inference-header-content-length"
PASSED = (b"retry-after", b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset")
OURS = ("authorization", "host", "content-type", "content-length", "content-encoding", "connection", "te", "user-agent",
        "transfer-encoding", "expect", "upgrade", "accept-encoding", "inference-header-content-length")  # fmt: skip


class Refused(Exception):
    """The router refused: its answer says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Service:
    """Answers calls; none of its methods raises anything but what ends a call."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def handler(self) -> Any:
        """What a grpc.aio server is given."""
        import grpc

        found = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(getattr(self, f"_{name}"), message(f"{name}Request").FromString),
                response_serializer=message(f"{name}Response").SerializeToString,
            )
            for name in METHODS
        }
        for name in NOT_HERE[:-1]:
            found[name] = grpc.unary_unary_rpc_method_handler(_not_here)
        found[NOT_HERE[-1]] = grpc.stream_stream_rpc_method_handler(_not_here)
        return grpc.method_handlers_generic_handler(SERVICE, found)

    async def _ServerLive(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        answer = await self._upstream.ask("GET", "/health", passed)
        return message("ServerLiveResponse")(live=answer.status == 200)

    async def _ServerReady(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        return message("ServerReadyResponse")(ready=await self._is_ready("/v2/health/ready", passed))

    async def _ModelReady(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        path = f"{_model(request.name, request.version)}/ready"
        return message("ModelReadyResponse")(ready=await self._is_ready(path, passed))

    async def _ServerMetadata(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        told = msgspec.json.decode((await self._good("GET", "/v2", passed)).body)
        return message("ServerMetadataResponse")(
            name=told["name"], version=told["version"], extensions=told["extensions"]
        )

    async def _ModelMetadata(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        answer = await self._good("GET", _model(request.name, request.version), passed)
        told = msgspec.json.decode(answer.body)
        response = message("ModelMetadataResponse")(
            name=told["name"], versions=told["versions"], platform=told["platform"]
        )
        for side in ("inputs", "outputs"):
            for each in told[side]:
                getattr(response, side).add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
        return response

    async def _ModelInfer(self, request: Any, passed: dict[str, str]) -> Any:  # noqa: N802
        body, head = body_of(request)
        passed["content-type"] = "application/octet-stream" if head else "application/json"
        if head:
            passed["inference-header-content-length"] = str(head)
        path = f"{_model(request.model_name, request.model_version)}/infer"
        answer = await self._good("POST", path, passed, body)
        return response_of(answer.body, int(answer.headers.get(LENGTH, b"0")))

    async def _is_ready(self, path: str, passed: dict[str, str]) -> bool:
        answer = await self._upstream.ask("GET", path, passed)
        if answer.status not in (200, 503):
            raise Refused(answer)
        return answer.status == 200

    async def _good(self, method: str, path: str, passed: dict[str, str], body: bytes = b"") -> Answer:
        answer = await self._upstream.ask(method, path, passed, body)
        if answer.status != 200:
            raise Refused(answer)
        return answer

    def _guarded(self, call: Any, parse: Any) -> Any:
        """A call whose failures become status codes of gRPC. It gets the bytes of a request: those that are no message are
        refused in words."""
        import grpc
        from google.protobuf.message import DecodeError

        async def answered(content: bytes, context: Any) -> Any:
            try:
                return await call(parse(content), _passed(context))
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request is no message of this call.")
            except Refused as refused:
                await _refuse(context, refused.answer)
            except Wrong as wrong:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(wrong))
            except Lost as lost:
                await context.abort(grpc.StatusCode.UNAVAILABLE, f"{lost} Try again in a moment.")

        return answered


async def _refuse(context: Any, answer: Answer) -> None:
    import grpc

    try:
        told = msgspec.json.decode(answer.body)
        text = f"{told['error']} {told.get('hint', '')}".strip()
    except (msgspec.DecodeError, KeyError, TypeError):
        text = f"The router answered {answer.status}."
    code = getattr(grpc.StatusCode, CODES.get(answer.status, "INTERNAL"))
    more = tuple((name.decode(), answer.headers[name].decode()) for name in PASSED if name in answer.headers)
    await context.abort(code, text, more)


async def _not_here(request: Any, context: Any) -> None:
    import grpc

    text = "Models are deployed by `loopline deploy` and listed by `loopline endpoints`, not through this protocol; calls that stream are not answered."
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)


def _passed(context: Any) -> dict[str, str]:
    """What of the call's metadata goes on to the router: the token, and headers by which requests may be shared out."""
    found = {}
    for name, value in context.invocation_metadata():
        if (
            isinstance(value, str)
            and value.isascii()
            and value.isprintable()
            and (name == "authorization" or _plain(name))
        ):
            found[name] = value
    return found


def _plain(name: str) -> bool:
    return name not in OURS and not name.startswith(("grpc-", ":"))


def _model(name: str, version: str) -> str:
    """The address of an endpoint, whose name stands for the model's in this protocol."""
    place = f"/v2/models/{quote(name, safe='')}"
    return f"{place}/versions/{quote(version, safe='')}" if version else place
