"""The control plane's metrics."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.integration


def test_prometheus_own_checker_finds_nothing_to_say(loopline: Any, ask: Any) -> None:
    loopline.serving.put("late", "flights", "ann")
    text = ask("GET", "/metrics").body.decode()
    assert "loopline_ledger_facts " in text
    assert "loopline_build_info{version=" in text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_nobody_reads_them_without_a_token(stranger: Any) -> None:
    assert stranger("GET", "/metrics").status == 401
