"""Whatever bytes arrive: an answer of 2xx or 4xx within a second, never 5xx, and the next client is served."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import socket
import struct
import zlib
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

pytestmark = pytest.mark.integration

PATH = "/v1/endpoints/late/predict"
GOOD = json.dumps({"rows": [ROW]}).encode()


INFER, SCORE = "/v2/models/late/infer", "/endpoints/late/invocations"
ARROW = "application/vnd.apache.arrow.stream"
TENSOR = b'{"inputs":[{"name":"dep_hour","shape":[1],"datatype":"%b","parameters":{"binary_data_size":%b}}]}'


def binary(head: bytes, data: bytes) -> bytes:
    return whole(head + data, f"Inference-Header-Content-Length: {len(head)}", path=INFER)


def grown(coder: Any, flush: Any) -> bytes:
    """A hundred megabytes of nothing, packed."""
    return b"".join([coder(bytes(1 << 20)) for _ in range(100)]) + flush()


_gzip = zlib.compressobj(9, wbits=31)
_zstd = zstandard.ZstdCompressor(3).compressobj()
BOMB = grown(_gzip.compress, _gzip.flush)
ZSTD_BOMB = grown(_zstd.compress, _zstd.flush)
_wide = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
).compressobj()
WIDE = _wide.compress(GOOD) + _wide.flush()


def whole(body: bytes = GOOD, *lines: str, method: str = "POST", path: str = PATH, host: str = "127.0.0.1") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {TOKEN}"]
    if not any(line.lower().startswith("content-type") for line in lines):
        head.append("Content-Type: application/json")
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, *lines, "", ""]).encode("latin-1") + body


def talk(router: Router, *parts: bytes, half_close: bool = True, patience: float = 9.0) -> bytes:
    """Send, close our side, and read until the server closes: sooner than its time for a head (10 s) would make it."""
    with socket.create_connection(("127.0.0.1", router.port), timeout=patience) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent
        held = b""
        try:
            while got := connection.recv(65536):
                held += got
        except ConnectionResetError:
            pass
        return held


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


def body_of(answer: bytes) -> Any:
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


CASES = {
    "nothing of HTTP": (b"\x00\x01\x02\x03\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/3.7": (b"GET /health HTTP/3.7\r\nHost: localhost\r\n\r\n", 400),
    "bare line feeds": (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
    "foreign host": (b"GET /health HTTP/1.1\r\nHost: 192.168.evil.example\r\n\r\n", 400),
    "host with a path": (b"GET /health HTTP/1.1\r\nHost: localhost/evil\r\n\r\n", 400),
    "host with a user": (b"GET /health HTTP/1.1\r\nHost: evil@localhost\r\n\r\n", 400),
    "length and chunks": (whole(b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    "two lengths": (whole(GOOD, "Content-Length: 5", "Content-Length: 6"), 400),
    "negative length": (whole(GOOD, "Content-Length: -1"), 400),
    "length of words": (whole(GOOD, "Content-Length: ten"), 400),
    "huge length": (whole(b"", "Content-Length: 99999999999999999999"), 400),
    "too long": (whole(b"", "Content-Length: 17000000"), 413),
    "bad chunk": (whole(b"zz\r\n{}\r\n", "Transfer-Encoding: chunked"), 400),
    "other coding": (whole(GOOD, "Transfer-Encoding: gzip"), 400),
    "cut short": (whole(GOOD[:-5], f"Content-Length: {len(GOOD)}"), 400),
    "upgrade": (whole(GOOD, "Connection: Upgrade", "Upgrade: websocket"), 400),
    "connect": (b"CONNECT evil:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "not gzip": (whole(GOOD, "Content-Encoding: gzip"), 400),
    "not zstd": (whole(GOOD, "Content-Encoding: zstd"), 400),
    "deflate": (whole(GOOD, "Content-Encoding: deflate"), 415),
    "brotli": (whole(GOOD, "Content-Encoding: br"), 415),
    "two codings": (whole(GOOD, "Content-Encoding: gzip, zstd"), 415),
    "no coding": (whole(GOOD, "Content-Encoding: identity"), 200),
    "gzip": (whole(gzip.compress(GOOD), "Content-Encoding: gzip"), 200),
    "gzip cut short": (whole(gzip.compress(GOOD)[:-4], "Content-Encoding: gzip"), 400),
    "gzip twice": (whole(gzip.compress(GOOD) * 2, "Content-Encoding: gzip"), 400),
    "gzip that grows": (whole(BOMB, "Content-Encoding: gzip"), 413),
    "zstd": (whole(zstandard.compress(GOOD), "Content-Encoding: zstd"), 200),
    "zstd cut short": (whole(zstandard.compress(GOOD)[:-4], "Content-Encoding: zstd"), 400),
    "zstd twice": (whole(zstandard.compress(GOOD) * 2, "Content-Encoding: zstd"), 400),
    "zstd that grows": (whole(ZSTD_BOMB, "Content-Encoding: zstd"), 413),
    "zstd with a huge window": (whole(WIDE, "Content-Encoding: zstd"), 400),
    "form": (whole(GOOD, "Content-Type: application/x-www-form-urlencoded"), 415),
    "binary tensors": (whole(GOOD, "Inference-Header-Content-Length: 5"), 415),
    "binary length beyond the body": (whole(GOOD, "Inference-Header-Content-Length: 99999", path=INFER), 400),
    "binary length of words": (whole(GOOD, "Inference-Header-Content-Length: -1", path=INFER), 400),
    "binary data of nobody": (binary(b'{"inputs":[]}', b"12345"), 400),
    "binary data too short": (binary(TENSOR % (b"FP64", b"16"), b"12345"), 400),
    "binary data of half a number": (binary(TENSOR % (b"FP64", b"5"), b"12345"), 400),
    "binary data of another length": (binary(TENSOR % (b"FP64", b"16"), bytes(16)), 400),
    "binary data and data": (binary(TENSOR.replace(b"[1]", b'[1],"data":[1]') % (b"FP64", b"8"), bytes(8)), 400),
    "binary text cut short": (binary(TENSOR % (b"BYTES", b"8"), b"\xff\xff\xff\x7fabcd"), 400),
    "binary text not UTF-8": (binary(TENSOR % (b"BYTES", b"6"), b"\x02\0\0\0\xff\xff"), 400),
    "binary of an unknown datatype": (binary(TENSOR % (b"FP65", b"8"), bytes(8)), 400),
    "binary size of words": (binary(TENSOR % (b"FP64", b'"8"'), bytes(8)), 400),
    "negative binary size": (binary(TENSOR % (b"FP64", b"-8"), bytes(8)), 400),
    "infinite in binary": (binary(TENSOR % (b"FP64", b"8"), struct.pack("<d", float("inf"))), 400),
    "huge shape": (whole(TENSOR.replace(b"[1]", b"[999999999999999999]") % (b"FP64", b"8"), path=INFER), 400),
    "parameters that are deep": (whole(b'{"inputs":[],"parameters":{"a":{"b":1}}}', path=INFER), 400),
    "an output that is not there": (whole(b'{"inputs":[],"outputs":[{"name":"x"}]}', path=INFER), 400),
    "invocations without a form": (whole(b"{}", path=SCORE), 400),
    "invocations that are deep": (whole(b'{"inputs":' + b"[" * 100_000, path=SCORE), 400),
    "invocations with deep params": (whole(b'{"inputs":[[1]],"params":' + b'{"a":' * 100_000, path=SCORE), 400),
    "invocations with huge columns": (whole(b'{"dataframe_split":{"columns":["' + b"a" * 100_000 + b'"],"data":[[1]]}}', path=SCORE), 400),
    "CSV with a huge field": (whole(b"a\n" + b"x" * 200_000, "Content-Type: text/csv", path=SCORE), 400),
    "CSV with NUL": (whole(b"a\0b,c\n\0,\0\n", "Content-Type: text/csv", path=SCORE), 400),
    "CSV with a million columns": (whole(b"," * 1_000_000, "Content-Type: text/csv", path=SCORE), 400),
    "Parquet": (whole(b"PAR1", "Content-Type: application/vnd.apache.parquet", path=SCORE), 415),
    "no Arrow": (whole(b"\xff\xff\xff\xff\xff\xff\xff\x7f", f"Content-Type: {ARROW}"), 400),
    "Arrow of a huge message": (whole(b"\xff\xff\xff\xff\xf0\xff\xff\x7f" + b"x" * 100, f"Content-Type: {ARROW}", path=INFER), 400),
    "Arrow to MLflow's door": (whole(b"", f"Content-Type: {ARROW}", path=SCORE), 415),
    "Arrow beyond its limit": (whole(b"", f"Content-Type: {ARROW}", "Content-Length: 67108865"), 413),
    "post to the description": (whole(GOOD, path="/v1/endpoints/late/openapi.json"), 405),
    "get of invocations": (whole(b"", path=SCORE, method="GET"), 405),
    "basic with no base64": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %%%\r\n\r\n", 401),
    "many headers": (whole(GOOD, *(f"X-{n}: y" for n in range(200))), 400),
    "huge header": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000, 400),
    "endless header": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n", 400),
    "huge address": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "header injection": (whole(GOOD, "X: a\rY: b"), 400),
    "nul in header": (whole(GOOD, "X: a\0b"), 400),
    "other method": (whole(GOOD, method="DELETE"), 405),
    "options": (whole(b"", "Origin: http://evil.example", method="OPTIONS"), 405),
    "unknown method": (whole(GOOD, method="FROB"), 400),
    "unknown path": (whole(GOOD, path="/v1/endpoints/none/predict"), 404),
    "dots in path": (whole(b"", path="/v2/models/../../etc/passwd", method="GET"), 404),
    "encoded path": (whole(b"", path="/v2/models/%2e%2e%2f", method="GET"), 404),
    "version not live": (whole(GOOD, path="/v2/models/late/versions/9/infer"), 404),
    "empty body": (whole(b""), 400),
    "not JSON": (whole(b"{"), 400),
    "not UTF-8": (whole(b'{"rows":[{"carrier":"\xff\xfe"}]}'), 400),
    "lone surrogate": (whole(GOOD.replace(b'"UA"', b'"\\ud800"')), 400),
    "deep list": (whole(b"[" * 200_000), 400),
    "deep object": (whole(b'{"rows":' * 100_000), 400),
    "deep tensor": (whole(b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":' + b"[" * 100_000,
                          path="/v2/models/late/infer"), 400),
    "deep parameters": (whole(b'{"inputs":[],"parameters":' + b'{"a":' * 100_000, path="/v2/models/late/infer"), 400),
    "deep truth": (whole(b'{"rows":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", path="/v1/endpoints/late/truth"), 400),
    "NaN": (whole(GOOD.replace(b"7.5", b"NaN")), 400),
    "infinite": (whole(GOOD.replace(b"7.5", b"1e999")), 400),
    "huge integer": (whole(GOOD.replace(b"1400", b"9" * 100)), 400),
    "huge integer in a tensor": (whole(b'{"inputs":[{"name":"distance","shape":[1],"datatype":"INT64","data":[' + b"9" * 99
                                       + b"]}]}", path="/v2/models/late/infer"), 400),
    "no token": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 401),
    "empty token": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \r\n\r\n", 401),
    "basic": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\n\r\n", 401),
    "token not ASCII": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n", 401),
    "wrong token": (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer loop_wrong\r\n\r\n", 401),
    "unknown token before a large body": (
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer no\r\n"
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000, 401),
    "old and good": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "good": (whole(), 200),
    "good in chunks": (whole(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), "Transfer-Encoding: chunked"), 200),
    "good with whole address": (whole(path=f"http://127.0.0.1{PATH}?a=b"), 200),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_odd_requests(shared: Router, name: str) -> None:
    content, expected = CASES[name]
    answer = talk(shared, content)  # which is an error when the server does not close
    found = statuses(answer)
    assert found == [expected], answer[:500]
    if expected >= 400:
        assert body_of(answer)["error"]
    assert shared.predict()[0] == 200


def test_pipelined_requests_are_answered_in_order(shared: Router) -> None:
    other = json.dumps({"rows": [{**ROW, "dep_hour": 1.0}]}).encode()
    answer = talk(shared, whole() + whole(b"{", path=PATH) + whole(other) + whole(b"", method="GET", path="/health"))
    assert statuses(answer) == [200, 400, 200, 200]
    assert answer.index(b"[107.5]") < answer.index(b"not JSON") < answer.index(b"[101.0]") < answer.index(b'"ok"')


def test_a_flood_of_pipelined_requests(shared: Router) -> None:
    assert statuses(talk(shared, whole() * 2000, patience=10)) == [200] * 2000


def test_head_has_no_body(shared: Router) -> None:
    answer = talk(shared, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (statuses(answer), answer.partition(b"\r\n\r\n")[2]) == ([200], b"")


def test_expect_continue(shared: Router) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as connection:
        head, body = whole(GOOD, "Expect: 100-continue").split(b"\r\n\r\n", 1)
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_request_in_single_bytes(shared: Router) -> None:
    assert statuses(talk(shared, *(bytes([byte]) for byte in whole()))) == [200]


def arrow() -> bytes:
    sink = io.BytesIO()
    table = pa.table({name: [value] for name, value in {**ROW, "temp": 1.0}.items()})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


TENSORS = json.dumps({"inputs": [
    {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
    for name, kind in {"dep_hour": "FP64", "distance": "INT64", "temp": "FP32", "carrier": "BYTES", "holiday": "BOOL"}.items()
]}).encode()  # fmt: skip
BINARY = json.dumps({"inputs": [
    {"name": "dep_hour", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
    *json.loads(TENSORS)["inputs"][1:],
]}).encode()  # fmt: skip
SOUND = {
    "plain": whole(),
    "packed": whole(gzip.compress(GOOD), "Content-Encoding: gzip"),
    "zstd": whole(zstandard.compress(GOOD), "Content-Encoding: zstd"),
    "tensors": whole(TENSORS, path=INFER),
    "binary": binary(BINARY, struct.pack("<d", 7.5)),
    "arrow": whole(arrow(), f"Content-Type: {ARROW}", f"Accept: {ARROW}"),
    "scoring": whole(
        json.dumps({"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}).encode(), path=SCORE
    ),
    "csv": whole(b"dep_hour,distance,temp,carrier,holiday\n7.5,1400,,UA,False\n", "Content-Type: text/csv", path=SCORE),
    "description": whole(b"", path="/v1/endpoints/late/openapi.json", method="GET"),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("rounds", [50, pytest.param(5000, marks=pytest.mark.torture)], ids=["few", "many"])
def test_random_bytes_and_damaged_requests(shared: Router, name: str, rounds: int) -> None:
    """Half of them damaged anywhere, half in the body alone, which then is as long as it says."""
    chance = random.Random(f"{name} {rounds}")
    head, _, body = SOUND[name].partition(b"\r\n\r\n")
    assert statuses(talk(shared, SOUND[name])) == [200]
    for number in range(rounds):
        content = bytearray(body if number % 2 and body else SOUND[name])
        for _ in range(chance.randint(1, 12)):
            place = chance.randrange(len(content))
            many = chance.randint(0, 3)
            content[place : place + many] = chance.randbytes(many if number % 2 else chance.randint(0, 3))
        sent = head + b"\r\n\r\n" + content if number % 2 and body else bytes(content)
        found = statuses(talk(shared, sent))
        assert all(200 <= status < 500 for status in found), sent
    assert shared.predict()[0] == 200
    assert "Traceback" not in shared.log_text()


def test_no_answer_allows_another_site(shared: Router) -> None:
    answer = talk(shared, whole(GOOD, "Origin: http://evil.example"))
    assert b"access-control" not in answer.lower()
    assert b"x-content-type-options: nosniff" in answer
