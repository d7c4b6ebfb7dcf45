"""Kept connections to a data plane, for any number of threads, and when a request may be sent again. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import select
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from loopline.core.errors import Invalid, Unavailable

MOST_IDLE = 32
ATTEMPTS = 5
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
AGAIN = (429, 503)
LOCAL = ("127.0.0.1", "0.0.0.0", "::", "::1", "localhost")  # noqa: S104


class Answer(NamedTuple):
    """What came back; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Lost(Exception):
    """A connection ended before anything of an answer came; `sent` says whether the request may have arrived."""

    def __init__(self, error: Exception, sent: bool) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.sent = sent


class Connections:
    """A pool for one server. `ask` is safe in any thread and after a fork."""

    def __init__(self, url: str, token: str, timeout: float, ca: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._parts = parsed(url)
        self._timeout = timeout
        self._ca = ca
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._guard = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._process = os.getpid()
        self._tls: Any = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *,
        repeatable: bool = True,
    ) -> Answer:  # fmt: skip
        """The server's answer, within `timeout` seconds all in all.

        Sent again, after a pause that grows, when the server cannot be reached or says 429 or 503 (after the time it
        names); where the connection was lost underway, only when the request is `repeatable`. Unavailable in the end.
        """
        until = time.monotonic() + self._timeout
        given = {**self._headers, **(headers or {})}
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self._once(method, path, body, given, until)
            except Lost as lost:
                if last or (lost.sent and not repeatable) or not self._paused(attempt, 0.0, until):
                    raise self._unreached(str(lost)) from None
            else:
                if last or answer.status not in AGAIN or not self._paused(attempt, wait_of(answer), until):
                    return answer
        raise self._unreached("it was asked too often")

    def close(self) -> None:
        """End the connections that nobody uses."""
        with self._guard:
            idle, self._idle = self._idle, []
        if self._process == os.getpid():
            for each in idle:
                each.close()

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], until: float) -> Answer:
        connection = self._taken(until)
        sent = connection.sock is not None
        try:
            if not sent:
                connection.connect()
            sent = True
            connection.sock.settimeout(max(0.001, until - time.monotonic()))
            connection.request(method, self._parts.path.rstrip("/") + path, body, dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except TimeoutError:
            connection.close()
            raise Unavailable(
                f"{self.url} has not answered within {self._timeout:g} s.",
                "Give it more time with timeout=…, or send less.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Lost(error, sent) from None
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._put_back(connection)
        return answer

    def _taken(self, until: float) -> http.client.HTTPConnection:
        """A kept connection that the server has not closed meanwhile, else a new one, not yet connected."""
        with self._guard:
            if self._process != os.getpid():  # a fork's connections are its parent's: left open, and alone
                self._process, self._idle = os.getpid(), []
            while self._idle:
                kept = self._idle.pop()
                if kept.sock is not None and not select.select([kept.sock], [], [], 0)[0]:
                    return kept
                kept.close()
        host, timeout = str(self._parts.hostname), max(0.001, until - time.monotonic())
        if self._parts.scheme != "https":
            return http.client.HTTPConnection(host, self._parts.port, timeout=timeout)
        return http.client.HTTPSConnection(host, self._parts.port, timeout=timeout, context=self._trust())

    def _trust(self) -> Any:
        if self._tls is None:
            from loopline.kit.tls import Unusable, trusting

            try:
                self._tls = trusting(self._ca)
            except Unusable as error:
                raise Invalid(str(error), "Name a file of certificates in PEM form.") from None
        return self._tls

    def _put_back(self, connection: http.client.HTTPConnection) -> None:
        with self._guard:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _paused(self, attempt: int, wait: float, until: float) -> bool:
        """Wait before the next attempt; False when the time would not suffice."""
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
        pause = wait + random.uniform(0, longest)  # noqa: S311  (spread, so that clients do not come back all at once)
        if time.monotonic() + pause >= until:
            return False
        time.sleep(pause)
        return True

    def _unreached(self, why: str) -> Unavailable:
        return Unavailable(f"No data plane answers at {self.url} ({why}).", "Start it with `loopline up`.")


def wait_of(answer: Answer) -> float:
    """How long the server asks to wait, in seconds; the finer of its two ways to say so."""
    for name in ("x-ratelimit-reset", "retry-after"):
        with contextlib.suppress(KeyError, ValueError):
            return max(0.0, float(answer.headers[name]))
    return 0.0


def parsed(url: str) -> SplitResult:
    """The parts of a data plane's address; Invalid when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid(f"{url!r} is not the address of a data plane.", "Write it as http://127.0.0.1:8401.")
    return parts


def seen_from(server: str, url: str) -> str:
    """The address of serving as its machine says it, with the name by which we reach that machine."""
    ours, theirs = parsed(server), urlsplit(url)
    if ours.hostname in LOCAL or theirs.hostname not in LOCAL:
        return url
    host = f"[{ours.hostname}]" if ":" in str(ours.hostname) else str(ours.hostname)
    return urlunsplit((theirs.scheme, f"{host}:{theirs.port}", "", "", ""))
