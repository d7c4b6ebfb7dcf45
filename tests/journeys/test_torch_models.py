"""A PyTorch program and a text classifier of Hugging Face: made in an environment of their own, served in the same, asked
over HTTP by callers who know of neither, from a server that has no torch at all."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from loopline.usecases.releases import environments, locking

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "compat"))

import peers  # noqa: E402

pytestmark = pytest.mark.torture  # three imports of torch, and an export

TOKEN = "journey-token-0123456789"


def surrounded(home: Path, folder: Path) -> tuple[str, Path]:
    """The interpreter with torch, and the lock from which its environment was built, known to the installation as built."""
    python = peers.python_of("mlflow-torch")
    lock = folder / "requirements.lock"
    lock.write_text("# python: 3.11\n" + (ROOT / "tests" / "compat" / peers.LISTS["mlflow-torch"]).read_text())
    known = locking.parsed(lock.read_bytes())
    place = home / "environments" / known.sha256[:32]
    place.parent.mkdir(parents=True)
    place.symlink_to(Path(python).parents[1])
    (place / environments.WHOLE).write_bytes(environments.holding(place, known))
    return python, lock


def predicted(server: Any, endpoint: str, rows: list[dict[str, Any]]) -> Any:
    connection = http.client.HTTPConnection(urlsplit(server.serving_url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", f"/v1/endpoints/{endpoint}/predict", json.dumps({"rows": rows}), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, told
    return told["predictions"]


def test_they_answer_as_their_libraries_do(up: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]) -> None:
    home, folder = tmp_path / "home", tmp_path / "laboratory"
    folder.mkdir()
    server = up(home)
    python, lock = surrounded(home, folder)
    environment = os.environ | {"LOOPLINE_URL": server.url, "LOOPLINE_TOKEN": TOKEN}
    done = subprocess.run(
        [python, str(Path(__file__).with_name("torch_acts.py")), str(folder), str(lock)], env=environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    expected = json.loads((folder / "expected.json").read_text())
    for name in ("net", "mood", "crossness"):
        server.client.call("serving.deploy", endpoint=name, version=1, model=name)
    for name in ("net", "mood", "crossness"):
        found = until(lambda name=name: ended(server, name), 240)
        assert (found["status"], found["reason"]) == ("live", "")
    rows = [dict(zip("abc", row, strict=True)) for row in expected["rows"]]
    assert predicted(server, "net", rows) == pytest.approx(expected["net"], abs=1e-6)
    texts = [{"text": text} for text in expected["texts"]]
    assert predicted(server, "mood", texts) == expected["labels"]
    assert len(set(expected["labels"])) > 1
    # The library was asked with all texts in one padded batch: alone, float32 sums differ in the last digits.
    assert predicted(server, "crossness", texts) == pytest.approx(expected["cross"], abs=1e-5)
    assert predicted(server, "crossness", texts[1:2]) == pytest.approx(expected["cross"][1:2], abs=1e-5)


def ended(server: Any, name: str) -> Any:
    found = server.client.call("serving.revision", endpoint=name, revision=1)
    return found if found["status"] in ("live", "failed") else None
