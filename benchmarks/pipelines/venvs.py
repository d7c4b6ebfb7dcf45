"""The peers' environments: `.peers/NAME`, made from `peers/NAME.txt` when they are not there or not of that list."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ("joblib", "kedro", "hamilton", "luigi", "dagster", "prefect", "zenml", "metaflow")
SECONDS_TO_INSTALL = 900


def python_of(name: str) -> str:
    """The interpreter of a tool; ours is the one that runs this. RuntimeError when it cannot be installed here."""
    if name in ("loopline", "plain"):
        return sys.executable
    wanted = HERE / "peers" / f"{name}.txt"
    folder = ROOT / ".peers" / name
    digest, mark = hashlib.sha256(wanted.read_bytes()).hexdigest(), folder / "requirements.sha256"
    if not mark.is_file() or mark.read_text() != digest:
        _make(folder, wanted)
        mark.write_text(digest)
    return str(folder / "bin" / "python")


def version_of(name: str) -> str:
    """The version of a tool as pinned."""
    distribution = {"hamilton": "sf-hamilton"}.get(name, name)
    for line in (HERE / "peers" / f"{name}.txt").read_text().splitlines():
        if line.startswith(f"{distribution}=="):
            return line.partition("==")[2]
    return ""


def _make(folder: Path, wanted: Path) -> None:
    uv = shutil.which("uv")
    python = str(folder / "bin" / "python")
    if uv:
        commands = [
            [uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, "-r", str(wanted)],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [python, "-m", "pip", "install", "-q", "--compile", "-r", str(wanted)],
        ]
    for command in commands:
        try:
            done = subprocess.run(
                ["nice", "-n", "10", *command], capture_output=True, text=True, timeout=SECONDS_TO_INSTALL, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"installing took more than {SECONDS_TO_INSTALL} s") from None
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1][:300])
