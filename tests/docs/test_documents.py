"""Every Python block of a document runs, every command of a console block ends well, every link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/loopline/**/README.md")])
BLOCK = re.compile(r"^```(python|console)(?: file=(\S+))?\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
HAND_RUN = ("make ", "git ", "pip ")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.unit
@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.integration
@pytest.mark.parametrize("document", [path for path in DOCUMENTS if BLOCK.search(path.read_text())], ids=name)
def test_examples_run(document: Path, tmp_path: Path) -> None:
    """The blocks of one document run one after the other in one empty folder with an installation of its own."""
    environment = os.environ | {"LOOPLINE_HOME": str(tmp_path / "home"), "LOOPLINE_ACTOR": "reader"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    folder = tmp_path / "folder"
    folder.mkdir()
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for kind, file, block in BLOCK.findall(document.read_text()):
            if file:
                (folder / file).write_text(block)
            elif kind == "python":
                (folder / "example.py").write_text(block)
                run([sys.executable, "-W", "error", "example.py"], folder, environment, block)
            else:
                folder = run_console(block, folder, environment, servers)
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def run_console(block: str, folder: Path, environment: dict[str, str], servers: list[subprocess.Popen[bytes]]) -> Path:
    """Lines beginning with "$ " are commands; the rest is what they print. Answers the folder they end in."""
    for line in block.splitlines():
        if line.startswith("$ cd "):
            folder = folder / line[5:].strip()
        elif line.startswith("$ export "):
            name, _, value = line[9:].partition("=")
            environment[name] = run(["sh", "-c", f'printf %s "{value}"'], folder, environment, line)
        elif line.startswith("$ loopline up"):
            servers.append(serve(line[2:], folder, environment))
        elif line.startswith("$ ") and not line[2:].startswith(HAND_RUN):
            run(["sh", "-c", line[2:]], folder, environment, line)
    return folder


def serve(command: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """`loopline up …` in the background on free ports, waited for."""
    words = [*command.removesuffix("&").split(), "--port", "0", "--serving-port", "0"]
    server = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    running = Path(environment["LOOPLINE_HOME"]) / "run" / "server.json"
    until = time.monotonic() + 20
    while not running.exists():
        assert server.poll() is None, command
        assert time.monotonic() < until, command
        time.sleep(0.05)
    return server


def run(command: list[str], folder: Path, environment: dict[str, str], shown: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{shown}\n{done.stdout}\n{done.stderr}"
    return done.stdout
