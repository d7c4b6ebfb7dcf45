"""The process of a compiled model holds no library: an engine is chosen by a process before it, and the model is data."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.frames import READY, framed, receive
from loopline.testing.factories import installation

pytestmark = pytest.mark.integration
NAMES = [f"x{place}" for place in range(15)]
SIGNATURE = Signature(tuple(Column(name, "float") for name in NAMES), Column("late", "float"))
MOST_MB = 60
HEAVY = re.compile(r"/(sklearn|scipy|skops|pandas|pyarrow|duckdb|sqlalchemy)/")


def started(home: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-P", "-m", "loopline.shells.dataplane.model_process", "--fd", str(theirs.fileno()),
                   "--parent", str(os.getpid()), "--home", str(home), "--endpoint", "late", "--revision", "1",
                   "--model", "late", "--version", "1", "--installation", "loopline.app.wiring:open_home"]  # fmt: skip
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    ours.settimeout(120)
    return process, ours


def test_it_starts_without_the_library_and_answers_its_bits(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(500, 15))
    late = rows[:, 0] + rows[:, 1] * rows[:, 2] > 0
    model = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=100)).fit(rows, late)
    folder = tmp_path / "model"
    folder.mkdir()
    with installation(tmp_path / "home") as loopline:
        home = loopline.home
        loopline.get("runtimes")["sklearn-skops"].save(model, folder)
        digest = loopline.registry.keep(folder, "sklearn-skops", SIGNATURE)
        loopline.registry.register("late", digest, "run", {}, None, None, None, {}, "ada")
        loopline.serving.deploy("late", 1, "ada", "late")
    process, connection = started(home)
    try:
        assert receive(connection)[0] == READY
        connection.sendall(framed([1, [rows[:8, place].tobytes() for place in range(15)], False]))
        answer: Any = receive(connection)
        assert np.frombuffer(answer[1]).tolist() == model.predict_proba(rows[:8])[:, 1].tolist()
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
        assert not HEAVY.findall(loaded)
        assert psutil.Process(process.pid).memory_full_info().pss <= MOST_MB * 1e6
    finally:
        connection.close()
        process.wait(30)
    with installation(tmp_path / "home") as loopline:
        (fact,) = loopline.ledger.since(0, kind="model_version.compiled")
        assert (fact.subject, fact.body["rung"]) == ("late/1", "tables")
