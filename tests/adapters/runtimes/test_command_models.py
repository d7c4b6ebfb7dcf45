"""A program as a model: started, asked by the Open Inference Protocol, and never left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from loopline import CommandModel
from loopline.adapters.runtimes.command import Command, Program
from loopline.core.errors import Invalid, Refused, Unavailable
from loopline.core.tables import Column, Signature

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).with_name("program.py")
SIGNATURE = Signature(
    (Column("hour", "integer"), Column("distance", "float", True), Column("carrier", "string", True)),
    Column("late", "float"),
)
COLUMNS = {
    "hour": np.array([7, 9]), "distance": np.array([1.5, np.nan]), "carrier": np.array(["UA", None], dtype=object),
}  # fmt: skip


def saved(folder: Path, *words: str, **more: Any) -> Path:
    folder.mkdir()
    Command().save(CommandModel(["python", "program.py", *words], files=[PROGRAM], **more), folder)
    return folder


def hours(*values: int) -> dict[str, Any]:
    texts = np.array(["UA"] * len(values), dtype=object)
    return {"hour": np.array(values), "distance": np.ones(len(values)), "carrier": texts}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(*words: str, **more: Any) -> Program:
        started.append(Command().load_here(saved(tmp_path / "model", *words, **more), SIGNATURE))
        return started[-1]

    yield start
    for one in started:
        one.close()


def gone(pid: int, patience: float = 20.0) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("door", ["socket", "port"])
def test_it_gets_all_columns_and_answers_a_value_a_row(here: Callable[..., Program], tmp_path: Path, door: str) -> None:
    program = here(door=door)
    assert program.predict(COLUMNS).tolist() == [14.0, 18.0]
    assert json.loads((tmp_path / "model" / "files" / "asked.json").read_text()) == {
        "inputs": [
            {"name": "hour", "shape": [2], "datatype": "INT64", "data": [7, 9]},
            {"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
            {"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["UA", None]},
        ]
    }
    with pytest.raises(ValueError, match="400: negative hours"):
        program.predict(hours(-1))
    assert program.predict(hours(5)).tolist() == [10.0]


def test_closing_ends_all_that_it_started(here: Callable[..., Program], tmp_path: Path) -> None:
    program = here()
    pids = json.loads((tmp_path / "model" / "files" / "pids.json").read_text())
    program.close()
    assert all(gone(pid, 0.5) for pid in pids)
    assert not program._scratch.exists()


def test_when_it_ends_so_does_the_models_process(here: Callable[..., Program]) -> None:
    program = here()
    with pytest.raises(SystemExit, match="python ended with code 3"):
        program.predict(hours(666))


def test_nothing_outlives_a_model_process_that_is_killed(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    described = msgspec.json.encode(SIGNATURE).decode()
    script = (
        "import sys, time, msgspec\nfrom pathlib import Path\nfrom loopline.adapters.runtimes.command import Command\n"
        "from loopline.core.tables import Signature\n"
        "loaded = Command().load_here(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Signature))\n"
        "print('up', flush=True)\ntime.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(folder), described], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    pids = json.loads((folder / "files" / "pids.json").read_text())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert all(gone(pid) for pid in pids)


def test_asked_for_elsewhere_it_runs_below_a_process_of_its_own(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    loaded: Any = Command().load(folder, SIGNATURE)
    pids = json.loads((folder / "files" / "pids.json").read_text())
    assert loaded.predict(COLUMNS).tolist() == [14.0, 18.0]
    loaded.close()
    assert all(gone(pid) for pid in pids)


def test_a_program_that_does_not_come_up_says_so(here: Callable[..., Program]) -> None:
    with pytest.raises(Unavailable, match="python ended with code 4 before it was ready"):
        here("ends")


def test_one_that_takes_too_long_is_ended(here: Callable[..., Program]) -> None:
    with pytest.raises(Unavailable, match=r"not ready after 0\.3 seconds"):
        here("never", ready_s=0.3)


def test_a_program_that_is_not_here_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    Command().save(CommandModel(["no-such-program"]), tmp_path / "model")
    with pytest.raises(Unavailable, match="'no-such-program' is not on this machine"):
        Command().load(tmp_path / "model", SIGNATURE)


def test_descriptions_name_what_cannot_be(tmp_path: Path) -> None:
    for words, more, said in (
        ([], {}, "list of words"), (["R", ""], {}, "list of words"), (["R"], {"door": "pipe"}, "cannot listen on 'pipe'"),
        (["R"], {"ready_s": 0}, "0 seconds"), (["R"], {"files": ["nowhere.R"]}, r"no file nowhere\.R"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=said):
            CommandModel(words, **more)
    (tmp_path / "model.rds").write_bytes(b"\x80\x04.")
    with pytest.raises(Refused, match="is a pickle"):
        Command().save(CommandModel(["R"], files=[tmp_path / "model.rds"]), tmp_path)
    with pytest.raises(Invalid, match=r"command\.json"):
        Command().inspect({})
