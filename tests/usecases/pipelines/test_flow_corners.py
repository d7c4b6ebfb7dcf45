"""Parts of results, odd conditions, steps in odd places: what works, and what is refused in one sentence."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid
from loopline.testing.factories import installation
from loopline.usecases.pipelines.cli import from_yaml
from loopline.usecases.pipelines.looking import ended
from loopline.usecases.pipelines.model import PipelineRun, StepRun
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration

HEAD = """
import dataclasses
import datetime
import functools
from typing import NamedTuple

from loopline import Dataset, branch, pipeline, step
"""
STEPS = """
@step
def same(x):
    return x


@step
def pair(a, b=0) -> list:
    return [repr(a), b]


@step
def counts() -> dict[str, int]:
    return {"none": 0, "two": 2}


@step
def both() -> tuple[int, dict[str, int]]:
    return 1, {"a": 5}


@step
def many() -> list[int]:
    return list(range(3000))


@step
def day():
    return datetime.date(2020, 1, 1)


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Holder:
    held: object


@step
def any_of(*items, **named):
    return [list(items), named]


"""
Run = Callable[..., PipelineRun]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    folder = tmp_path / "corners"
    folder.mkdir()
    with installation(tmp_path) as loopline:

        def ran(body: str, head: str = "", signature: str = "", params: Any = None) -> PipelineRun:
            code = f"{HEAD}{STEPS}{head}\n\n@pipeline\ndef p({signature}):\n" + "".join(
                f"    {line}\n" for line in body.splitlines()
            )
            (folder / "pipeline.py").write_text(code)
            done: PipelineRun = loopline.pipelines.run(folder, "p", params, actor="ann", executor="inline")
            return done

        ran.loopline, ran.folder = loopline, folder  # type: ignore[attr-defined]
        yield ran
    forget({str(folder)})


def outcome(run: PipelineRun) -> dict[str, str]:
    return {step.label: step.status for step in run.steps}


def test_parts_of_plain_dicts_are_handed_on(run: Run) -> None:
    assert run('return pair(counts()["two"], both()[1]["a"])').status == "finished"
    assert run('return {"a": counts()["none"], "b": (both()[0], None)}').status == "finished"
    missing = run('return pair(counts()["three"])')
    assert missing.error == "The step pair failed: What it takes has no part 'three'."
    assert run('return counts()["three"]').error == "The pipeline returns 'three', which no result has."


def test_a_part_may_be_a_condition(run: Run) -> None:
    done = run('return branch(counts()["none"], lambda: pair(1), lambda: pair(2))')
    assert outcome(done) == {"counts": "ran", "pair": "skipped", "pair#2": "ran"}


def test_a_named_tuple_keeps_its_name_with_results_in_it(run: Run) -> None:
    assert run("return same(Point(both()[0], 2))", head="").status == "finished"
    done = run(
        "return given(Point(both()[0], 2))", head="@step\ndef given(point: Point):\n    return point.x + point.y"
    )
    assert done.status == "finished"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return branch(branch(same(1), lambda: same(0)), lambda: pair(1))", "A branch hangs on what another branch gives"),
        ('return pair(f"{same(1)}")', "used with format inside the pipeline"),
        ("return pair(str(same(1)))", "used with str inside the pipeline"),
        ("return pair(same(1) % 2)", "used with mod inside the pipeline"),
        ("return pair(same(1)())", "used with call inside the pipeline"),
        ("return pair(Holder(same(1)))", "the argument 'a' of pair.held is the result of a step inside an object"),
        ("return pair({1: same(1)})", "is a dict whose keys are no texts"),
        ("return pair.map(over=[], a=[1])", "is mapped over nothing"),
        ("return any_of.map(over='z', z=[1])", "mapped over 'z', which is no parameter of its own"),
        ("return any_of.map(over='items', items=[1])", "mapped over 'items', which is no parameter of its own"),
        ("return step(lambda_)(1)", "stands at the top of no module"),
        ("return wrapped(1)", "stands at the top of no module"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(run: Run, body: str, sentence: str) -> None:
    head = """
def wrap(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)
    return call
wrapped = wrap(step(name="inside")(lambda x: x))
"""
    with pytest.raises(Invalid, match=sentence):
        run(body.replace("lambda_", "local"), head=head + "\ndef local(x):\n    return x\n")


def test_a_step_is_found_under_whatever_name_it_has(run: Run) -> None:
    head = """
from lib import plain
def bare(function):
    def call(*args):
        return function(*args)
    return call
renamed = step(plain)
kept = step(name="kept")(bare(lambda x: x))
"""
    (run.folder / "lib.py").write_text("def plain(x):\n    return x\n")  # type: ignore[attr-defined]
    assert run("return renamed(1), kept(2)", head=head).status == "finished"


def test_a_condition_that_is_no_truth_fails_the_run_and_raises_nothing(run: Run) -> None:
    done = run("return branch(day(), lambda: 1, lambda: 2)")
    assert (done.status, done.error) == ("failed", "A branch hangs on a single value, which is neither true nor false.")


def test_what_was_left_out_cannot_be_returned(run: Run) -> None:
    done = run("kept = []\nbranch(same(0), lambda: kept.append(same(7)), lambda: same(8))\nreturn kept[0]")
    assert done.error == "The pipeline returns what hangs on a branch that was not taken."


def test_damaged_items_of_a_map_are_made_again(run: Run) -> None:
    assert (
        run("return same.map(over='x', x=many())[:0] if 0 else pair(many()), same.map(over='x', x=many())").status
        == "finished"
    )
    for path in (run.folder.parent / "home" / "blobs").rglob("*"):  # type: ignore[attr-defined]
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    again = run("return same.map(over='x', x=many())")
    assert again.status == "finished"
    assert outcome(again)["many"] == "ran"


def test_annotations_that_cannot_be_evaluated_tell_nothing(run: Run) -> None:
    assert (
        run("return odd(1)", head='@step\ndef odd(x: "no such ( thing") -> "1 / 0":\n    return x').status == "finished"
    )


def test_a_pipeline_takes_parameters_by_position_too(run: Run) -> None:
    assert run("return same(a)", signature="a=1, /, *, b: int = 2", params={"a": 3}).status == "finished"
    with pytest.raises(Invalid, match=r"takes \*args"):
        run("return same(1)", signature="*args")


def test_two_pipelines_of_one_name_are_refused(run: Run) -> None:
    with pytest.raises(Invalid, match="has 2 pipelines named 'p'"):
        run("return same(1)", head='@pipeline(name="p")\ndef other():\n    return same(2)')


@pytest.mark.parametrize("value", [{1: 2, "a": 3}, "\udcff", 2**70, b"a", {1}, float])
def test_parameters_that_cannot_be_written_down_are_refused(run: Run, value: Any) -> None:
    with pytest.raises(Invalid, match="cannot be"):
        run("return same(a)", signature="a", params={"a": value})


def test_a_file_named_as_a_module_that_is_loaded_is_refused(run: Run) -> None:
    (run.folder / "json.py").write_text("from loopline import pipeline\n@pipeline\ndef p():\n    return 1\n")  # type: ignore[attr-defined]
    with pytest.raises(Invalid, match=r"json.py has the name of a module that is loaded already"):
        run.loopline.pipelines.run(run.folder, "p", actor="ann", file="json.py", executor="inline")  # type: ignore[attr-defined]


def test_dates_of_a_parameter_file_become_texts(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("day: 2020-01-02\nrate: 0.5\n")
    assert from_yaml(tmp_path / "params.yaml") == {"day": "2020-01-02", "rate": 0.5}


def test_an_edit_that_keeps_size_and_second_is_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    digests = [run(f"return value({n})", head=f"@step\ndef value(x):\n    return {n}").outputs for n in range(4)]
    assert len(set(digests)) == 4


def test_a_run_again_has_the_data_and_the_seed_that_it_had(run: Run) -> None:
    run("return same(1)")
    pipelines = run.loopline.pipelines  # type: ignore[attr-defined]
    first = pipelines.run(
        run.folder,
        "p",
        actor="ann",
        executor="inline",
        environment="prod",
        bindings={"a": "b"},
        seed=7,  # type: ignore[attr-defined]
    )
    with pytest.raises(Conflict, match="had the data and secrets of prod"):
        pipelines.again(first.run_id, actor="ann")
    asked: list[tuple[str, str, str]] = []

    def declared(*named: str) -> dict[str, Any]:
        asked.append(named)  # type: ignore[arg-type]
        return {"environment": "prod", "bindings": {}, "variables": {}, "params": {}}

    again = pipelines.again(first.run_id, actor="ann", declared=declared)
    assert asked == [(str(run.folder), "p", "prod")]  # type: ignore[attr-defined]
    assert (again.environment, again.count("hit")) == ("prod", 1)


def test_runs_at_once_make_an_old_result_anew_once(run: Run) -> None:
    head = """
@step(max_age=0.3)
def aged():
    with open("calls", "a") as file:
        file.write("x")
    import time
    time.sleep(0.4)
    return 1
"""
    run("return aged()", head=head)
    time.sleep(0.35)
    pipelines, folder = run.loopline.pipelines, run.folder  # type: ignore[attr-defined]
    both = [threading.Thread(target=lambda: pipelines.run(folder, "p", actor="ann")) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert (folder / "calls").read_text() == "xx"


def test_what_ran_when_its_process_died_counts_as_cancelled() -> None:
    step = StepRun(position=0, step="a", label="a", key="k", status="running")
    run = PipelineRun(
        run_id="r", pipeline="p", project="p", status="killed", started_at="2026-01-01T00:00:00.000Z", seconds=None,
        steps=(step,), error="Its process ended before it did.", counts={"running": 1, "hit": 2},
    )  # fmt: skip
    shown = ended(run, "2026-01-01T00:00:03.000Z")
    assert (shown.steps[0].status, shown.steps[0].error) == ("cancelled", "Its process ended before it did.")
    assert (shown.counts, shown.seconds) == ({"hit": 2, "cancelled": 1}, 3.0)


def test_trials_of_a_search_that_failed_are_kept(run: Run) -> None:
    head = "@step\ndef loss(a):\n    if a == 2:\n        raise ValueError('two')\n    return 'no number'"
    done = run("return loss.search(space={'a': [1, 2]}, trials=2, sampler='grid')", head=head)
    assert "A trial gave no number" in done.error
    runs = run.loopline.tracking.search().runs  # type: ignore[attr-defined]
    assert sorted(one.status for one in runs if one.kind == "trial") == ["failed", "finished"]


def test_a_run_that_waits_for_another_is_seen_and_cancelled(run: Run) -> None:
    head = "@step\ndef nap(x):\n    import time\n    time.sleep(x)\n    return x"
    run("return nap(x)", head=head, signature="x=0.0")
    pipelines, folder = run.loopline.pipelines, run.folder  # type: ignore[attr-defined]
    done: list[PipelineRun] = []
    both = [
        threading.Thread(target=lambda: done.append(pipelines.run(folder, "p", {"x": 1.5}, actor="ann"))) for _ in "ab"
    ]
    for one in both:
        one.start()
    until = time.monotonic() + 10
    while len(going := [one for one in pipelines.runs() if one.status == "running"]) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    for one in going:
        pipelines.cancel(one.run_id, "bob")
    for thread in both:
        thread.join()
    assert [one.error for one in done] == ["Cancelled by bob.", "Cancelled by bob."]


def test_code_that_changes_while_the_run_goes_on_is_not_taken_for_the_older_one(run: Run) -> None:
    head = """
import os
V = 1
@step
def edit(n):
    with open("pipeline.py") as file:
        text = file.read()
    with open("pipeline.py", "w") as file:
        file.write(text.replace("V = 1" + chr(10), "V = 2" + chr(10)))
    os._exit(1)
@step
def rest(x):
    import time
    time.sleep(0.7)
    return x
@step
def late(x):
    return x + V
"""
    run("return same(1)", head=head)
    code = (run.folder / "pipeline.py").read_text()  # type: ignore[attr-defined]
    body = "edits = [edit(n) for n in range(3)]\n    return late(rest(1))"
    (run.folder / "pipeline.py").write_text(code.replace("return same(1)", body))  # type: ignore[attr-defined]
    done = run.loopline.pipelines.run(run.folder, "p", actor="ann")  # type: ignore[attr-defined]
    late = next(step for step in done.steps if step.step == "late")
    assert late.status == "skipped" or "was changed while the run went on" in late.error
