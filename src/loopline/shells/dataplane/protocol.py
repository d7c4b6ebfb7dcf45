"""HTTP/1.1 on one connection: bytes in, exchanges out, answers written back in the order of their requests."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from loopline.core.verbs import Caller
from loopline.shells.dataplane.answers import JSON, Fault, unavailable
from loopline.shells.dataplane.bodies import TENSORS, columnar, too_large
from loopline.shells.dataplane.exchange import Exchange
from loopline.shells.dataplane.limits import variable
from loopline.shells.dataplane.tokens import presented, unknown

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application

HEAD, BODY, IDLE = 0, 1, 2
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """The state machine of one connection; the parser calls its on_… methods."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.limits = app.limits
        self.transport: Any = None
        self.queue: deque[Exchange] = deque()
        self.state = IDLE
        self.touched = app.now
        self.blocked = False  # the client does not read its answers
        self.verifying = 0
        self.ended = False  # nothing more is read
        self.half = False  # the client sends no more
        self.lost = False  # the client is gone
        self.requests = 0
        self._parser: Any = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._last: Exchange | None = None  # the one that was read last, while its bytes are at hand
        self._fed = 0
        self._fresh = False
        self._size = 0
        self._most = app.limits.body
        self._paused = False
        self._wanted = app.wanted_headers
        self._begin()

    # The transport calls these

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if not self.app.joined(self):
            most = self.limits.connections
            hint = f"Reuse a connection, {variable('CONNECTIONS', most * 2)}."
            self._fail(Fault(429, f"No more than {most} connections may be open.", hint))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True
        self._last = None
        self.queue.clear()
        self.app.left(self)
        self.app.buffered -= self._size
        self._size = 0
        self._parser = None  # a reference cycle otherwise

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        self.touched = self.app.now
        idle = self.state == IDLE
        if idle and self._known(data):
            return
        before = self.requests
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(
                Fault(400, "This server does not change protocols.", "Leave out the Upgrade header; use HTTP/1.1.")
            )
        except httptools.HttpParserCallbackError as error:
            self._fail(error.__context__ if isinstance(error.__context__, Fault) else _not_http(error))
        except httptools.HttpParserError as error:
            self._fail(_not_http(error))
        else:
            self._after_feed(len(data))
            last, self._last = self._last, None
            if idle and last is not None and self.state == IDLE and self.requests == before + 1:
                self._remember(data, last)

    def eof_received(self) -> bool:
        self.half = True
        if self.state != IDLE and not self.ended:
            self._fail(
                Fault(400, "The request ended before it was whole.", "Send as many bytes as Content-Length says.")
            )
        return bool(self.queue) and self.transport.can_write_eof()  # a client may close its side and still wait

    def pause_writing(self) -> None:
        self.blocked = True
        self._adjust()

    def resume_writing(self) -> None:
        self.blocked = False
        self._adjust()

    # The parser calls these

    def on_message_begin(self) -> None:
        self._begin()
        self.state = HEAD
        self._fed = 0
        self._fresh = True

    def on_url(self, part: bytes) -> None:
        self._url += part
        if len(self._url) > self.limits.url:
            raise Fault(
                400, f"The address of a request may have {self.limits.url} bytes.", "Send what is long in the body."
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._headers > self.limits.headers:
            raise Fault(400, f"A request may have {self.limits.headers} headers.", "Send fewer.")
        if self.state == HEAD:
            key = name.lower()
            if key in self._wanted:
                if key == b"host" and b"host" in self._seen:
                    raise Fault(400, "The request names two hosts.", "Send one Host header.")
                self._seen[key] = value

    def on_headers_complete(self) -> None:
        self.state = BODY
        parser, seen = self._parser, self._seen
        old = parser.get_http_version() == "1.0"
        exchange = Exchange(self, parser.get_method(), self._url, parser.should_keep_alive(), old, seen)
        exchange.started = time.perf_counter_ns()
        self._exchange = exchange
        if parser.should_upgrade():
            return  # feed_data raises next
        if parser.get_http_version() not in ("1.1", "1.0"):
            raise Fault(400, "Only HTTP/1.1 is spoken here.", "Use HTTP/1.1.")
        self.app.check_host(seen.get(b"host"), old)
        self._check_length(seen)
        self._identify(exchange, seen.get(b"authorization"))
        self.queue.append(exchange)
        if seen.get(b"expect", b"").lower() == b"100-continue" and len(self.queue) == 1:
            self.transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        self.app.buffered += len(data)
        if self._size > self._most:
            raise self._too_large()
        if self.app.buffered > self.limits.bodies:
            most = f"All bodies being sent at once may have {self.limits.bodies >> 20} MB."
            more = variable("BODIES_MB", (self.limits.bodies >> 20) * 2)
            raise Fault(429, most, f"Try again in a moment, {more}.", b"retry-after: 1\r\n")
        self._body.append(data)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        self.state = IDLE
        self.app.buffered -= self._size
        self._size = 0
        self._exchange = None
        if exchange is None or self._parser.should_upgrade():
            return
        self.requests += 1
        body = self._body
        exchange.body = body[0] if len(body) == 1 else b"".join(body)
        self._last = exchange
        exchange.complete = True
        if exchange.response is None and exchange.caller is not None:
            self.app.dispatch(exchange)

    # Our own

    def _known(self, data: bytes) -> bool:
        """Take a request whose head was read before, without the parser; False when it must read this one."""
        app = self.app
        head, start = app.heads.find(data)
        if head is None or app.buffered:
            return False
        caller = app.tokens.holder(head.token)
        if caller is None:
            return False
        exchange = Exchange(
            self, head.method, head.path, True, False, head.headers, data[start:], caller, time.perf_counter_ns(), True
        )
        self.requests += 1
        self.queue.append(exchange)
        app.dispatch(exchange)
        if len(self.queue) > self.limits.pipelined:
            self._adjust()
        return True

    def _remember(self, data: bytes, exchange: Exchange) -> None:
        if exchange.caller is not None and not self.app.is_open(exchange.path):
            self.app.heads.keep(data, exchange, self.app.tokens.key(presented(exchange.headers.get(b"authorization"))))

    def flush(self) -> None:
        """Write all answers whose turn it is."""
        queue = self.queue
        while queue and queue[0].response is not None:
            exchange = queue.popleft()
            self.transport.write(exchange.response)
            if not exchange.keep_alive:
                self._end()
        if self.half and not queue:
            self._end()
        elif self._paused:
            self._adjust()

    def identified(self, exchange: Exchange, caller: Caller | None, broken: bool) -> None:
        """The token of a request has been looked up."""
        self.verifying -= 1
        exchange.caller = caller
        self._adjust()
        if caller is None:
            fault = (
                unavailable("Tokens cannot be checked just now.") if broken else unknown("The token is not known here.")
            )
            self._deny(exchange, fault)
        elif exchange.complete and exchange.response is None and not self.transport.is_closing():
            self.app.dispatch(exchange)

    def close_if_idle(self) -> None:
        """Close when no request is under way."""
        if not self.queue and self.state == IDLE:
            self._end()

    def expired(self, now: float) -> None:
        """Close what is too slow; `now` as in app.now."""
        limits, age = self.limits, now - self.touched
        if self.blocked:
            if age > limits.stuck_s:
                self.transport.abort()
        elif self._paused:
            self._since = now  # it is we who do not read
        elif self.state == IDLE:
            if not self.queue and age > (limits.idle_s if self.requests else limits.head_s):
                self._end()
        elif now - self._since > (limits.head_s if self.state == HEAD else limits.body_s):
            self._fail(self._too_slow())

    def _begin(self) -> None:
        self._url = b""
        self._seen: dict[bytes, bytes] = {}
        self._headers = 0
        self._body: list[bytes] = []
        self._size = 0
        self._since = self.app.now

    def _check_length(self, seen: dict[bytes, bytes]) -> None:
        kind = seen.get(b"content-type", JSON)
        plain = kind == JSON and TENSORS not in seen  # by far the most: no further look
        self._most = self.limits.columnar if not plain and columnar(kind, seen) else self.limits.body
        length = seen.get(b"content-length")
        if length is not None and int(length) > self._most:
            raise self._too_large()

    def _identify(self, exchange: Exchange, header: bytes | None) -> None:
        if self.app.is_open(exchange.path):
            exchange.caller = self.app.anyone
            return
        token = presented(header)
        caller = self.app.tokens.known(token)
        if caller is not None:
            exchange.caller = caller
            return
        self.verifying += 1
        self._adjust()
        self.app.tokens.look_up(token, lambda *found: self.identified(exchange, *found))

    def _deny(self, exchange: Exchange, fault: Fault) -> None:
        if exchange.response is None:
            exchange.keep_alive = False
            self.ended = True
            exchange.refuse(fault)

    def _after_feed(self, count: int) -> None:
        if self.state == HEAD and self._fresh:
            self._fresh = False  # these bytes may belong to requests before; the next ones do not
        elif self.state == HEAD:
            self._fed += count
            if self._fed > self.limits.head:
                self._fail(
                    Fault(400, f"The head of a request may have {self.limits.head} bytes.", "Send fewer headers.")
                )
        if len(self.queue) > self.limits.pipelined:
            self._adjust()

    def _adjust(self) -> None:
        """Read on only when the client reads, is known and does not run far ahead."""
        wait = self.blocked or self.verifying > 0 or len(self.queue) > self.limits.pipelined
        if wait != self._paused and not self.ended and not self.transport.is_closing():
            self._paused = wait
            (self.transport.pause_reading if wait else self.transport.resume_reading)()

    def _fail(self, fault: Fault) -> None:
        """Refuse the request being read, and read no more."""
        if self.ended:
            return
        exchange = self._exchange or Exchange(self, b"GET", b"", False, False)
        exchange.keep_alive = False
        self._exchange = None
        if exchange not in self.queue:
            self.queue.append(exchange)
        self.ended = True
        if exchange.response is None:
            exchange.refuse(fault)

    def _end(self) -> None:
        unread, self.ended = self.ended, True
        self.queue.clear()
        if self.transport.is_closing():
            return
        if unread:
            self._close_slowly()
        else:
            self.transport.close()

    def _close_slowly(self) -> None:
        """Closing with bytes unread would reset the connection, and the client would never see why."""
        if self._paused:
            self.transport.resume_reading()
        if not self.transport.can_write_eof():  # TLS closes both ways at once, and says so before it does
            self.transport.close()
            return
        self.transport.write_eof()
        self.app.loop.call_later(self.limits.linger_s, self.transport.abort)

    def _too_slow(self) -> Fault:
        name, most = ("HEAD", self.limits.head_s) if self.state == HEAD else ("BODY", self.limits.body_s)
        what = "head" if self.state == HEAD else "body"
        hint = f"Send it faster, or in smaller pieces, {variable(f'{name}_SECONDS', f'{most * 2:g}')}."
        return Fault(408, f"The {what} of a request must arrive within {most:g} s.", hint)

    def _too_large(self) -> Fault:
        return too_large(self._most, self.limits)


def _not_http(error: BaseException) -> Fault:
    return Fault(
        400,
        f"This is not a request in HTTP/1.1: {str(error)[:100] or 'it cannot be read'}.",
        "Check what the client sends.",
    )
