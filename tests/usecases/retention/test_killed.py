"""Whoever is killed while removing leaves all or nothing, and what is left over goes with the next clearing up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline, audit, open_home
from loopline.testing.factories import installation

pytestmark = pytest.mark.integration
RUNS = 600
REMOVE = """
import sys
from pathlib import Path
from loopline.app.wiring import open_home
with open_home(Path(sys.argv[1])) as loopline:
    print("ready", flush=True)
    loopline.retention.remove("experiment", "tab", "ann")
    print("hidden", flush=True)
    loopline.retention.purge("experiment", "tab", "ann")
    loopline.retention.collect()
    print("done", flush=True)
"""


def fill(loopline: Loopline) -> None:
    """Many runs with an artifact each, and one elsewhere."""
    keep = loopline.tracking.start("stays", actor="ann", experiment="other").id
    loopline.tracking.put_artifact(keep, "notes", b"stays")
    first = loopline.tracking.start("first", actor="ann", experiment="tab").id
    loopline.tracking.finish(first, actor="ann")
    digests = [loopline.blobs.take(b"%d" % n * 50) for n in range(RUNS)]
    loopline.blobs.settle()
    ids = [f"{n:032x}" for n in range(RUNS)]

    def work(tx: Any) -> None:
        tx.run_many(
            "INSERT INTO tracking_runs (id, experiment_id, name, kind, status, started_at, created_by) SELECT :id,"
            " experiment_id, 'one', 'run', 'finished', started_at, 'ann' FROM tracking_runs WHERE name = 'first'",
            [{"id": one} for one in ids],
        )
        tx.run_many(
            "INSERT INTO tracking_artifacts (owner, name, digest, size, media_type, created_at)"
            " VALUES (:owner, 'notes', :digest, 100, 'text/plain', '2013')",
            [{"owner": one, "digest": digest} for one, digest in zip(ids, digests, strict=True)],
        )

    loopline.database.write(work)


@pytest.mark.parametrize(
    "wait", [("ready", 0.002), ("ready", 0.06), ("hidden", 0.0), ("hidden", 0.02), ("hidden", 0.08)], ids=str
)
def test_a_kill_in_the_middle_leaves_all_or_nothing(tmp_path: Path, wait: tuple[str, float], make: Any) -> None:
    with installation(tmp_path) as loopline:
        fill(loopline)
        make.old(loopline)
        home = loopline.home
    child = subprocess.Popen([sys.executable, "-c", REMOVE, str(home)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == wait[0]:
            break
    time.sleep(wait[1])
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with open_home(home) as loopline:
        seen = len(loopline.tracking.search(experiment="tab", limit=5000).runs)
        trash = loopline.retention.trash()
        assert (seen, len(trash)) in ((RUNS + 1, 0), (0, 1), (0, 0))
        if seen:
            loopline.retention.remove("experiment", "tab", "ann")
        if loopline.retention.trash() and not loopline.retention.trash()[0].purging:
            loopline.retention.purge("experiment", "tab", "ann")
        loopline.retention.collect()
        assert loopline.retention.trash() == []
        row = loopline.database.row(
            "SELECT (SELECT COUNT(*) FROM tracking_runs) AS r, (SELECT COUNT(*) FROM tracking_artifacts) AS a"
        )
        assert (row["r"], row["a"]) == (1, 1)
        assert [one.size for one in loopline.blobs.kept()] == [5]
        assert audit(loopline).problems == []
