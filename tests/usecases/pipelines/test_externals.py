"""What a step reads by itself has one text that differs when its content does."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Unavailable
from loopline.usecases.pipelines.identity import externals
from loopline.usecases.pipelines.identity.externals import fingerprint, title
from loopline.usecases.pipelines.model import File, Query, Url

pytestmark = pytest.mark.unit


class Site:
    """What a server answers: status, headers and content by method; and what it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.content = b"one"
        self.headers: dict[str, str] = {}
        self.head_status = 200
        self.status = 200
        self.asked: list[str] = []
        self.authorization = ""


@pytest.fixture
def site() -> Iterator[Site]:
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(found.head_status, b"")

        def do_GET(self) -> None:
            self.answer(found.status, found.content)

        def answer(self, status: int, content: bytes) -> None:
            found.asked.append(self.command)
            found.authorization = self.headers.get("Authorization", "")
            self.send_response(status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found = Site(f"http://127.0.0.1:{server.server_port}/rates.csv")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("a,1")
    first = fingerprint(File("rates.csv"), tmp_path)
    (tmp_path / "rates.csv").write_text("a,2")  # at once, and of the same size
    second = fingerprint(File("rates.csv"), tmp_path)
    (tmp_path / "rates.csv").write_text("a,1")
    assert first != second
    assert fingerprint(File(str(tmp_path / "rates.csv")), Path("/")) == first


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    path = tmp_path / "rates.csv"
    path.write_text("a,1")
    monkeypatch.setattr(externals, "_GRAIN_NS", -(10**12))
    first = fingerprint(File("rates.csv"), tmp_path)
    monkeypatch.setattr(externals, "content_of", lambda _: pytest.fail("read again"))
    assert fingerprint(File("rates.csv"), tmp_path) == first
    monkeypatch.undo()
    os.utime(path, ns=(1, 1))
    assert fingerprint(File("rates.csv"), tmp_path) == first


def test_a_folder_counts_by_names_and_contents(tmp_path: Path) -> None:
    inner = tmp_path / "rates" / "more"
    inner.mkdir(parents=True)
    (inner / "a.csv").write_text("1")
    (tmp_path / "rates" / "round").symlink_to(tmp_path / "rates")
    first = fingerprint(File("rates"), tmp_path)
    (inner / ".hidden").write_text("2")
    assert fingerprint(File("rates"), tmp_path) == first
    (inner / "a.csv").rename(inner / "b.csv")
    renamed = fingerprint(File("rates"), tmp_path)
    (inner / "b.csv").write_text("2")
    assert len({first, renamed, fingerprint(File("rates"), tmp_path)}) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file 'rates\.csv'"):
        fingerprint(File("rates.csv"), tmp_path)


def test_a_file_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("")
    monkeypatch.setattr(externals, "content_of", lambda _: path.write_text(path.read_text() + "x"))
    with pytest.raises(Unavailable, match="changes while it is read"):
        fingerprint(File("rates.csv"), tmp_path)


@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
def test_the_mark_of_a_server_stands_for_the_content(site: Site, tmp_path: Path, name: str) -> None:
    site.headers = {name: '"one"'}
    first = fingerprint(Url(site.address), tmp_path)
    assert fingerprint(Url(site.address), tmp_path) == first
    site.headers = {name: '"two"'}
    assert fingerprint(Url(site.address), tmp_path) != first
    assert site.asked == ["HEAD"] * 3


@pytest.mark.parametrize("head_status", [200, 405, 403, 501])
def test_without_a_mark_the_content_counts(site: Site, tmp_path: Path, head_status: int) -> None:
    site.head_status = head_status
    first = fingerprint(Url(site.address), tmp_path)
    site.content = b"two"
    second = fingerprint(Url(site.address), tmp_path)
    site.content = b"one"
    assert fingerprint(Url(site.address), tmp_path) == first != second
    assert site.asked == ["HEAD", "GET"] * 3


def test_an_answer_cut_short_is_no_content(site: Site, tmp_path: Path) -> None:
    site.headers = {"Content-Length": "10"}
    with pytest.raises(Unavailable, match="3 of 10 bytes"):
        fingerprint(Url(site.address), tmp_path)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, Refused), (403, Refused), (500, Unavailable)])
def test_what_an_address_refuses_is_said(site: Site, tmp_path: Path, status: int, kind: type[LooplineError]) -> None:
    site.status = site.head_status = status
    with pytest.raises(kind, match=f"answers {status}") as caught:
        fingerprint(Url(f"{site.address}?sig=hunter2"), tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_password_in_an_address_is_sent_and_not_shown(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATES_WORD", "hunter2")
    address = Url(site.address.replace("://", "://ada:${RATES_WORD}@"))
    fingerprint(address, tmp_path)
    assert site.authorization == "Basic YWRhOmh1bnRlcjI="
    site.status = site.head_status = 500
    with pytest.raises(Unavailable) as caught:
        fingerprint(address, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert title(address) == f"url {site.address}"


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "http://", "x", "http://x:99999/", "gopher://x", "http://[::1/", "http://x:0/"]
)
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        fingerprint(Url(url), tmp_path)


def test_an_address_that_nobody_answers_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        fingerprint(Url("http://127.0.0.1:1/rates.csv"), tmp_path)


def test_a_file_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_text("1")
    first = fingerprint(Url((tmp_path / "a b.csv").as_uri()), tmp_path)
    (tmp_path / "a b.csv").write_text("2")
    assert fingerprint(Url((tmp_path / "a b.csv").as_uri()), tmp_path) != first
    with pytest.raises(NotFound):
        fingerprint(Url((tmp_path / "c.csv").as_uri()), tmp_path)


def test_rows_of_sqlite_count_in_any_order(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "data.db")
    db.executescript("CREATE TABLE f (a INT, b); INSERT INTO f VALUES (1, 'x'), (2, NULL)")
    found = [
        fingerprint(Query("sqlite:///data.db", f"SELECT a, b FROM f {by}"), tmp_path) for by in ("", "ORDER BY -a")
    ]
    assert found[0] == found[1]
    assert fingerprint(Query("sqlite:///data.db", "SELECT b, a FROM f"), tmp_path) != found[0]
    db.executescript("UPDATE f SET b = 1.0 WHERE a = 2")
    number = fingerprint(Query("sqlite:///data.db", "SELECT a, b FROM f"), tmp_path)
    db.executescript("UPDATE f SET b = '1.0' WHERE a = 2")
    db.close()
    assert len({found[0], number, fingerprint(Query("sqlite:///data.db", "SELECT a, b FROM f"), tmp_path)}) == 3


def test_a_query_writes_nothing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "data.db").executescript("CREATE TABLE f (a INT)")
    with pytest.raises(Unavailable, match="readonly"):
        fingerprint(Query("sqlite:///data.db", "INSERT INTO f VALUES (1)"), tmp_path)


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("sqlite:///none.db", NotFound, "no SQLite file"),
        ("sqlite://data.db", NotFound, "no SQLite file"),
        ("mysql://ada:hunter2@x/y", Invalid, "no database"),
        ("postgresql://ada:${NOT_SET}@x/y", Unavailable, "NOT_SET"),
        ("postgresql://ada:hunter2@127.0.0.1:1/y", Unavailable, "failed"),
        ("postgresql://ada:hunter2@127.0.0.1:bad/y?a=%zz", Unavailable, "failed"),
    ],
)
def test_databases_that_cannot_be_read_are_named(
    tmp_path: Path, url: str, kind: type[LooplineError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        fingerprint(Query(url, "SELECT 1"), tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in title(Query(url, "SELECT 1"))


def test_a_wrong_query_is_named(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "data.db").close()
    with pytest.raises(Unavailable, match="no such table: f"):
        fingerprint(Query("sqlite:///data.db", "SELECT * FROM f"), tmp_path)
