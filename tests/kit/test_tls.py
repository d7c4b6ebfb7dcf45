"""Certificates in files that change."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from loopline.kit.tls import CLIENT, Certificates, Unusable, trusting
from loopline.testing.certificates import Authority

pytestmark = pytest.mark.unit


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = "localhost") -> Any:
    """A handshake in memory; answers the client's side."""
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(a, b, server_hostname=name)
    theirs = server.wrap_bio(b, a, server_side=True)
    waiting: list[Any] = [ours, theirs]
    for _ in range(10):
        for each in list(waiting):
            try:
                each.do_handshake()
                waiting.remove(each)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    theirs.write(b"hello")
    assert ours.read(5) == b"hello"  # TLS 1.3 tells a client only now that it was refused
    return ours


def serial(connection: Any) -> str:
    found: str = connection.getpeercert()["serialNumber"]
    return found


def test_new_files_are_taken_at_the_next_handshake(authority: Authority) -> None:
    tls, client = Certificates(*authority.server("box")), trusting(authority.ca)
    first = serial(shaken(tls.context, client))
    assert serial(shaken(tls.context, client)) == first
    authority.server("box")
    assert serial(shaken(tls.context, client)) != first


def test_files_that_do_not_belong_together_are_told_once_and_not_taken(authority: Authority, capsys: Any) -> None:
    certificate, key = authority.server("box")
    tls, client = Certificates(certificate, key), trusting(authority.ca)
    first, kept = serial(shaken(tls.context, client)), key.read_bytes()
    for content in (authority.server("other")[1].read_bytes(), b"", b"no key at all"):
        key.write_bytes(content)
        assert serial(shaken(tls.context, client)) == first
        assert serial(shaken(tls.context, client)) == first
        assert capsys.readouterr().err.count("What was there before stays in use.") == 1
    key.unlink()
    assert serial(shaken(tls.context, client)) == first
    assert capsys.readouterr().err.count("cannot be read") == 1
    key.write_bytes(kept)
    authority.server("box")
    assert serial(shaken(tls.context, client)) != first


def test_clients_without_a_name_and_with_old_protocols(authority: Authority) -> None:
    tls, client = Certificates(*authority.server("box")), trusting(authority.ca)
    client.check_hostname = False
    assert shaken(tls.context, client, None).version() == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shaken(tls.context, client).version() == "TLSv1.2"
    assert tls.context.minimum_version == client.minimum_version == ssl.TLSVersion.TLSv1_2


def test_clients_must_show_a_certificate(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    others = Authority(tmp_path / "more")
    tls = Certificates(*authority.server("box"), others.ca)
    with pytest.raises(ssl.SSLError):
        shaken(tls.context, trusting(authority.ca))
    monkeypatch.setenv(CLIENT, str(authority.client("stranger")))
    with pytest.raises(ssl.SSLError):
        shaken(tls.context, trusting(authority.ca))
    monkeypatch.setenv(CLIENT, str(others.client("friend")))
    shaken(tls.context, trusting(authority.ca))
    authority.server("box")  # whom to ask for does not change with what is shown
    shaken(tls.context, trusting(authority.ca))
    monkeypatch.delenv(CLIENT)
    with pytest.raises(ssl.SSLError):
        shaken(tls.context, trusting(authority.ca))


def test_files_that_cannot_be_used(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = authority.server("box")
    other = authority.server("other")[1]
    (tmp_path / "text").write_text("no certificate")
    for files in ((certificate, other, None), (certificate, tmp_path / "none", None), (tmp_path / "text", key, None),
                  (certificate, key, tmp_path / "text")):  # fmt: skip
        with pytest.raises(Unusable):
            Certificates(*files)
    for file in (tmp_path / "text", tmp_path / "none"):
        with pytest.raises(Unusable, match="holds no certificates"):
            trusting(file)
    monkeypatch.setenv(CLIENT, str(tmp_path / "text"))
    with pytest.raises(Unusable):
        trusting(authority.ca)
