"""What a run tells on a terminal and elsewhere, and what Ctrl-C leaves."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.shells.cli import run as command
from loopline.testing.factories import installation
from loopline.usecases.pipelines.model import Progress
from loopline.usecases.pipelines.screen import Row, Screen, clean, kept

CODE = """
import sys
import time
from pathlib import Path

from loopline import pipeline, step


@step
def load(rows: int) -> list:
    print("read", rows, flush=True)
    return list(range(rows))


@step
def score(row: int) -> int:
    print("scored", row)
    return row


@step(no_cache=True)
def train(rows: list, go: str) -> int:
    for epoch in range(1000):
        print("epoch", epoch, flush=True)
        if go and Path(go).exists():
            break
        time.sleep(0.02)
    return 1


@pipeline
def training(rows: int = 5, go: str = "") -> int:
    loaded = load(rows)
    score.map(over="row", row=loaded)
    return train(loaded, go)


@pipeline
def quick(rows: int = 3) -> list:
    return score.map(over="row", row=load(rows))
"""


def began(label: str, position: int = 0, total: int = 3, **more: Any) -> Progress:
    return Progress(label, "", 0.0, position, total, **more)


def ended(label: str, status: str = "ran", position: int = 0, total: int = 3, **more: Any) -> Progress:
    return Progress(label, status, 1.5, position, total, **more)


def printed(label: str, log: str, position: int = 0, **more: Any) -> Progress:
    return Progress(label, "running", 0.0, position, 3, log, **more)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, *what: Progress, **how: Any) -> list[str]:
    with Screen(stream, **how) as screen:
        for one in what:
            screen.tell(one)
    return stream.getvalue().splitlines()


@pytest.mark.unit
def test_elsewhere_each_step_is_a_line() -> None:
    lines = told(io.StringIO(), began("load"), printed("load", "read 5\n"), ended("load"), ended("train", "failed", 1))
    assert lines == ["  ✓ load  ran  1.50 s", "  ✗ train  failed  1.50 s"]


@pytest.mark.unit
def test_with_logs_each_printed_line_follows_its_step() -> None:
    what = [began("load"), printed("load", "one\ntw"), printed("load", "o\nthree"), ended("load")]
    lines = told(io.StringIO(), *what, logs=True)
    assert lines == ["load | one", "load | two", "load | three", "  ✓ load  ran  1.50 s"]


@pytest.mark.unit
def test_on_a_terminal_a_map_is_one_line_but_its_failures_are_told() -> None:
    calls = [ended(f"score[{n}]", "hit" if n < 2 else "failed" if n == 4 else "ran", n, calls=6) for n in range(6)]
    lines = told(Terminal(), *calls, ended("score", "failed", 9))
    assert [plain(line) for line in lines] == [
        "  ✗ score[4]  failed  1.50 s",
        "  ✗ score  failed  1.50 s  (6 calls: 1 failed, 2 hit, 3 ran)",
    ]
    assert len(told(io.StringIO(), *calls)) == 6


@pytest.mark.unit
def test_hits_beyond_thirty_are_counted() -> None:
    lines = told(io.StringIO(), *(ended(f"s{n}", "hit", n) for n in range(33)))
    assert len(lines) == 31
    assert lines[-1] == "  3 more hits"


@pytest.mark.unit
def test_a_running_map_says_how_far_it_is() -> None:
    row = Row("score", 100)
    row.ended.update({"hit": 12, "ran": 25})
    assert row.text() == "score 37/100, 12 hit"


@pytest.mark.unit
def test_what_a_step_prints_cannot_command_the_terminal() -> None:
    assert "\x1b" not in clean("\x1b[2Jgone")
    assert clean("10 %\r50 %\r100 %\r") == "100 %"


@pytest.mark.unit
def test_rich_is_not_imported_for_what_is_over_in_a_moment() -> None:
    code = """
import io, sys
from loopline.usecases.pipelines.model import Progress
from loopline.usecases.pipelines.screen import Screen
class Terminal(io.StringIO):
    isatty = lambda self: True
with Screen(Terminal()) as screen:
    for n in range(5):
        screen.tell(Progress(f"s{n}", "", 0.0, n, 5))
        screen.tell(Progress(f"s{n}", "ran", 0.01, n, 5))
print("rich" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.unit
def test_a_stopped_release_is_taken_up_as_a_release() -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    run = SimpleNamespace(run_id="a" * 32, status="killed", started_at=now.isoformat(), counts={"ran": 1, "hit": 2},
                          release="b" * 64, environment="prod")  # fmt: skip
    runs = SimpleNamespace(runs=lambda limit: [run])
    assert (
        kept(runs, now) == f"3 steps are kept; `loopline run {'b' * 12} --environment prod` takes the run aaaaaaaa up."
    )
    assert kept(SimpleNamespace(runs=lambda limit: []), now) == "Nothing had begun to run."


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Session:
    """A command on a terminal of its own."""

    def __init__(self, folder: Path, home: Path, *arguments: str) -> None:
        self.fd, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loopline", *arguments, "--home", str(home)],
            cwd=folder, stdin=inside, stdout=inside, stderr=inside, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(inside)
        self.seen = ""

    def until(self, pattern: str, patience: float = 30.0) -> None:
        """Read until the pattern was seen."""
        import select

        end = time.monotonic() + patience
        while not re.search(pattern, plain(self.seen)):
            assert time.monotonic() < end, plain(self.seen)
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:  # the other side has gone
                    assert re.search(pattern, plain(self.seen)), plain(self.seen)

    def end(self) -> int:
        return self.process.wait(30)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.fd)


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.py").write_text(CODE)
    with installation(tmp_path) as loopline:
        home = loopline.home
    return folder, home


@pytest.mark.integration
def test_a_terminal_shows_what_runs_and_ctrl_c_says_how_to_go_on(place: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*place, "run", "training", "-p", f"go={tmp_path / 'go'}") as session:
        session.until(r"▸ train  0:0\d  epoch \d+")
        session.until(r"━+  \d/8 ")
        session.until(r"score  ran .*\(5 calls: 5 ran\)")
        assert "score[0]" not in plain(session.seen), "a map is one line"
        os.killpg(session.process.pid, signal.SIGINT)
        session.until(r"Stopped\. \d steps are kept; `loopline rerun [0-9a-f]{8}` takes the run [0-9a-f]{8} up\.")
        assert session.end() == 130
    assert "Traceback" not in session.seen
    (tmp_path / "go").touch()
    run_id = re.search(r"rerun ([0-9a-f]{8})", plain(session.seen)).group(1)  # type: ignore[union-attr]
    with Session(*place, "rerun", run_id) as again:
        again.until(r"training finished in .*1 ran")
        assert again.end() == 0
    assert "load  hit" in plain(again.seen)


@pytest.mark.integration
def test_logs_tell_what_steps_printed(
    place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, home = place
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    assert command(["run", "quick", "-v", "--json", "--home", str(home)]) == 0
    captured = capsys.readouterr()
    done = json.loads(captured.out)
    assert {"load | read 3", "score[0] | scored 0", "score[2] | scored 2"} <= set(captured.err.splitlines())
    assert command(["logs", done["run_id"][:8], "--follow", "--home", str(home)]) == 0
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == ["load | read 3", *(f"score[{n}] | scored {n}" for n in range(3))]
    assert captured.err == "quick finished.\n"
    assert command(["logs", done["run_id"][:8], "load", "--json", "--home", str(home)]) == 0
    assert json.loads(capsys.readouterr().out)["logs"] == [{"step": "load", "log": "read 3\n"}]
    assert command(["logs", done["run_id"][:8], "nothing", "--home", str(home)]) == 3
    assert "has no step 'nothing'" in capsys.readouterr().err


@pytest.mark.integration
def test_logs_follow_a_run_to_its_end(place: tuple[Path, Path], tmp_path: Path) -> None:
    folder, home = place
    running = subprocess.Popen(
        [sys.executable, "-m", "loopline", "run", "training", "-p", f"go={tmp_path / 'go'}", "--home", str(home)],
        cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    while "score  ran" not in running.stderr.readline():
        assert running.poll() is None
    with Session(folder, home, "logs", "last", "train", "--follow") as following:
        following.until(r"epoch 3\r?\n")
        (tmp_path / "go").touch()
        following.until(r"training finished\.")
        assert following.end() == 0
    running.communicate(timeout=30)
    numbers = [int(number) for number in re.findall(r"epoch (\d+)", plain(following.seen))]
    assert numbers == list(range(len(numbers))), "no line is lost, none comes twice"
