"""kill -9 of workers and of firings' processes, two workers at one home: every cause fires once and comes to its end."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.kit.installed import installed
from loopline.usecases.releases import locking

PIPELINE = """import os
import time
from pathlib import Path

from loopline import pipeline, step


@step
def note(n: int) -> int:
    time.sleep(0.2)
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(f"{n}\\n")
    return n


@pipeline
def noting(n: int = -1):
    return note(n)
"""
FILES = {
    "pipeline.py": PIPELINE,
    "tests/test_pipeline.py": "def test_nothing_is_missing():\n    import pipeline\n",
    "pyproject.toml": '[project]\nname = "notes"\nversion = "1.0.0"\ndependencies = ["loopline"]\n',
    "loopline.yaml": """project: notes
environments: {prod: {}}
pipelines: {noting: {}}
policies:
  note: {on: alert, run: noting, params_from: {n: n}, concurrency: 2}
""",
}
LOCKED = ("blake3", "msgspec", "pyarrow", "pytest")


def released(loopline: Loopline, folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    pins = [locking.Pin(name, installed()[name], ("sha256:" + "0" * 64,)) for name in LOCKED]
    (folder / "requirements.lock").write_bytes(locking.written(locking.declared_in(folder), pins))
    loopline.projects.apply(folder, "ada")
    loopline.releases.promote(loopline.releases.seal(folder, "noting", actor="ada").digest, "prod", "ada")


class Site:
    """A home with two workers, one of which may always be dead."""

    def __init__(self, loopline: Loopline, folder: Path) -> None:
        self.loopline = loopline
        self.folder = folder
        self.workers: list[psutil.Popen | None] = [None, None]
        self.alerts = 0
        self.killed: Counter[str] = Counter()

    def alert(self) -> None:
        self.alerts += 1
        body = {"alert": f"a{self.alerts}", "endpoint": "none", "n": self.alerts}
        write = self.loopline.database.write
        write(lambda tx: self.loopline.ledger.append(tx, "alert.opened", "endpoint:none", "monitor", body))

    def start(self) -> None:
        """Have both workers run."""
        environment = os.environ | {"JOURNAL": str(self.folder / "journal"), "LOOPLINE_PARENT": str(os.getpid())}
        for place, worker in enumerate(self.workers):
            if worker is None or worker.poll() is not None:
                with open(self.loopline.home / "logs" / "worker.log", "ab") as log:
                    command = [sys.executable, "-m", "loopline.shells.worker", "--home", str(self.loopline.home)]
                    self.workers[place] = psutil.Popen(command, env=environment, stdout=log, stderr=log)

    def kill_one(self, chance: random.Random) -> None:
        """kill -9 a worker, or the process of a firing."""
        worker = chance.choice([one for one in self.workers if one is not None])
        firings = worker.children() if worker.is_running() else []
        victim = chance.choice([worker, *firings])
        self.killed["worker" if victim == worker else "firing"] += 1
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
        if victim == worker:
            worker.wait()

    def open_firings(self) -> list[Any]:
        firings = self.loopline.automation.firings(limit=1000)
        return [one for one in firings if one.state not in ("done", "failed")]

    def settled(self) -> bool:
        return len(self.loopline.automation.firings(limit=1000)) == self.alerts and not self.open_firings()

    def end(self) -> None:
        for worker in self.workers:
            if worker is not None and worker.poll() is None:
                worker.kill()
                worker.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    open_home(tmp_path / "home").close()
    with open_home(tmp_path / "home") as loopline:
        released(loopline, tmp_path / "notes")
        site = Site(loopline, tmp_path)
        yield site
        site.end()


@pytest.mark.integration
@pytest.mark.parametrize(
    "rounds", [3, pytest.param(100, marks=pytest.mark.torture)], ids=["three kills", "a hundred kills"]
)
def test_each_cause_fires_once_whatever_is_killed(site: Site, rounds: int, torture_result: Callable[..., None]) -> None:
    chance = random.Random(20130101)
    for _ in range(rounds):
        site.start()
        site.alert()
        time.sleep(chance.uniform(0.2, 2.0))
        site.kill_one(chance)
    site.start()
    until = time.monotonic() + 60 + 2 * rounds
    while not site.settled() and time.monotonic() < until:
        time.sleep(0.05)
    firings = site.loopline.automation.firings(limit=1000)
    assert site.settled(), [(one.state, one.reason, one.owner) for one in site.open_firings()]
    assert sorted(one.rules.params["n"] for one in firings) == list(range(1, site.alerts + 1))
    gave_up = [one for one in firings if one.state == "failed"]
    assert all("its process ended 5 times" in one.reason for one in gave_up), [one.reason for one in gave_up]
    told = Counter(fact.body["firing"] for fact in site.loopline.ledger.since(0, limit=100_000)
                   if fact.kind in ("policy.finished", "policy.failed"))  # fmt: skip
    assert told == {one.id: 1 for one in firings}
    assert len(site.loopline.ledger.since(0, limit=100_000, kind="policy.fired")) == site.alerts
    slots = site.loopline.database.read(lambda tx: tx.rows("SELECT firing FROM automation_slots"))
    assert slots == []
    noted = Counter((site.folder / "journal").read_text().split())
    assert noted.keys() >= {str(one.rules.params["n"]) for one in firings if one.state == "done"}
    torture_result("firings", kills=rounds, killed=dict(site.killed), firings=len(firings), gave_up=len(gave_up),
                   attempts=sum(one.attempts for one in firings))  # fmt: skip
