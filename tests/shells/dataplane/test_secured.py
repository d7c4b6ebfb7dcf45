"""The router where it speaks TLS."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

from loopline.kit.tls import trusting
from loopline.testing.certificates import Authority
from loopline.usecases.serving.client import Endpoint

pytestmark = pytest.mark.integration
HEAD = (
    "POST /v1/endpoints/late/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {TOKEN}\r\n"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Router]:
    router = Router(tmp_path_factory.mktemp("secured") / "home", [["plain", 100.0]])
    certificate, key = authority.server("box")
    router.start("--tls-cert", str(certificate), "--tls-key", str(key))
    router.deploy(1)
    yield router
    router.close()


def wrapped(router: Router, authority: Authority) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", router.port), timeout=20)
    return trusting(authority.ca).wrap_socket(plain, server_hostname="localhost")


def test_predictions(secured: Router, authority: Authority) -> None:
    assert secured.serving.address()["url"] == f"https://127.0.0.1:{secured.port}"
    url = f"https://127.0.0.1:{secured.port}"
    with Endpoint("late", url, TOKEN, ca=str(authority.ca)) as late:
        assert late.predict([ROW] * 3) == [107.5] * 3


@pytest.mark.parametrize("declared", [True, False])
def test_who_sends_too_much_reads_why(secured: Router, authority: Authority, declared: bool) -> None:
    """A refusal before the body is whole arrives, though TLS cannot close one way alone."""
    size = 40 << 20
    how = f"Content-Length: {size}\r\n\r\n" if declared else "Transfer-Encoding: chunked\r\n\r\n"
    with wrapped(secured, authority) as connection:
        connection.sendall((HEAD + how).encode())
        piece = b" " * 65536
        try:
            for _ in range(size // len(piece)):
                connection.sendall(piece if declared else b"10000\r\n" + piece + b"\r\n")
        except OSError:
            pass  # it has been told by now
        answer = read(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")


def read(connection: ssl.SSLSocket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except OSError:
        pass
    return found


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_what_speaks_no_tls_or_an_old_one_is_not_answered(secured: Router, authority: Authority) -> None:
    with socket.create_connection(("127.0.0.1", secured.port), timeout=20) as plain:
        plain.sendall((HEAD + "Content-Length: 0\r\n\r\n").encode())
        assert b"HTTP/1.1" not in plain.recv(65536)
    old = trusting(authority.ca)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", secured.port), timeout=20) as plain,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        old.wrap_socket(plain, server_hostname="localhost")


def test_a_client_that_closes_its_side_and_one_that_breaks_off(secured: Router, authority: Authority) -> None:
    body = json.dumps({"rows": [ROW]})
    whole = f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    for content in (whole, whole[:-5], whole[:30]):
        with wrapped(secured, authority) as connection:
            connection.sendall(content)
            connection.close()
    url = f"https://127.0.0.1:{secured.port}"
    connection: Any = http.client.HTTPSConnection("127.0.0.1", secured.port, timeout=20, context=trusting(authority.ca))
    for _ in range(3):
        connection.request(
            "POST",
            "/v1/endpoints/late/predict",
            body,
            {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
        )
        assert json.loads(connection.getresponse().read())["predictions"] == [107.5]
    connection.close()
    assert "Traceback" not in secured.log_text(), (url, secured.log_text())


def test_renewed_files_under_kept_and_new_connections(secured: Router, authority: Authority, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{secured.port}"
    with Endpoint("late", url, TOKEN, ca=str(authority.ca)) as kept:
        assert kept.predict(ROW) == [107.5]
        with wrapped(secured, authority) as before:
            first = before.getpeercert()
            authority.server("box")
            assert kept.predict(ROW) == [107.5]
            with wrapped(secured, authority) as after:
                assert after.getpeercert() != first
