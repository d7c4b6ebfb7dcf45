"""The environments that the stock client lives in: `.peers/NAME`, built from the lists beside this file when they are missing or
of another list. Loopline itself is put into them as its plug-in's users do."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LISTS = {
    "mlflow-3": "requirements-mlflow3.txt",
    "mlflow-2": "requirements-mlflow2.txt",
    "mlflow-torch": "requirements-torch.txt",
    "triton": "requirements-triton.txt",
}
SECONDS_TO_INSTALL = 900


def python_of(name: str) -> str:
    """The interpreter of an environment, which is built first where needed; one process builds, the others wait."""
    folder = ROOT / ".peers" / name
    folder.parent.mkdir(exist_ok=True)
    wanted = HERE / LISTS[name]
    with open(folder.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if fresh(folder / "requirements.sha256", wanted):
            build(folder, wanted)
            (folder / "loopline.sha256").unlink(missing_ok=True)
            keep(folder / "requirements.sha256", wanted)
        if fresh(folder / "loopline.sha256", ROOT / "pyproject.toml"):
            # without its dependencies: the lists hold those that the plug-in uses
            run("pip", "install", "-q", "--python", str(folder / "bin" / "python"), "--no-deps", "-e", str(ROOT))
            keep(folder / "loopline.sha256", ROOT / "pyproject.toml")
    return str(folder / "bin" / "python")


def build(folder: Path, wanted: Path) -> None:
    """An empty environment with what the list names."""
    run("venv", "-q", "--clear", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    # the lists are complete, and leave out on purpose what nothing here needs
    options = ("-q", "--require-hashes", "--no-deps")
    run("pip", "install", *options, "--python", python, "-r", str(wanted))


def run(*arguments: str) -> None:
    """uv with these arguments; its last words when it fails."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin") or "uv"
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=SECONDS_TO_INSTALL, check=False)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments[:2])} failed: {done.stderr.strip()[-1500:]}")


def fresh(mark: Path, of: Path) -> bool:
    """Whether the mark is not that of the file as it is now."""
    return not mark.is_file() or mark.read_text() != digest(of)


def keep(mark: Path, of: Path) -> None:
    mark.write_text(digest(of))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
