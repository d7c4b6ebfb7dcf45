"""The client against a server that misbehaves as told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loopline.core.errors import CheckFailed, Invalid, NotFound, Refused, Unavailable
from loopline.usecases.serving import connections
from loopline.usecases.serving.client import Endpoint
from loopline.usecases.serving.connections import seen_from

pytestmark = pytest.mark.integration
ROW = {"distance": 1400}


def http(status: int, body: Any, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Something", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def good(value: float = 0.5) -> bytes:
    return http(200, {"predictions": [value], "ids": ["a"], "version": 3, "revision": 7})


class Server:
    """Answers each request with the next of its script: bytes, or "hang up" before, "close" after the last answer."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while request := self._request(file):
                self.requests.append(request)
                answer = self.script.pop(0) if self.script else good()
                if answer == "hang up":
                    return
                connection.sendall(answer)
                if self.script and self.script[0] == "close":
                    self.script.pop(0)
                    return

    def _request(self, file: Any) -> bytes:
        head, length = b"", 0
        while line := file.readline():
            head += line
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line == b"\r\n":
                return head + (file.read(length) if length else b"")
        return b""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted instead of made."""
    waited: list[float] = []
    monkeypatch.setattr(connections.time, "sleep", waited.append)
    return waited


@pytest.fixture
def late(server: Server) -> Iterator[Endpoint]:
    with Endpoint("late", server.url, "loop_token", timeout=30) as made:
        yield made


def test_a_row_becomes_a_prediction(server: Server, late: Endpoint) -> None:
    found = late.predict(ROW)
    assert (found, found.ids, found.version, found.revision) == ([0.5], ["a"], 3, 7)
    assert server.requests[0].startswith(b"POST /v1/endpoints/late/predict HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer loop_token\r\n" in server.requests[0]
    assert server.requests[0].endswith(b'\r\n\r\n{"rows":[{"distance":1400}]}')


def test_connections_are_kept_and_shared_by_threads(server: Server, late: Endpoint) -> None:
    for _ in range(20):
        late.predict(ROW)
    assert server.connections == 1
    threads = [threading.Thread(target=lambda: [late.predict(ROW) for _ in range(20)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(server.requests) == 100
    assert server.connections <= 5


def test_a_busy_server_is_asked_again_when_it_says(server: Server, late: Endpoint, quick: list[float]) -> None:
    server.script = [
        http(429, {"error": "Too often.", "hint": ""}, "Retry-After: 3", "X-RateLimit-Reset: 2.5"),
        http(503, {"error": "Later.", "hint": ""}, "Retry-After: 1"),
        good(),
    ]
    assert late.predict(ROW) == [0.5]
    assert 2.5 <= quick[0] <= 2.6
    assert 1.0 <= quick[1] <= 1.2


def test_its_last_words_are_told(server: Server, late: Endpoint) -> None:
    server.script = [http(503, {"error": "Later.", "hint": "Soon."})] * 5
    with pytest.raises(Unavailable, match=r"Later\. Soon\."):
        late.predict(ROW)
    server.script = [http(503, {"error": "Later.", "hint": ""}, "Retry-After: 3600")]
    with pytest.raises(Unavailable, match="Later"):
        late.predict(ROW)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (401, Refused), (403, Refused), (404, NotFound), (413, Invalid), (422, CheckFailed)],
)
def test_refusals_keep_their_words_and_are_not_asked_again(
    server: Server, late: Endpoint, status: int, kind: type[Exception]
) -> None:
    server.script = [http(status, {"error": "No.", "hint": "Because."})]
    with pytest.raises(kind, match=r"No\. Because\."):
        late.predict(ROW)
    assert len(server.requests) == 1


def test_a_lost_connection_is_made_anew(server: Server, late: Endpoint) -> None:
    server.script = [good(), "close", good(), "hang up", good(0.7)]
    assert [late.predict(ROW)[0] for _ in range(3)] == [0.5, 0.5, 0.7]


def test_truth_is_not_sent_twice(server: Server, late: Endpoint) -> None:
    server.script = ["hang up"]
    with pytest.raises(Unavailable):
        late.truth("a", 1.0)
    assert len(server.requests) == 1
    server.script = [
        http(503, {"error": "Later.", "hint": ""}),
        http(200, {"accepted": 1, "first_seq": 5, "last_seq": 5}),
    ]
    assert late.truth("a", 1.0, observed_at="2026-01-01T00:00:00Z")["accepted"] == 1
    assert server.requests[-1].endswith(b'[{"prediction_id":"a","value":1.0,"observed_at":"2026-01-01T00:00:00Z"}]}')


def test_nobody_there(quick: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="No data plane answers"):
        Endpoint("late", f"http://127.0.0.1:{port}", "t").predict(ROW)
    assert len(quick) == 4
    assert all(pause <= 0.1 * 2**number for number, pause in enumerate(quick))


def test_an_answer_that_does_not_come(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = Endpoint("late", f"http://127.0.0.1:{silent.getsockname()[1]}", "t", timeout=0.05)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"has not answered within 0\.05 s"):
            slow.predict(ROW)
        assert time.monotonic() - begun < 10


def test_rows_go_in_chunks(server: Server, late: Endpoint) -> None:
    part = {"predictions": [1.0, 2.0], "ids": ["a-0", "a-1"], "version": 3, "revision": 7}
    server.script = [http(200, part)] * 2 + [good(3.0)]
    found = late.predict([{"x": number} for number in range(5)], chunk_rows=2)
    assert found == [1.0, 2.0, 1.0, 2.0, 3.0]
    assert len(found.ids) == 5
    assert [request.rpartition(b"\r\n")[2] for request in server.requests] == [
        b'{"rows":[{"x":0},{"x":1}]}', b'{"rows":[{"x":2},{"x":3}]}', b'{"rows":[{"x":4}]}',
    ]  # fmt: skip


def test_rows_that_are_too_many_bytes_go_in_halves(server: Server, late: Endpoint) -> None:
    part = {"predictions": [1.0, 2.0], "ids": ["a-0", "a-1"], "version": 3, "revision": 7}
    large = http(413, {"error": "Too large.", "hint": ""})
    server.script = [large, http(200, part), large, good(3.0), good(4.0)]
    found = late.predict([{"x": number} for number in range(4)])
    assert (found, len(found.ids), len(server.requests)) == ([1.0, 2.0, 3.0, 4.0], 4, 5)
    server.script = [large]
    with pytest.raises(Invalid, match="Too large"):
        late.predict(ROW)


@pytest.mark.parametrize("rows", [[], [1, 2], "text", 7, None, [{"x": object()}], [{"x": {1, 2j}}], [{"x": b"UA"}]])
def test_what_is_no_rows_is_refused_here(server: Server, late: Endpoint, rows: Any) -> None:
    with pytest.raises(Invalid):
        late.predict(rows)
    assert server.requests == []


def test_tables_of_all_kinds(server: Server, late: Endpoint) -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"x": [1.5, None], "n": [1, 2], "t": ["a", None], "b": [True, False]}
    wanted = [{"x": 1.5, "n": 1, "t": "a", "b": True}, {"x": None, "n": 2, "t": None, "b": False}]
    for table in (
        pd.DataFrame(columns),
        pl.DataFrame(columns),
        pa.table(columns),
        pd.DataFrame(columns).convert_dtypes(),
    ):
        late.predict(table)
        assert json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])["rows"] == wanted, type(table)
    times = pd.DataFrame({"at": pd.to_datetime(["2026-01-01T10:00:00Z", None])})
    late.predict(times)
    said = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])["rows"]
    assert said == [{"at": "2026-01-01T10:00:00Z"}, {"at": None}]


def test_what_answers_may_be_something_else(server: Server, late: Endpoint) -> None:
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<p/>", http(404, ["no"]), http(200, [])):
        server.script = [answer]
        with pytest.raises(Unavailable, match="no data plane"):
            late.predict(ROW)


@pytest.mark.parametrize("token", ["", "with\nnewline", "ümlaut"])
def test_a_token_is_needed(token: str) -> None:
    with pytest.raises(Refused):
        Endpoint("late", "http://127.0.0.1:1", token)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8401", "ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_an_address_is_one_of_http(url: str) -> None:
    with pytest.raises(Invalid):
        Endpoint("late", url, "t")


def test_the_address_of_serving_as_others_see_it() -> None:
    assert seen_from("http://127.0.0.1:8400", "http://127.0.0.1:8401") == "http://127.0.0.1:8401"
    assert seen_from("https://models.example:8400", "https://0.0.0.0:8401") == "https://models.example:8401"
    assert seen_from("http://[2001:db8::1]:8400", "http://127.0.0.1:8401") == "http://[2001:db8::1]:8401"
    assert seen_from("http://models.example:8400", "http://10.0.0.7:8401") == "http://10.0.0.7:8401"
