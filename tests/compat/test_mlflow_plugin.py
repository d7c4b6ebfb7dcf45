"""The stock client with Loopline's plug-in: the same stories, and what journalling promises."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import pytest
from different import THROUGH_THE_PLUGIN, WANTED
from record import QUIET

pytestmark = pytest.mark.integration

STORIES = ("tracking", "searching", "registry", "artifacts", "logged_models", "datasets")
HERE = Path(__file__).parent


def acting(place: Path, *words: str) -> subprocess.Popen[str]:
    """The stock client doing something through the plug-in."""
    environment = {
        **os.environ,
        **QUIET,
        "LOOPLINE_SPOOL": str(place / "spool"),
        "MLFLOW_TRACKING_URI": f"loopline://{place / 'home'}",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [peers.python_of("mlflow-3"), str(HERE / "plugin_acts.py"), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def done(place: Path, *words: str) -> str:
    """What the client printed."""
    process = acting(place, *words)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return said


@pytest.mark.parametrize("where", ["home", "server"])
def test_same_answers_as_mlflow(
    where: str,
    server: str,
    tmp_path: Path,
    told: Callable[..., dict[str, Any]],
    wanted: Callable[[str], dict[str, Any]],
) -> None:
    uri = f"loopline://{tmp_path / 'home'}" if where == "home" else f"loopline+{server}"
    stories = told("mlflow-3", uri, STORIES)
    different = {}
    for story in STORIES:
        assert not stories[story]["error"], stories[story]["error"]
        expected = wanted("mlflow-3")[story] | WANTED.get(story, {}) | THROUGH_THE_PLUGIN.get(story, {})
        for name, value in expected.items():
            found = stories[story]["said"].get(name)
            if found != value:
                different[story, name] = {"wanted": value, "found": found}
    assert not different


def test_the_old_client_does_too(tmp_path: Path, told: Callable[..., dict[str, Any]]) -> None:
    stories = told("mlflow-2", f"loopline://{tmp_path / 'home'}", ("tracking", "registry", "artifacts"))
    assert {story: one["error"] for story, one in stories.items()} == dict.fromkeys(stories)


def test_what_was_acknowledged_survives_kill_9_and_is_there_once(tmp_path: Path) -> None:
    process = acting(tmp_path, "endless")
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    deadline = time.monotonic() + 2.0
    steps = 0
    while time.monotonic() < deadline:
        steps = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    steps = max([steps, *(int(line) for line in process.stdout.read().splitlines())])
    process.communicate()
    found = json.loads(done(tmp_path, "counted", run_id))
    assert steps > 100
    for key, each in (("single", 1), ("batch", 10)):
        points, different, last = found[key]
        assert points == different  # each once
        assert points in ((steps + 1) * each, (steps + 2) * each)  # the call that was killed may have been taken
        assert last == points - 1


def test_mistakes_are_told_by_the_call(tmp_path: Path) -> None:
    wrong = ["INVALID_PARAMETER_VALUE"] * 4
    assert json.loads(done(tmp_path, "refused")) == [
        [*wrong, "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"],
        [1.0, 2.0, 4.0],
    ]


def test_others_see_it_while_the_run_goes_on(tmp_path: Path) -> None:
    import loopline

    process = acting(tmp_path, "waiting")
    try:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        client = loopline.connect(home=tmp_path / "home")
        began, found = time.monotonic(), 0
        while found < 100 and time.monotonic() - began < 20:
            found = len(client.call("tracking.history", run_id=run_id, key="single"))
        client.close()
    finally:
        process.kill()
        process.communicate()
    assert found == 100


def test_a_forked_child_logs_too(tmp_path: Path) -> None:
    assert done(tmp_path, "forked").split() == ["100"]


def test_many_points_alone_and_in_batches_are_all_kept(tmp_path: Path) -> None:
    assert json.loads(done(tmp_path, "fast", "20000"))["kept"] == [20_000, 20_000]


def test_the_example_of_the_document_runs(tmp_path: Path) -> None:
    text = (peers.ROOT / "docs" / "mlflow-plugin.md").read_text()
    example = text.partition("```py file=train.py\n")[2].partition("```")[0]
    place = tmp_path / "train.py"
    place.write_text(example)
    environment = {
        **os.environ,
        **QUIET,
        "LOOPLINE_SPOOL": str(tmp_path / "spool"),
        "MLFLOW_TRACKING_URI": f"loopline://{tmp_path / 'home'}",
    }
    command = [peers.python_of("mlflow-3"), str(place)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["1000 as expected"], done.stderr[-2000:]
