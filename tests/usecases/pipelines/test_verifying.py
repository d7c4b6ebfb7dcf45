"""`loopline verify` names the steps that do not give the same again, and where their results differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import open_home
from loopline.shells.cli import run as command
from loopline.usecases.pipelines.verifying import Verification

pytestmark = pytest.mark.integration

ADDED = """

import os
import random
import uuid


@step
def shaken(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(x=np.where(frame.index == 4, random.SystemRandom().random(), frame["x"]))


@step
def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    turn = int.from_bytes(os.urandom(4), "little") % (len(frame) - 2) + 1
    order = [*range(turn, len(frame)), *range(turn)]
    with open(os.environ["NOTES"], "a") as file:
        file.write(f" turn{turn}")
    return frame.iloc[order if counted() else order[::-1]].reset_index(drop=True)


def counted() -> bool:
    from pathlib import Path

    return Path(os.environ["NOTES"]).read_text().count("turn") % 2 == 0


@step
def fitted(frame: pd.DataFrame) -> Model:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 + random.SystemRandom().random()).fit(frame[["x", "y"]], frame["late"])
    return Model(model, example=frame[["x", "y"]], name="unsteady")


@step
def named(frame: pd.DataFrame) -> dict:
    return {"rows": len(frame), "who": {"id": uuid.uuid4().hex}}


@step
def array(frame: pd.DataFrame) -> np.ndarray:
    found = frame[["x", "y"]].to_numpy(copy=True)
    found[3, 1] = random.SystemRandom().random()
    return found


@step
def size(frame: pd.DataFrame) -> int:
    return len(frame)


@step
def longer(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame] * (1 + counted_calls()))


def counted_calls() -> int:
    with open(os.environ["NOTES"], "a") as file:
        file.write(" longer")
    from pathlib import Path

    return Path(os.environ["NOTES"]).read_text().count("longer")


@step(no_cache=True)
def moment() -> str:
    return uuid.uuid4().hex


@step
def told(text: str) -> int:
    return len(text)


@step
def square(x: int) -> int:
    return x * x


@pipeline
def unsteady() -> Model:
    frame = make(20)
    size(shaken(frame))
    shuffled(frame)
    named(frame)
    array(frame)
    longer(frame)
    return fitted(frame)


@pipeline
def hasty() -> int:
    return told(moment())


@pipeline
def squares() -> list:
    return square.map(over="x", x=[1, 2, 3])
"""


@pytest.fixture
def verify(project: Any, tmp_path: Path) -> Callable[..., Verification]:
    path = project.folder / "pipeline.py"
    path.write_text(path.read_text() + ADDED)

    def run(pipeline: str, **params: Any) -> Verification:
        with open_home(tmp_path / "beside") as beside:
            found: Verification = project.loopline.pipelines.verify(
                beside, project.folder, pipeline, params=params, actor="ann", executor="inline"
            )
        return found

    return run


def test_a_deterministic_pipeline_passes(project: Any, verify: Callable[..., Verification]) -> None:
    found = verify("training")
    assert (found.deterministic, found.runs, found.error) == (True, 2, "")
    assert [(one.label, one.verdict) for one in found.steps] == [
        (name, "same") for name in ("make", "halve", "train", "judge")
    ]
    assert project.ran() == ["make", "halve", "train", "judge"] * 2


def test_nothing_of_it_is_kept(project: Any, verify: Callable[..., Verification]) -> None:
    verify("training")
    assert project.loopline.pipelines.runs() == []
    assert project.loopline.pipelines.cache_stats().results == 0
    assert project.loopline.get("registry").models() == []


def test_steps_that_are_not_are_named_with_the_place(verify: Callable[..., Verification]) -> None:
    found = verify("unsteady")
    assert not found.deterministic
    assert found.runs == 3  # size stands behind a step that differs: it is run once more, on the same input
    told = {one.label: one for one in found.steps}
    assert {label for label, one in told.items() if one.verdict == "same"} == {"make", "size"}
    assert told["shaken"].place.startswith("column 'x', row 4: ")
    assert "seed" in told["shaken"].hint
    assert told["shuffled"].place.startswith("the same rows in another order, at first in column 'x', row ")
    assert "Sort its rows" in told["shuffled"].hint
    assert told["fitted"].place.startswith("the model's file ")
    assert "random_state" in told["fitted"].hint
    assert told["named"].place.startswith("the value['who']['id']: ")
    assert told["array"].place.startswith("element [3, 1]: ")
    assert "number of rows, 40 and 60" in told["longer"].place


def test_behind_a_step_that_always_runs_inputs_never_agree(verify: Callable[..., Verification]) -> None:
    told = {one.label: one for one in verify("hasty").steps}
    assert told["moment"].verdict == "differs"
    assert told["told"].verdict == "unknown"


def test_calls_of_a_map_are_verified_each(verify: Callable[..., Verification]) -> None:
    found = verify("squares")
    assert found.deterministic
    assert [one.label for one in found.steps] == ["square[0]", "square[1]", "square[2]"]


def test_a_pipeline_that_fails_is_not_verified(verify: Callable[..., Verification]) -> None:
    found = verify("failing")
    assert not found.deterministic
    assert found.error.startswith("Run 1 of failing did not finish: The step fail failed")


@pytest.mark.parametrize(("pipeline", "expected"), [("training", 0), ("hasty", 1), ("nowhere", 3)])
def test_the_command_ends_with_its_verdict(
    project: Any,
    verify: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pipeline: str,
    expected: int,
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    home = str(project.loopline.home)
    project.loopline.close()
    code = command(["verify", pipeline, "--executor", "inline", "--home", home, "--json"])
    captured = capsys.readouterr()
    assert code == expected
    if expected < 2:
        assert json.loads(captured.out)["deterministic"] is (expected == 0)
    if pipeline == "hasty":
        assert "hasty does not give the same again: moment." in captured.err
        assert command(["verify", pipeline, "--executor", "inline", "--home", home]) == 1
        out = capsys.readouterr().out
        assert "  ✗ moment: the value: '" in out
        assert "  ? told: its inputs differed each time" in out
        assert "0 of 2 steps of hasty gave the same again in 3 runs." in out
