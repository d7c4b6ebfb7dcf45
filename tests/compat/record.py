"""Records what MLflow's own server answers to the stories, for the comparison with ours.

.venv/bin/python tests/compat/record.py [PEER] [STORY…]      writes answers/PEER.json (all peers and stories by default)
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import peers  # noqa: E402

STORIES = {
    "mlflow-3": (
        "tracking", "searching", "registry", "artifacts", "logged_models", "datasets", "system", "tracing", "boosting", "sklearn_flavor",
    ),
    "mlflow-2": ("tracking", "searching", "registry", "artifacts", "datasets", "sklearn_flavor"),
    "mlflow-torch": ("torch_flavor",),
}  # fmt: skip
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def told(peer: str, uri: str, stories: tuple[str, ...], token: str = "", seconds: float = 600) -> dict[str, dict]:
    """What the stories say of the server at `uri`."""
    environment = {**os.environ, **QUIET, "MLFLOW_TRACKING_TOKEN": token, "LOOPLINE_TOKEN": token}
    for name in ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_TOKEN") if not token else ("PYTHONDONTWRITEBYTECODE",):
        environment.pop(name, None)
    command = [peers.python_of(peer), str(HERE / "telling.py"), uri, *stories]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=seconds, check=False, cwd=folder
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout)


@contextmanager
def mlflow_server(peer: str = "mlflow-3"):
    """MLflow's own server with an empty SQLite database; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        python = peers.python_of(peer)
        command = [
            python,
            "-m",
            "mlflow",
            "server",
            "--port",
            str(port),
            "--backend-store-uri",
            f"sqlite:///{folder}/db",
            "--workers",
            "1",
        ]
        command += ["--artifacts-destination", f"{folder}/artifacts", "--serve-artifacts"]
        with open(Path(folder) / "log", "wb") as log:
            server = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **QUIET}, start_new_session=True
            )
        try:
            until_answers(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


def until_answers(url: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    chosen = [one for one in sys.argv[1:] if one in STORIES] or list(STORIES)
    for peer in chosen:
        stories = tuple(one for one in sys.argv[1:] if one in STORIES[peer]) or STORIES[peer]
        with mlflow_server() as uri:  # each client against the newest server, as teams upgrade servers first
            answers = told(peer, uri, stories)
        for name, one in answers.items():
            print(peer, name, len(one["said"]), "answers", one["error"] or "")
        file = HERE / "answers" / f"{peer}.json"
        known = json.loads(file.read_text()) if file.is_file() else {}
        known |= {name: one["said"] for name, one in answers.items()}
        file.write_text(
            json.dumps({name: known[name] for name in STORIES[peer] if name in known}, indent=1, ensure_ascii=False)
            + "\n"
        )


if __name__ == "__main__":
    main()
