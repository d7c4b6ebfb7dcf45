"""The worker as a process: it acts on facts, survives errors and kills, and ends with all its children."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.kit.installed import installed
from loopline.usecases.releases import locking

pytestmark = pytest.mark.integration

PIPELINE = """
import os, time
from pathlib import Path
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from loopline import Dataset, Model, pipeline, step

@step
def train(rows: Dataset, strength: float = 1.0, wait_s: float = 0.0) -> Model:
    frame = rows.to_pandas()
    Path(os.environ["JOURNAL"]).open("a").write("train\\n")
    time.sleep(wait_s)
    held = frame.assign(event_time=pd.date_range("2013-01-01", periods=len(frame), freq="h", tz="UTC"))
    model = LogisticRegression(C=strength).fit(frame[["x"]], frame["label"])
    return Model(model, example=frame[["x"]], evaluation=held, metadata={"label": "label"})

@pipeline(registers="small")
def training(rows: Dataset = "rows", strength: float = 1.0, wait_s: float = 0.0) -> Model:
    return train(rows, strength, wait_s)
"""
CONFIG = """
project: small
self_approval: true
environments: {prod: {}}
datasets:
  rows: {folder: data}
pipelines:
  training: {registers: small}
gates:
  small: {model: small, promote_to: production, metric: auc, no_worse_by: 0.5, minimum: 0.6}
endpoints:
  small: {model: small, alias: production}
policies:
  retrain: {on: alert, run: training, gate: small, deploy: automatic, cooldown: COOLDOWN, params: {wait_s: WAIT}}
"""
PYPROJECT = """[project]
name = "small"
version = "1.0.0"
dependencies = ["loopline", "numpy", "pandas", "scikit-learn"]
"""
LOCKED = {"numpy", "pandas", "scikit-learn", "pyarrow", "pytest", "msgspec", "blake3"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the pipeline of a small project stands in prod; sealing takes seconds, copying does not."""
    place = tmp_path_factory.mktemp("template")
    write_project(place / "small")
    with open_home(place / "home") as loopline:
        loopline.projects.apply(place / "small", "ada")
        released(loopline, place / "small")
    return place


@pytest.fixture
def home(tmp_path: Path, template: Path) -> Path:
    shutil.copytree(template / "home", tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def loopline(home: Path) -> Iterator[Loopline]:
    with open_home(home) as opened:
        yield opened


def write_project(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "tests" / "test_pipeline.py").write_text("def test_nothing_is_missing():\n    import pipeline\n")
    (folder / "loopline.yaml").write_text(CONFIG.replace("WAIT", "0").replace("COOLDOWN", "1d"))
    rows = "".join(f"{n % 97 / 97},{int(n % 97 + n % 13 > 50)}\n" for n in range(2000))
    (folder / "data" / "rows.csv").write_text(f"x,label\n{rows}")


def applied(loopline: Loopline, folder: Path, wait_s: float = 0.0, cooldown: str = "1d") -> None:
    """The small project with one policy, applied from `folder`."""
    write_project(folder)
    (folder / "loopline.yaml").write_text(CONFIG.replace("WAIT", str(wait_s)).replace("COOLDOWN", cooldown))
    loopline.projects.apply(folder, "ada")


def released(loopline: Loopline, folder: Path) -> None:
    """Seal the pipeline as it is in the folder, locked to what is installed here, and have it stand in prod."""
    named = {name.replace("_", "-"): version for name, version in installed().items()}
    pins = [locking.Pin(name, named[name], ("sha256:" + "0" * 64,)) for name in sorted(LOCKED)]
    (folder / "requirements.lock").write_bytes(locking.written(locking.declared_in(folder), pins))
    release = loopline.releases.seal(folder, "training", actor="ada")
    loopline.releases.promote(release.digest, "prod", "ada")


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[[], psutil.Process]]:
    """Starts workers; none of them outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> psutil.Process:
        environment = os.environ | {"JOURNAL": str(tmp_path / "journal"), "LOOPLINE_PARENT": str(os.getpid())}
        with open(home / "logs" / "worker.log", "ab") as log:
            command = [sys.executable, "-m", "loopline.shells.worker", "--home", str(home)]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return psutil.Process(started[-1].pid)

    yield begin
    for process in started:
        process.kill()
        process.wait()


def alert(loopline: Loopline, name: str = "a1") -> None:
    body = {"alert": name, "endpoint": "small", "cause": "performance"}
    loopline.database.write(lambda tx: loopline.ledger.append(tx, "alert.opened", "endpoint:small", "monitor", body))


def wait_until(true: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What `true` answers once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def ended(loopline: Loopline) -> Any:
    """The newest firing once it is done or failed."""
    firings = loopline.automation.firings()
    return firings[0] if firings and firings[0].state in ("done", "failed") else None


def journal(tmp_path: Path) -> list[str]:
    place = tmp_path / "journal"
    return place.read_text().splitlines() if place.exists() else []


def test_an_alert_becomes_a_promoted_model_and_a_deployment(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small")
    worker = start()
    alert(loopline)
    firing = wait_until(lambda: ended(loopline))
    log = (loopline.home / "logs" / f"firing-{firing.id}.log").read_text()
    assert firing.state == "done", log
    assert firing.reason == "small:1 passed and is production"
    assert loopline.registry.alias("small", "production") == 1
    wait_until(lambda: loopline.serving.endpoint("small").wanted == 1)
    assert loopline.tracking.get(firing.run_id).tags["firing"] == firing.id
    assert "run" in log
    alert(loopline, "a2")
    wait_until(lambda: [one.state for one in loopline.automation.firings()] == ["skipped", "done"])
    assert worker.memory_info().rss < 60_000_000
    assert {fact.actor for fact in loopline.ledger.since(0, kind="alias.moved")} == {"policy:retrain"}


def test_a_candidate_that_waits_goes_live_when_it_is_approved(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small")
    config = tmp_path / "small" / "loopline.yaml"
    config.write_text(config.read_text().replace("minimum: 0.6}", "minimum: 0.6, approvals: 1}"))
    loopline.projects.apply(tmp_path / "small", "ada")
    start()
    alert(loopline)
    firing = wait_until(lambda: ended(loopline))
    assert firing.reason == "small:1 passed and waits to become production: 1 approval missing"
    assert loopline.registry.alias("small", "production") is None
    loopline.promotion.approve("small", 1, "bob")
    wait_until(lambda: loopline.registry.alias("small", "production") == 1)
    wait_until(lambda: loopline.automation.firings()[0].promoted)
    assert loopline.automation.firings()[0].reason == "small:1 was approved and is production"


def test_a_run_whose_process_died_is_marked(
    loopline: Loopline, start: Callable[[], psutil.Process], home: Path
) -> None:
    code = (
        "import os, pathlib, loopline.app.wiring as w; "
        f"l = w.open_home(pathlib.Path({str(home)!r})); "
        "from loopline.usecases.tracking.processes import myself; "
        "print(l.tracking.start('lost', actor='ada', process=myself()).id, flush=True); os._exit(9)"
    )
    run_id = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
    assert loopline.ledger.about(run_id, ["run.finished"]) == []
    start()
    wait_until(lambda: loopline.ledger.about(run_id, ["run.finished"]))
    assert loopline.tracking.get(run_id).status == "killed"


def test_a_firing_killed_half_way_is_finished_by_the_next(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small", wait_s=1.0)
    worker = start()
    alert(loopline)
    wait_until(lambda: journal(tmp_path))
    family = [worker, *worker.children(recursive=True)]
    assert len(family) >= 2
    worker.kill()
    worker.wait()
    assert psutil.wait_procs(family, timeout=5)[1] == []
    start()
    firing = wait_until(lambda: ended(loopline))
    assert (firing.state, firing.attempts, firing.version) == ("done", 2, 1)
    assert loopline.registry.alias("small", "production") == 1


def test_a_firing_whose_own_process_is_killed_goes_on(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small", wait_s=0.7)
    worker = start()
    alert(loopline)
    wait_until(lambda: journal(tmp_path))
    for child in worker.children():
        child.kill()
    firing = wait_until(lambda: ended(loopline))
    assert (firing.state, firing.attempts) == ("done", 2)
    assert worker.is_running()


def over(process: psutil.Process) -> bool:
    """Whether a process has ended; when whoever inherited it takes note of that is not ours to say."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_it_ends_soon_with_all_its_children(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small", wait_s=30)
    worker = start()
    alert(loopline)
    wait_until(lambda: journal(tmp_path))
    family = worker.children(recursive=True)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: all(over(process) for process in [worker, *family]))
    assert time.monotonic() - began < 15  # what it runs would wait 30 seconds
    assert loopline.automation.firings()[0].state == "running"  # the next worker takes it up again


def test_a_firing_of_broken_code_fails_with_a_reason(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small")
    (tmp_path / "small" / "pipeline.py").write_text(
        PIPELINE.replace("frame = rows.to_pandas()", "raise ValueError('no rows')")
    )
    released(loopline, tmp_path / "small")
    start()
    alert(loopline)
    firing = wait_until(lambda: ended(loopline))
    assert firing.state == "failed"
    assert "no rows" in firing.reason


def test_two_workers_share_the_firings_of_a_home(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    applied(loopline, tmp_path / "small", wait_s=0.3, cooldown="0s")
    workers = [start(), start()]
    for n in range(2):
        alert(loopline, f"a{n}")
    wait_until(lambda: journal(tmp_path))
    workers[0].kill()  # whichever executes: its firing is finished by the other
    workers[0].wait()
    wait_until(lambda: [one.state for one in loopline.automation.firings()] == ["done"] * 2)
    assert all(one.version for one in loopline.automation.firings())
    assert "Traceback" not in (loopline.home / "logs" / "worker.log").read_text()
    assert len(loopline.ledger.since(0, kind="policy.fired")) == 2
    assert len(loopline.ledger.since(0, kind="policy.finished")) == 2


def test_nothing_released_is_said_with_the_way_out(
    loopline: Loopline, start: Callable[[], psutil.Process], tmp_path: Path
) -> None:
    write_project(tmp_path / "small")
    config = CONFIG.replace("WAIT", "0").replace("COOLDOWN", "1d").replace("{prod: {}}", "{dev: {}, prod: {}}")
    (tmp_path / "small" / "loopline.yaml").write_text(
        config.replace("run: training", "run: training, environment: dev")
    )
    loopline.projects.apply(tmp_path / "small", "ada")
    start()
    alert(loopline)
    firing = wait_until(lambda: ended(loopline))
    assert firing.state == "failed"
    assert "then `loopline promote training --env dev`" in firing.reason


def test_an_error_in_one_part_is_logged_once_and_stops_nothing(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    from loopline.shells.worker.loop import First, Worker

    class Broken:
        def look(self, *_: object) -> None:
            raise OSError("gone")

        def look_again(self) -> None: ...

        def failing(self) -> dict[str, str]:
            return {}

    worker: Any = Worker(home)
    with open_home(home) as loopline, First(home) as first:
        for _ in range(5):
            assert not worker._turn(loopline, Broken(), Broken(), first)
    assert [record.getMessage() for record in caplog.records] == ["firings: gone", "logs: gone"]


def test_idle_it_is_light_and_quiet(loopline: Loopline, start: Callable[[], psutil.Process]) -> None:
    worker = start()
    time.sleep(2)
    before = sum(worker.cpu_times()[:2])
    time.sleep(2)
    assert sum(worker.cpu_times()[:2]) - before <= 0.1
    assert worker.memory_info().rss < 40_000_000
    assert worker.children() == []
