"""What a run keeps without being asked, and that nothing of it ever fails the training."""

from __future__ import annotations

import base64
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import loopline
from loopline.shells.sdk.client import Local
from loopline.shells.sdk.runs import captured
from loopline.testing.factories import installation
from loopline.usecases.tracking import capturing, surroundings
from loopline.usecases.tracking.capturing import Captures, machine, notebook, output, seeds
from loopline.usecases.tracking.client import Run, told


class Noting:
    """A run that only notes."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        self.files: dict[str, Any] = {}

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        self.metrics.update(metrics)

    def tags(self, tags: dict[str, str]) -> None:
        self.texts.update(tags)

    def keep(self, name: str, content: Any, media_type: str = "") -> None:
        self.files[name] = content


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)
    with installation(tmp_path) as opened:
        yield Local(opened, "ann")


@pytest.mark.integration
def test_a_run_keeps_what_is_printed_and_the_machine(client: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "TICK_S", 0.02)
    monkeypatch.setenv("SOME_TOKEN", "abcdefgh12345")
    monkeypatch.setenv("PWD", os.path.dirname(sys.executable))
    before = sys.stdout
    with loopline.run("printing", client=client) as run:
        print("hello", os.environ["SOME_TOKEN"])
        print("oops", file=sys.stderr)
        while not (run.flush() and client.call("tracking.get", run_id=run.id)["metrics"]):
            time.sleep(0.01)
    assert sys.stdout is before
    found = client.call("tracking.get", run_id=run.id)
    assert found["metrics"]["system/system_memory_usage_megabytes"] > 0
    assert found["surroundings"]["seeds"]["random"]
    assert "python" in found["surroundings"]["command"] or "pytest" in found["surroundings"]["command"]
    assert "***" not in found["surroundings"]["command"]
    printed = client.call("tracking.artifact", run_id=run.id, name="logs/stdout.txt")["content"]
    assert (base64.b64decode(printed) if isinstance(printed, str) else printed) == b"hello ***\n"
    names = [one["name"] for one in client.call("tracking.artifacts", run_id=run.id)]
    assert names == ["logs/stderr.txt", "logs/stdout.txt"]


@pytest.mark.unit
def test_what_is_printed_still_shows(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = Noting(), Noting()
    outer, inner = output.begin(one), output.begin(other)
    print("both")
    inner.stop()
    print("one")
    assert sys.stdout.isatty() is False
    outer.stop()
    print("none")
    assert capsys.readouterr().out == "both\none\nnone\n"
    assert (one.files["logs/stdout.txt"], other.files["logs/stdout.txt"]) == ("both\none\n", "both\n")


@pytest.mark.unit
def test_a_stream_that_somebody_replaced_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = output.begin(Noting())
    another = SimpleNamespace(write=lambda text: None, flush=lambda: None)
    tee, sys.stdout = sys.stdout, another  # type: ignore[assignment]
    try:
        heard.stop()
        assert sys.stdout is another
    finally:
        sys.stdout = tee._stream  # type: ignore[attr-defined]
    tee.write("")


@pytest.mark.unit
def test_progress_bars_are_kept_as_they_stood_last() -> None:
    text = output.Folded()
    for piece in ("a\n", "10%\r", "20%", "\r30%\r", "\x1b[32m100%\x1b[0m\r\n", "next", "\rlast"):
        text.feed(piece)
    assert text.shown() == "a\n100%\nlast"
    text.feed("\r")
    assert text.shown() == "a\n100%\nlast"


@pytest.mark.unit
def test_much_output_goes_in_portions_each_sent_once_when_full() -> None:
    run = Noting()
    heard = output.begin(run)
    for _ in range(3):
        print("x" * (output.PORTION - 1))
    print("end")
    heard.stop()
    assert list(run.files) == ["logs/stdout.txt", "logs/stdout-2.txt", "logs/stdout-3.txt", "logs/stdout-4.txt"]
    assert run.files["logs/stdout-4.txt"] == "end\n"


@pytest.mark.unit
def test_a_sample_of_the_machine_is_plausible() -> None:
    run = Noting()
    sampler = machine.begin(run)
    sampler.tick()
    sampler.tick()  # not due yet
    sampler.stop()
    assert all(name.startswith("system/") for name in run.metrics)
    assert 0 < run.metrics["system/system_memory_usage_percentage"] <= 100
    assert 0 <= run.metrics["system/cpu_utilization_percentage"] <= 100
    assert run.metrics["system/process_memory_megabytes"] > 10
    assert machine.from_psutil()().keys() == machine.from_proc().keys()


@pytest.mark.unit
def test_gpus_are_read_when_there_are_any() -> None:
    nvml = SimpleNamespace(
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=5e8, total=1e9),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=40),
        nvmlDeviceGetPowerUsage=lambda handle: 150_000,
    )
    assert machine.Gpus(nvml).sample() == {
        "gpu_0_utilization_percentage": 40,
        "gpu_0_memory_usage_megabytes": 500.0,
        "gpu_0_memory_usage_percentage": 50.0,
        "gpu_0_power_usage_watts": 150.0,
    }


@pytest.mark.unit
def test_what_cannot_be_captured_is_told_in_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Any) -> Any:
        raise OSError("no such thing")

    monkeypatch.setattr(machine, "begin", broken)
    run = Noting()
    captures = Captures(run, ("system", "output", "unknown"))
    monkeypatch.setattr(captures._pieces["output"], "stop", lambda: 1 / 0)
    output.let_go("stdout", captures._pieces["output"]._streams[0]._heard)  # type: ignore[attr-defined]
    output.let_go("stderr", captures._pieces["output"]._streams[1]._heard)  # type: ignore[attr-defined]
    captures.stop()
    assert run.texts["loopline.capture.system"] == "OSError: no such thing"
    assert run.texts["loopline.capture.output"].startswith("ZeroDivisionError")


@pytest.mark.unit
def test_a_notebook_is_kept_with_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(user_ns={"In": ["", "x = 1", "password = 'abc'"]})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ann/late.ipynb")
    run = Noting()
    kept = notebook.begin(run)
    kept.stop()
    assert run.texts == {"loopline.notebook": "late.ipynb"}
    assert run.files[notebook.CELLS] == "# %% [1]\nx = 1\n\n# %% [2]\npassword = [secret]"
    monkeypatch.delitem(sys.modules, "IPython")
    notebook.begin(run).stop()


@pytest.mark.unit
def test_equal_seeds_have_equal_digits() -> None:
    random.seed(1)
    first = seeds.seeds()
    assert seeds.seeds() == first
    random.random()
    assert seeds.seeds()["random"] != first["random"]


@pytest.mark.unit
def test_a_command_line_loses_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse")
    words = [
        "python",
        "train.py",
        "--api-key",
        "k-123",
        "--token=t-456",
        "--url",
        "http://ann:pw@host/",
        "correct horse",
    ]
    monkeypatch.setattr(sys, "orig_argv", words)
    found = surroundings.command()
    for secret in ("k-123", "t-456", "ann:pw", "correct horse"):
        assert secret not in found
    assert found.startswith("python train.py --api-key")


@pytest.mark.unit
def test_what_is_captured_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert captured(True) == ("system", "output", "notebook")
    assert captured(False) == ()
    assert captured(["output"]) == ("output",)
    monkeypatch.setenv("LOOPLINE_CAPTURE", "none")
    assert captured(True) == ()
    monkeypatch.setenv("LOOPLINE_CAPTURE", "system, output")
    assert captured(True) == ("system", "output")


@pytest.mark.integration
def test_git_is_asked_once_and_tells_all(tmp_path: Path, client: Local) -> None:
    import subprocess

    def git(*words: str) -> None:
        command = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.com", *words]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    assert surroundings.git(tmp_path) == {}
    (tmp_path / "train.py").write_text("rate = 1\n")
    git("add", "train.py")
    git("commit", "-qm", "first")
    (tmp_path / "train.py").write_text("rate = 2\ntoken = 'abc'\n")
    with Run(client, "git") as run:
        pass
    found = client.call("tracking.get", run_id=run.id)["surroundings"]["git"]
    assert (len(found["commit"]), found["dirty"]) == (40, True)
    assert "abc" not in surroundings.git(tmp_path)["diff"]


@pytest.mark.unit
def test_keys_of_well_known_services_are_blacked_out() -> None:
    secrets = (
        "hf_" + "a" * 34, "glpat-" + "b" * 20, "xoxb-1234567890-abcdefghij", "AIza" + "c" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "github_pat_" + "d" * 30,
    )  # fmt: skip
    for secret in secrets:
        assert surroundings.without_secrets(f'x = "{secret}"') == 'x = "[secret]"'
    text = 'headers = {"Authorization": "Basic dXNlcjpwdw=="}, Bearer 0123456789abcdefghij'
    assert surroundings.without_secrets(text) == 'headers = {"Authorization": "Basic [secret]"}, Bearer [secret]'
    assert surroundings.without_secrets("the basic training of a bearer") == "the basic training of a bearer"


@pytest.mark.unit
def test_what_a_variable_keeps_secret_shows_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "correct horse")
    assert told(ValueError("cannot log in with correct horse")) == (
        "failed",
        "ValueError: cannot log in with ***",
    )
