"""Answers as bytes on the wire."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from loopline.core.errors import LooplineError

JSON = b"application/json"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
NO_MODEL = 422
RETRY = b"retry-after: 1\r\n"


class Fault(Exception):
    """A request that is refused: HTTP status, one sentence, and the way out."""

    def __init__(self, status: int, message: str, hint: str = "", headers: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = headers


def unavailable(message: str, hint: str = "Try again in a moment.") -> Fault:
    """503 with Retry-After."""
    return Fault(503, message, hint, b"retry-after: 1\r\n")


def fault_of(error: LooplineError) -> Fault:
    """A refusal from below as an answer."""
    return Fault(
        error.http_status, error.message, error.hint, b"retry-after: 1\r\n" if error.http_status == 503 else b""
    )


def _head(status: int, content_type: bytes) -> bytes:
    reason = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n" % (
        status,
        reason,
        content_type,
    )


_HEADS = {(status.value, kind): _head(status, kind) for status in HTTPStatus for kind in (JSON, TEXT) if status >= 200}
OK_HEAD = _HEADS[200, JSON] + b"content-length: %d\r\n\r\n"


def answer(
    status: int, body: bytes, *, kind: bytes = JSON, headers: bytes = b"", close: bool = False, body_too: bool = True
) -> bytes:
    """A whole response. `headers` are further lines, each with its line end; a HEAD request gets no body."""
    ending = b"connection: close\r\n" if close else b""
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (
        _HEADS.get((status, kind)) or _head(status, kind), headers, ending, len(body), body if body_too else b"",
    )  # fmt: skip


def fault_body(fault: Fault) -> bytes:
    """`{"error": …, "hint": …}`."""
    return msgspec.json.encode({"error": fault.message, "hint": fault.hint})


def json_answer(exchange: Any, value: Any) -> None:
    """Answer 200 with `value` as JSON."""
    exchange.ok(msgspec.json.encode(value))
