"""What the stock client sees in MLflow's own stores it sees here after an import, and again where it went out to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peers
import pytest
from record import QUIET

from loopline.app.wiring import open_home

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
TOKEN = "import-token-0123456789"


def asked(peer: str, what: str, uri: str, folder: Path) -> dict[str, Any]:
    """What the client of an environment sees at `uri`, after making things there if `what` says so."""
    environment = {**os.environ, **QUIET, "MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    environment["MLFLOW_TRACKING_TOKEN"] = TOKEN if uri.startswith("http") else ""
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [peers.python_of(peer), str(HERE / "importing.py"), what]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120, check=False
    )
    assert not done.returncode, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The address of a server over a home."""
    command = [sys.executable, "-m", "loopline", "up", "--json", "--no-browser", "--home", str(home)]
    ports = ["--port", "0", "--serving-port", "0"]
    environment = os.environ | {"LOOPLINE_TOKEN": TOKEN}
    process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, f"loopline up ended with {process.wait()}"
    try:
        yield json.loads(said)["link"].partition("/sign-in")[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(15)


def brought(home: Path, source: str, **options: Any) -> Any:
    """The report of an import, which has nothing to tell when it is made again."""
    with open_home(home) as loopline:
        report = loopline.imports.mlflow(source, actor="ada", **options)
        again = loopline.imports.mlflow(source, actor="ada", **options)
        assert not again.changed(), again
        assert loopline.ledger.verify({}).ok if hasattr(loopline.ledger.verify({}), "ok") else True
    return report


@pytest.mark.parametrize(
    ("peer", "store"),
    [("mlflow-2", "file:{}/mlruns"), ("mlflow-3", "sqlite:///{}/mlflow.db")],
    ids=["folder", "database"],
)
def test_what_comes_in_looks_the_same(peer: str, store: str, tmp_path: Path) -> None:
    uri = store.format(tmp_path)
    made = asked(peer, "make", uri, tmp_path)
    report = brought(tmp_path / "home", uri)
    assert (report.lost, report.runs, report.points) == (0, 3, 1823 + (peer == "mlflow-3"))
    with serving(tmp_path / "home") as address:
        assert asked(peer, "see", address, tmp_path) == made
