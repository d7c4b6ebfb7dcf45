"""A query on a real PostgreSQL is a dataset like any other."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from loopline import Contract, column
from loopline.core.errors import Unavailable
from loopline.testing.factories import installation
from loopline.usecases.datasets.model import Source

pytestmark = pytest.mark.integration
PLACES = (*os.environ.get("PATH", "").split(os.pathsep), *map(str, Path("/usr/lib/postgresql").glob("*/bin")))


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join(PLACES))
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


def owner() -> dict[str, str]:
    """PostgreSQL refuses to run as root; its package brings a user for it."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    initdb, postgres = program("initdb"), program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if owner():
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **owner()}
    subprocess.run([initdb, "-D", folder / "data", "-U", "me", "-A", "trust", "--no-sync"], check=True, **plain)  # type: ignore[call-overload]
    options = ["-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-p", str(port), "-c", "fsync=off"]
    running = subprocess.Popen([postgres, "-D", folder / "data", *options], **plain)  # type: ignore[call-overload]
    url = f"postgresql://me:${{PG_TEST_WORD}}@127.0.0.1:{port}/postgres"
    try:
        wait(url.replace("${PG_TEST_WORD}", "zebra7"))
        yield url
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait(url: str) -> None:
    import time

    for _ in range(200):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    pytest.fail("PostgreSQL did not start")


def test_rows_come_with_their_types(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_TEST_WORD", "zebra7")
    with psycopg.connect(server.replace("${PG_TEST_WORD}", "zebra7")) as db:
        db.execute("CREATE TABLE flights (carrier text, delay numeric, flight bigint, at timestamptz, late boolean)")
        db.execute(
            "INSERT INTO flights VALUES ('AA', 1.5, 1, '2013-01-01T00:00Z', true), ('UA', NULL, 2, now(), false)"
        )
    contract = Contract(
        columns=[
            column("carrier", "string"),
            column("delay", "float", nullable=True),
            column("flight", "integer", minimum=1),
            column("at", "timestamp"),
            column("late", "boolean"),
        ],
        unique=["flight"],
    )
    with installation(tmp_path) as loopline:
        source = Source(url=server, query="SELECT * FROM flights ORDER BY flight")
        loopline.datasets.declare("flights", source, contract, "ada")
        taken = loopline.datasets.snapshot("flights", "ada")
        assert loopline.datasets.table(taken.digest)["delay"].to_pylist() == [1.5, None]
        assert not loopline.datasets.snapshot("flights", "ada").new
        with psycopg.connect(server.replace("${PG_TEST_WORD}", "zebra7")) as db:
            db.execute("INSERT INTO flights VALUES ('AA', %s, 2, now(), true)", [Decimal("2.5")])
        assert loopline.datasets.snapshot("flights", "ada").refused == ("query",)
        assert "zebra7" not in (tmp_path / "home" / "loopline.db").read_bytes().decode("latin-1")


def test_a_refused_connection_shows_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_TEST_WORD", "hunter2")
    with installation(tmp_path) as loopline:
        source = Source(url="postgresql://me:${PG_TEST_WORD}@127.0.0.1:1/x", query="SELECT 1")
        loopline.datasets.declare("flights", source, None, "ada")
        with pytest.raises(Unavailable) as caught:
            loopline.datasets.snapshot("flights", "ada")
        assert "hunter2" not in str(caught.value)


def test_a_query_that_a_step_reads_is_known_by_its_rows(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.usecases.pipelines.identity.externals import fingerprint, title
    from loopline.usecases.pipelines.model import Query

    monkeypatch.setenv("PG_TEST_WORD", "zebra7")

    def mark(query: str) -> str:
        return fingerprint(Query(server, query), tmp_path)

    with psycopg.connect(server.replace("${PG_TEST_WORD}", "zebra7"), autocommit=True) as db:
        db.execute("CREATE TABLE rates (name text, rate numeric, at timestamptz)")
        db.execute("INSERT INTO rates VALUES ('a', 1.50, '2013-01-01T00:00Z'), ('b', NULL, NULL)")
        first = mark("SELECT * FROM rates ORDER BY name")
        assert mark("SELECT * FROM rates ORDER BY name DESC") == first
        assert mark("INSERT INTO rates VALUES ('c', 3, now()) RETURNING 1")
        assert mark("SELECT * FROM rates") == first  # what a query writes is not kept
        db.execute("UPDATE rates SET rate = 1.51 WHERE name = 'a'")
        assert mark("SELECT * FROM rates") != first
    with pytest.raises(Unavailable, match="nowhere") as caught:
        mark("SELECT * FROM nowhere")
    assert "zebra7" not in f"{caught.value}{title(Query(server, 'SELECT 1'))}"
