"""What a body is declared to be, and bodies that came compressed.

Decompression counts what comes out while it comes out, so that a small body which would grow beyond the limit is refused
before it has. What is large is unpacked in a thread.
"""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import JSON, Fault
from loopline.shells.dataplane.limits import Limits, variable

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.exchange import Exchange

ARROW = b"application/vnd.apache.arrow.stream"
CSV = b"text/csv"
OCTETS = b"application/octet-stream"
TENSORS = b"inference-header-content-length"
WANTED = (
    b"host", b"authorization", b"content-type", b"content-encoding", b"content-length", b"expect", b"accept", TENSORS,
)  # fmt: skip
SMALL = 32 << 10  # bytes that are unpacked or decoded on the loop
STEP = 256 << 10
SLICE = 512  # a slice of a zstd frame this long grows to 16 MB at most
WINDOW = 8 << 20  # as RFC 8878 asks of every decoder
CODINGS = (b"gzip", b"x-gzip", b"zstd")


def kind_of(exchange: Exchange) -> bytes:
    """The content type without its parameters; JSON where none is declared. Fault for text that is not in UTF-8."""
    declared = exchange.headers.get(b"content-type", JSON)
    if declared == JSON:
        return JSON
    kind, *parameters = declared.split(b";")
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset" and value.strip(b" \t\"'").lower() not in (b"utf-8", b"utf8"):
            raise Fault(415, "The body is not declared as UTF-8.", "Send text in UTF-8.")
    return kind.strip().lower() or JSON


def only_json(exchange: Exchange) -> bytes:
    """The body; Fault when it is not declared as JSON."""
    if exchange.headers.get(b"content-type", JSON) != JSON and kind_of(exchange) != JSON:
        raise Fault(415, "The body is not declared as JSON.", "Send Content-Type: application/json.")
    if TENSORS in exchange.headers:
        raise Fault(415, "Binary tensors are not taken here.", "Send JSON, or binary tensors to /v2/models/…/infer.")
    return exchange.body


def columnar(kind: bytes, seen: dict[bytes, bytes]) -> bool:
    """Whether a request's head declares columns in binary form, for which the larger limits hold."""
    return TENSORS in seen or kind[: len(ARROW)].lower() == ARROW


def wants(exchange: Exchange, kind: bytes) -> bool:
    """Whether the client asks for an answer of that content type."""
    return kind in exchange.headers.get(b"accept", b"").lower()


def aside(app: Application, exchange: Exchange, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
    """Do `work` in a thread and give what it returns to `then` on the loop. A Fault of either is answered, and nothing
    follows for a client that is gone."""
    size = len(exchange.body)
    if app.aside + size > app.limits.bodies:
        most = app.limits.bodies >> 20
        hint = f"Try again in a moment, {variable('BODIES_MB', most * 2)}."
        raise Fault(429, f"All bodies being decoded at once may have {most} MB.", hint, b"retry-after: 1\r\n")
    app.aside += size

    def done(future: Any) -> None:
        app.aside -= size
        if not exchange.connection.transport.is_closing():
            app.attempt(exchange, lambda: then(future.result()))

    app.loop.run_in_executor(app.decoding, work).add_done_callback(done)


def unpack(app: Application, exchange: Exchange, then: Callable[[], None]) -> None:
    """Put the unpacked body in place of the packed one, then go on."""
    coding = exchange.headers[b"content-encoding"].strip().lower()
    if coding in (b"", b"identity"):
        then()
        return
    work = _gunzip if coding in CODINGS[:2] else _unzstd if coding == CODINGS[2] else None
    if work is None:
        shown = coding[:40].decode("ascii", "replace")
        raise Fault(415, f"The content encoding {shown!r} is not taken here.", "Send gzip, zstd, or the body as it is.")
    if work is _unzstd and importlib.util.find_spec("zstandard") is None:
        raise Fault(415, "zstd is not installed here.", "Send gzip, or install loopline[zstd] on the server.")
    most = (
        app.limits.columnar
        if columnar(exchange.headers.get(b"content-type", JSON), exchange.headers)
        else app.limits.body
    )

    def go_on(body: bytes) -> None:
        exchange.body = body
        then()

    packed = exchange.body
    if len(packed) <= SMALL // 32 and (work is _gunzip or "zstandard" in sys.modules):
        go_on(work(packed, most, app.limits))  # grows to 1 MB at most
    else:
        aside(app, exchange, lambda: work(packed, most, app.limits), go_on)


def _gunzip(packed: bytes, most: int, limits: Any) -> bytes:
    """RFC 1952, one member."""
    decoder, parts, size = zlib.decompressobj(31), [], 0
    try:
        while packed and not decoder.eof:
            part = decoder.decompress(packed, STEP)
            packed = decoder.unconsumed_tail
            size = _counted(size + len(part), most, limits)
            parts.append(part)
    except zlib.error as error:
        raise _damaged("gzip", str(error)) from None
    if not decoder.eof or decoder.unused_data:
        raise _damaged("gzip", "more follows its end" if decoder.eof else "its end is missing")
    return b"".join(parts)


def _unzstd(packed: bytes, most: int, limits: Any) -> bytes:
    """RFC 8878, one frame. Slices are so short that none grows beyond bounds before it is counted."""
    import zstandard

    decoder, parts, size = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj(), [], 0
    view, start = memoryview(packed), 0
    try:
        while start < len(view) and not decoder.eof:
            part = decoder.decompress(view[start : start + SLICE])
            start += SLICE
            size = _counted(size + len(part), most, limits)
            parts.append(part)
    except (zstandard.ZstdError, MemoryError) as error:
        raise _damaged("zstd", str(error)) from None
    if not decoder.eof or decoder.unused_data or start < len(view):
        raise _damaged("zstd", "more follows its end" if decoder.eof else "its end is missing")
    return b"".join(parts)


def _counted(size: int, most: int, limits: Any) -> int:
    if size > most:
        raise too_large(most, limits)
    return size


def _damaged(coding: str, why: str) -> Fault:
    return Fault(400, f"The body cannot be unpacked as {coding} ({why[:100]}).", "Check what the client sends.")


def too_large(most: int, limits: Limits) -> Fault:
    """The refusal of a body beyond `most` bytes."""
    name = "BODY_MB" if most == limits.body else "COLUMNAR_MB"
    return Fault(
        413,
        f"A body may have {most >> 20} MB.",
        f"Send fewer rows at a time, {variable(name, (most >> 20) * 2)}.",
    )
