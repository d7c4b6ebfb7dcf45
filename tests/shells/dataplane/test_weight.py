"""The router stays small: what it imports, and what it holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from dataplane_router import Router

from loopline.app.wiring import open_home

pytestmark = pytest.mark.integration

HEAVY = (
    "sqlalchemy",
    "alembic",
    "pyarrow",
    "duckdb",
    "numpy",
    "sklearn",
    "pandas",
    "rich",
    "jinja2",
    "starlette",
    "click",
)
SCRIPT = """
import sys
from pathlib import Path
import loopline.shells.dataplane.__main__
import loopline.shells.dataplane.server
import loopline.shells.dataplane.takeover
from loopline.app.wiring import open_home
with open_home(Path(sys.argv[1])) as opened:
    opened.serving.follow(), opened.serving.desired(), opened.access.verify("x")
print(*sys.modules)
"""


def test_what_the_router_imports(tmp_path: Path) -> None:
    open_home(tmp_path / "home").close()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "home")], capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(HEAVY)


def test_what_the_router_holds(live: Router) -> None:
    for _ in range(50):
        live.predict()
    assert live.process is not None
    assert psutil.Process(live.process.pid).memory_full_info().pss <= 45e6
