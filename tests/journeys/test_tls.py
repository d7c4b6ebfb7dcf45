"""`loopline up` with certificates: every address speaks TLS, and takes new files without losing a request."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

import loopline
from loopline.core.errors import NotFound, Unavailable
from loopline.kit.tls import trusting
from loopline.shells.rpc.messages import SERVICE, message
from loopline.testing.certificates import Authority

pytestmark = pytest.mark.journey
TOKEN = "journey-token-0123456789"


def serial(url: str, ca: Path) -> str:
    """The serial number of the certificate that a new connection to `url` is shown."""
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=20, context=trusting(ca))
    try:
        connection.request("GET", "/health")
        assert connection.getresponse().read()
        return str(connection.sock.getpeercert()["serialNumber"])
    finally:
        connection.close()


def live(address: str, ca: Path, **own: bytes) -> bool:
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), own.get("key"), own.get("chain"))
    with grpc.secure_channel(address, credentials) as channel:
        asked = channel.unary_unary(
            f"/{SERVICE}/ServerLive",
            request_serializer=message("ServerLiveRequest").SerializeToString,
            response_deserializer=message("ServerLiveResponse").FromString,
        )
        return bool(asked(message("ServerLiveRequest")(), timeout=20, wait_for_ready=not own.get("no")).live)


def serial_of_grpc(address: str, ca: Path) -> str:
    """The same of a port of gRPC, which speaks HTTP/2 alone."""
    context = trusting(ca)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        return str((connection.getpeercert() or {})["serialNumber"])


class Asking:
    """New connections one after the other, until told to stop."""

    def __init__(self, url: str, ca: Path) -> None:
        self.failed: list[str] = []
        self.answered = 0
        self._end = threading.Event()
        self._where = url, ca
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                serial(*self._where)
                self.answered += 1
            except OSError as error:
                self.failed.append(str(error))


def test_all_speak_tls_and_take_new_certificates(
    up: Callable[..., Any], tmp_path: Path, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.server("box")
    files = ("--tls-cert", str(certificate), "--tls-key", str(key))
    server = up(tmp_path / "home", *files, "--grpc-port", "0")
    running = json.loads((tmp_path / "home" / "run" / "server.json").read_text())
    assert server.link.startswith("https://127.0.0.1:")
    assert running["serving_url"].startswith("https://127.0.0.1:")
    until(lambda: (tmp_path / "home" / "run" / "dataplane.json").exists())
    assert live(running["grpc_address"], authority.ca)
    with pytest.raises((ssl.SSLError, OSError)):
        serial(server.url, Authority(tmp_path, "other").ca)

    monkeypatch.setenv("LOOPLINE_CA", str(authority.ca))
    client = loopline.connect(server.url, token=TOKEN)
    assert client.call("access.who")["role"] == "admin"
    client.close()
    with (
        loopline.endpoint("late", home=tmp_path / "home", token=TOKEN, ca=authority.ca) as late,
        pytest.raises(NotFound, match="nothing at"),
    ):
        late.predict({"x": 1})
    monkeypatch.delenv("LOOPLINE_CA")
    with pytest.raises(Unavailable), loopline.endpoint("late", home=tmp_path / "home", token=TOKEN, timeout=1) as late:
        late.predict({"x": 1})
    words = [sys.executable, "-m", "loopline", "token", "list", "--url", server.url, "--ca", str(authority.ca)]
    done = subprocess.run(words, env=os.environ | {"LOOPLINE_TOKEN": TOKEN}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

    planes = server.url, server.serving_url
    before = [serial(url, authority.ca) for url in planes]
    assert serial_of_grpc(running["grpc_address"], authority.ca) in before
    asking = [Asking(url, authority.ca) for url in planes]
    for _ in range(3):
        authority.server("box")
        until(lambda seen=tuple(before): all(serial(url, authority.ca) not in seen for url in planes))
        before += [serial(url, authority.ca) for url in planes]
    assert live(running["grpc_address"], authority.ca)
    assert serial_of_grpc(running["grpc_address"], authority.ca) == before[-1] != before[0]
    for each in asking:
        each.stop()
        assert each.failed == []
        assert each.answered > 0


def test_clients_must_show_a_certificate_where_that_is_asked_for(
    up: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.server("box")
    own = authority.client("robot")
    files = ("--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(authority.ca))
    server = up(tmp_path / "home", *files, "--grpc-port", "0")
    running = json.loads((tmp_path / "home" / "run" / "server.json").read_text())
    for url in (server.url, server.serving_url):
        with pytest.raises((ssl.SSLError, OSError)):
            serial(url, authority.ca)
    with pytest.raises(grpc.RpcError):
        live(running["grpc_address"], authority.ca, no=b"wait")
    monkeypatch.setenv("LOOPLINE_CLIENT_CERT", str(own))
    for url in (server.url, server.serving_url):
        assert serial(url, authority.ca)
    assert live(running["grpc_address"], authority.ca, key=own.read_bytes(), chain=own.read_bytes())


@pytest.mark.parametrize("which", ["alone", "missing", "text"])
def test_files_that_cannot_be_used_are_told_at_once(tmp_path: Path, which: str) -> None:
    certificate, key = Authority(tmp_path).server("box")
    (tmp_path / "text").write_text("no certificate")
    more = {
        "alone": ["--tls-cert", str(certificate)],
        "missing": ["--tls-cert", str(certificate), "--tls-key", str(tmp_path / "nowhere")],
        "text": ["--tls-cert", str(tmp_path / "text"), "--tls-key", str(key)],
    }[which]
    command = [sys.executable, "-m", "loopline", "up", "--no-browser", "--port", "0", "--serving-port", "0", *more]
    done = subprocess.run([*command, "--home", str(tmp_path / "home")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "TLS" in done.stderr or "cannot be read" in done.stderr
