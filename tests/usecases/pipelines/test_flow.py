"""Maps, branches, sub-pipelines, searches, and what `@step` may be told."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.testing.factories import installation
from loopline.usecases.pipelines.model import PipelineRun, Progress
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration

CODE = """
import os
import random
import time
from pathlib import Path

import pyarrow as pa

from loopline import File, Model, branch, pipeline, step

HERE = Path(__file__).parent


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
def double(x: int, by: int = 2) -> int:
    if x == 13:
        raise ValueError("thirteen")
    return x * by


@step
def total(xs: list[int]) -> int:
    return sum(xs)


@step
def large(t: int) -> bool:
    return t > 10


@step
def shout(t: int) -> str:
    return f"LARGE {t}"


@step
def whisper(t: int) -> str:
    return f"small {t}"


@step
def louder(text: str) -> str:
    return text + "!"


@pipeline
def summed(n: int = 4) -> int:
    return total(double.map(over="x", x=numbers(n), by=3))


@pipeline
def deciding(n: int = 4) -> str:
    t = summed(n)
    return louder(branch(large(t), lambda: shout(t), lambda: whisper(t)))


@pipeline
def some(n: int = 4) -> int | None:
    t = summed(n)
    return branch(large(t), lambda: total([t, t]))


@step
def table(rows: int) -> pa.Table:
    return pa.table({"x": list(range(rows))})


@step
def rows_of(table: pa.Table, plus: int) -> int:
    return table.num_rows + plus


@step
def tables(n: int) -> dict:
    return {f"t{k}": pa.table({"x": list(range(k))}) for k in range(n)}


@pipeline
def zipped() -> dict[str, int]:
    return rows_of.map(over=["table", "plus"], table=tables(3), plus=[10, 20, 30])


@pipeline
def uneven() -> list[int]:
    return rows_of.map(over=["table", "plus"], table=tables(3), plus=[1])


@step
def score(depth: int, rate: float, frame: pa.Table) -> dict[str, float]:
    if depth == 5:
        raise RuntimeError("too deep")
    return {"loss": (depth - 3) ** 2 + rate + frame.num_rows * 0}


@pipeline
def tuning(trials: int = 6) -> dict:
    space = {"depth": [2, 3, 4, 5], "rate": (0.0, 1.0)}
    return score.search(space=space, trials=trials, measure="loss", sampler="random", width=2, frame=table(3))


@step(retries=2, backoff=0.01)
def flaky(x: int) -> int:
    count = HERE / "flaky.count"
    made = int(count.read_text()) if count.exists() else 0
    count.write_text(str(made + 1))
    print("attempt", made + 1)
    if made + 1 < x:
        raise OSError("not yet")
    return made + 1


@pipeline
def trying(x: int = 3) -> int:
    return flaky(x)


@step(volatile=["threads"])
def counted(x: int, threads: int = 1) -> int:
    return x + 1


@pipeline
def volatile(threads: int = 1) -> int:
    return counted(1, threads=threads)


@step(max_age="1h")
def aged() -> float:
    return time.time()


@pipeline
def ageing() -> float:
    return aged()


@step(uses=[File("reference.csv")])
def lines() -> int:
    return len((HERE / "reference.csv").read_text().splitlines())


@pipeline
def reading() -> int:
    return lines()


@step
def drawn() -> list[float]:
    import numpy as np

    return [random.random(), float(np.random.rand())]


@step(seed=7)
def fixed() -> float:
    return random.random()


@pipeline
def random_ones() -> tuple:
    return drawn(), fixed()


@step(environment={"LEVEL": "9"})
def variables() -> list[str]:
    print("the key is", os.environ.get("SECRET_KEY", ""))
    return [os.environ["LEVEL"], "set" if "SECRET_KEY" in os.environ else "unset"]


@pipeline
def environed() -> list[str]:
    return variables()


@step
def slowly(seconds: float, mark: str = "a") -> str:
    (HERE / f"began.{mark}").write_text("")
    (HERE / "began").open("a").write(mark)
    for n in range(int(seconds * 20)):
        print("beat", n, flush=True)
        time.sleep(0.05)
    return mark


@pipeline
def waiting(seconds: float = 20.0) -> str:
    return louder(slowly(seconds))


@step
def loud(beats: int) -> int:
    print("x" * 99 + "\\n" + ("y" * 99 + "\\n") * 15_000, flush=True)
    for n in range(beats):
        time.sleep(0.1)
        print("late mark", n, flush=True)
    return beats


@pipeline
def shouting(beats: int = 8) -> int:
    return loud(beats)


@pipeline
def twice(seconds: float = 0.3) -> tuple:
    return slowly(seconds), slowly(seconds), slowly.map(over="mark", seconds=seconds, mark=["a", "b", "b"])


@pipeline
def thirteens() -> list[int]:
    return double.map(over="x", x=[13, 13, 1])


@step
def packaged() -> str:
    import fancypack

    return fancypack.__name__


@pipeline
def packaging() -> str:
    return packaged()


@pipeline
def wrong() -> int:
    return total(shout(1))


@pipeline
def wrong_items() -> list[int]:
    return double.map(over="x", x=["a", "b"])


@pipeline
def wrong_map(n: int = 1) -> list[int]:
    return double.map(over="x", x=total([n]))


@pipeline
def circle(n: int = 1) -> int:
    return around(n)


@pipeline
def around(n: int = 1) -> int:
    return circle(n)


@pipeline(registers="nothing")
def promising() -> int:
    return total([1])
"""


class Flow:
    """A project and an installation; `run` answers the run and collects what was told."""

    def __init__(self, folder: Path, loopline: Loopline) -> None:
        self.folder = folder
        self.loopline = loopline
        self.told: list[Progress] = []

    def run(self, pipeline: str, params: dict[str, Any] | None = None, **options: Any) -> PipelineRun:
        options = {"executor": "inline", "actor": "ann", "progress": self.told.append, **options}
        done: PipelineRun = self.loopline.pipelines.run(self.folder, pipeline, params, **options)
        return done


def statuses(run: PipelineRun) -> dict[str, str]:
    return {step.label: step.status for step in run.steps}


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    folder = tmp_path / "flow"
    folder.mkdir()
    (folder / "pipeline.py").write_text(CODE)
    (folder / "reference.csv").write_text("a\nb\n")
    with installation(tmp_path / "home") as loopline:
        yield Flow(folder, loopline)
    forget({str(folder)})


def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def test_a_map_calls_the_step_for_each_item_and_each_has_its_own_key(flow: Flow) -> None:
    first = flow.run("summed", {"n": 3})
    assert statuses(first) == {
        "numbers": "ran", "double": "ran", "total": "ran", "double[0]": "ran", "double[1]": "ran", "double[2]": "ran",
    }  # fmt: skip
    more = flow.run("summed", {"n": 4})
    assert [label for label, status in statuses(more).items() if status == "hit"] == [
        "double[0]",
        "double[1]",
        "double[2]",
    ]
    assert {step.part_of for step in more.steps} == {"", "double"}


def test_an_empty_map_gives_an_empty_list(flow: Flow) -> None:
    run = flow.run("summed", {"n": 0})
    assert run.status == "finished"
    assert statuses(run)["double"] == "hit"


def test_a_map_goes_through_several_lists_together_and_keeps_a_dicts_keys(flow: Flow) -> None:
    run = flow.run("zipped")
    assert run.status == "finished"
    assert [step.label for step in run.steps if step.part_of] == ["rows_of[t0]", "rows_of[t1]", "rows_of[t2]"]


def test_lists_of_different_lengths_fail_the_map_in_one_sentence(flow: Flow) -> None:
    run = flow.run("uneven")
    assert "lists of different lengths: table has 3, plus has 1" in run.error


def test_one_failed_call_fails_the_map_and_the_others_are_kept(flow: Flow) -> None:
    run = flow.run("summed", {"n": 14})
    assert run.status == "failed"
    assert "1 of its 14 calls failed; double[13]: ValueError: thirteen" in run.error
    assert statuses(run)["total"] == "skipped"
    assert flow.run("summed", {"n": 13}).count("ran") == 2  # numbers and total: no call


def test_a_branch_runs_one_way_only(flow: Flow) -> None:
    large, small = flow.run("deciding", {"n": 4}), flow.run("deciding", {"n": 2})
    assert (statuses(large)["shout"], statuses(large)["whisper"]) == ("ran", "skipped")
    assert (statuses(small)["shout"], statuses(small)["whisper"]) == ("skipped", "ran")
    assert {run.status for run in (large, small)} == {"finished"}


def test_a_branch_without_another_way_gives_none(flow: Flow) -> None:
    assert flow.run("some", {"n": 2}).status == "finished"
    assert statuses(flow.run("some", {"n": 9}))["total"] == "ran"


def test_a_pipeline_inside_another_is_traced_under_its_name(flow: Flow) -> None:
    labels = set(statuses(flow.run("deciding")))
    assert {"summed.numbers", "summed.double", "summed.double[0]", "summed.total", "large", "louder"} <= labels


def test_plain_calls_give_what_runs_give(flow: Flow) -> None:
    import importlib
    import sys

    flow.run("deciding")
    sys.path.insert(0, str(flow.folder))
    try:
        module = importlib.import_module("pipeline")
        assert module.deciding(4) == "LARGE 18!"
        assert module.some(1) is None
        assert module.zipped() == {"t0": 10, "t1": 21, "t2": 32}
        assert module.tuning(4)["value"] >= 0
    finally:
        sys.path.remove(str(flow.folder))


def test_the_whole_run_is_taken_over_when_nothing_changed(flow: Flow) -> None:
    first = flow.run("deciding")
    again = flow.run("deciding")
    assert again.count("ran") == 0
    assert again.outputs == first.outputs
    kept = flow.loopline.pipelines.get(again.run_id)
    assert statuses(kept) == statuses(again)
    assert kept.counts == {"hit": 10, "skipped": 1}
    assert next(one for one in flow.loopline.pipelines.runs() if one.run_id == again.run_id).counts == kept.counts
    assert {step.made_by for step in kept.steps if step.status == "hit"} == {first.run_id}


def test_a_search_tries_points_and_each_trial_is_a_run(flow: Flow) -> None:
    run = flow.run("tuning")
    trials = [one for one in flow.loopline.tracking.search().runs if one.kind == "trial"]
    assert run.error == ""
    assert len(trials) == 6
    assert {one.tags["parent"] for one in trials} == {run.run_id}
    assert all(set(one.params) == {"depth", "rate"} for one in trials)
    failed = [one for one in trials if one.params["depth"] == "5"]
    assert all(one.status == "failed" for one in failed)
    more = flow.run("tuning", {"trials": 8})
    assert sum(step.part_of == "score" and step.status == "hit" for step in more.steps) == 6 - len(failed)
    again = [one for one in flow.loopline.tracking.search().runs if one.kind == "trial"]
    assert len(again) == 8 + len(failed)


def test_a_failed_step_is_tried_again_as_often_as_it_says(flow: Flow) -> None:
    run = flow.run("trying", {"x": 3})
    step = run.steps[0]
    assert (step.status, step.attempts) == ("ran", 3)
    log = flow.loopline.pipelines.log(run.run_id, "flaky")
    assert "attempt 1" in log
    assert "[attempt 2 failed: OSError: not yet]" in log
    (flow.folder / "flaky.count").unlink()
    assert flow.run("trying", {"x": 9}).steps[0].attempts == 3


def test_a_volatile_argument_changes_no_key(flow: Flow) -> None:
    flow.run("volatile", {"threads": 1})
    assert flow.run("volatile", {"threads": 8}).count("hit") == 1


def test_an_old_result_is_not_taken(flow: Flow) -> None:
    first = flow.run("ageing")
    assert flow.run("ageing").count("hit") == 1
    long_ago = "UPDATE pipelines_results SET made_at = '2020-01-01T00:00:00.000Z'"
    flow.loopline.database.write(lambda tx: tx.run(long_ago))
    second = flow.run("ageing")
    assert second.count("ran") == 1
    assert second.outputs != first.outputs
    assert flow.run("ageing").outputs == second.outputs


def test_a_file_that_a_step_reads_by_itself_counts(flow: Flow) -> None:
    flow.run("reading")
    assert flow.run("reading").count("hit") == 1
    (flow.folder / "reference.csv").write_text("a\nb\nc\n")
    assert flow.run("reading").count("ran") == 1
    (flow.folder / "reference.csv").unlink()
    with pytest.raises((Invalid, NotFound), match=r"reference\.csv"):
        flow.run("reading")


def test_random_numbers_start_at_the_seed(flow: Flow) -> None:
    first = flow.run("random_ones")
    assert flow.run("random_ones", force=["*"]).outputs == first.outputs
    other = flow.run("random_ones", seed=5)
    assert statuses(other) == {"drawn": "ran", "fixed": "hit"}
    assert other.outputs[0] != first.outputs[0]


def test_secrets_reach_the_step_and_nothing_else(flow: Flow, tmp_path: Path) -> None:
    run = flow.run("environed", executor="processes", variables={"SECRET_KEY": "hunter2hunter2"})
    assert run.status == "finished"
    assert flow.loopline.pipelines.log(run.run_id, "variables") == "the key is ***\n"
    assert flow.run("environed", variables={"SECRET_KEY": "another"}).count("hit") == 1
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2hunter2" in path.read_bytes()]


def test_a_secret_is_refused_as_a_parameter(flow: Flow) -> None:
    with pytest.raises(Invalid, match="'seconds' holds the secret KEY"):
        flow.run("waiting", {"seconds": "postgres://me:hunter2hunter2@db"}, variables={"KEY": "hunter2hunter2"})


def test_the_variables_that_a_step_asks_for_count(flow: Flow) -> None:
    flow.run("environed", executor="processes")
    code = flow.folder / "pipeline.py"
    code.write_text(code.read_text().replace('{"LEVEL": "9"}', '{"LEVEL": "8"}'))
    run = flow.run("environed", executor="processes")
    assert run.count("ran") == 1
    assert "variable LEVEL went from 9 to 8" in flow.loopline.pipelines.why(run.run_id, "variables").sentence


def test_steps_run_anew_when_that_is_asked(flow: Flow) -> None:
    flow.run("deciding")
    assert flow.run("deciding", force=["*"]).count("hit") == 0
    since = flow.run("deciding", since="summed.total")
    ran = {label for label, status in statuses(since).items() if status == "ran"}
    assert ran == {"summed.total", "large", "shout", "louder"}
    with pytest.raises(NotFound, match="has no step 'nowhere'"):
        flow.run("deciding", since="nowhere")


def test_a_run_is_run_again_with_its_parameters(flow: Flow) -> None:
    first = flow.run("summed", {"n": 5})
    again = flow.loopline.pipelines.again(first.run_id, actor="ann", since="double")
    assert again.outputs == first.outputs
    assert statuses(again)["double[3]"] == "ran"
    assert statuses(again)["numbers"] == "hit"


def test_a_running_pipeline_is_seen_heard_and_cancelled(flow: Flow) -> None:
    done: list[PipelineRun] = []
    thread = threading.Thread(target=lambda: done.append(flow.run("waiting", executor="processes")))
    thread.start()
    pipelines = flow.loopline.pipelines
    until(lambda: pipelines.runs() and pipelines.get(pipelines.runs()[0].run_id).steps)
    run_id = pipelines.runs()[0].run_id
    graph = {node.label: node for node in pipelines.graph(run_id).nodes}
    assert (graph["slowly"].status, graph["louder"].status, graph["louder"].needs) == (
        "running",
        "waiting",
        ("slowly",),
    )
    until(lambda: "beat 2" in pipelines.log(run_id, "slowly"))
    pipelines.cancel(run_id, "ben")
    thread.join(10)
    assert statuses(done[0]) == {"slowly": "cancelled", "louder": "skipped"}
    assert (done[0].status, done[0].error) == ("killed", "Cancelled by ben.")
    assert any("beat" in one.log for one in flow.told)
    with pytest.raises(Conflict, match="ended already: killed"):
        pipelines.cancel(run_id, "ben")


def test_a_step_is_heard_also_after_its_first_megabyte(flow: Flow) -> None:
    assert flow.run("shouting", executor="processes").status == "finished"
    heard = [one.log for one in flow.told if "late mark" in one.log]
    assert len(heard) > 1  # as it came, not at the end
    assert "".join(heard).count("late mark") == 8


def test_two_runs_at_once_make_a_result_once(flow: Flow) -> None:
    done: list[PipelineRun] = []
    first = threading.Thread(target=lambda: done.append(flow.run("waiting", {"seconds": 1.5}, executor="processes")))
    first.start()
    until(lambda: (flow.folder / "began").exists())
    with Loopline(flow.loopline.home) as other:
        second = other.pipelines.run(flow.folder, "waiting", {"seconds": 1.5}, actor="ben", executor="inline")
    first.join()
    assert (flow.folder / "began").read_text() == "a"
    assert (done[0].status, statuses(second)["slowly"]) == ("finished", "hit")
    assert second.outputs == done[0].outputs


def test_the_same_call_twice_in_a_pipeline_is_made_once(flow: Flow) -> None:
    run = flow.run("twice", executor="processes")
    assert run.status == "finished"
    assert sorted((flow.folder / "began").read_text()) == ["a", "b"]
    failed = flow.run("thirteens")
    assert [statuses(failed)[f"double[{n}]"] for n in range(3)] == ["failed", "failed", "ran"]


def test_another_version_of_a_package_is_noticed_though_no_file_changed(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "fancypack").mkdir(parents=True)
    (site / "fancypack" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(site))
    for version in ("1.0", "1.1"):
        about = site / f"fancypack-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fancypack\nVersion: {version}\n")
        (about / "RECORD").write_text("fancypack/__init__.py,,\n")
        (about / "top_level.txt").write_text("fancypack\n")
        assert flow.run("packaging").count("ran") == 1
        assert flow.run("packaging").count("hit") == 1
        shutil.rmtree(about)


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        ("wrong", r"'total' takes list\[int\] as 'xs', but what shout gives is str"),
        ("wrong_items", "takes int as 'x', but the items are str"),
        ("wrong_map", "'double' cannot be mapped over 'x', which is no list"),
        ("circle", "'circle' calls itself: circle → around → circle"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(flow: Flow, pipeline: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        flow.run(pipeline)
    assert not flow.loopline.pipelines.runs()


def test_a_pipeline_that_registers_must_return_a_model(flow: Flow) -> None:
    run = flow.run("promising")
    assert (run.status, run.error) == ("failed", "The pipeline registers the model 'nothing', but returned none.")


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("timeout='soon'", "A step's timeout cannot be 'soon'"),
        ("memory='lots'", "A step's memory cannot be 'lots'"),
        ("retries=-1", "A step's retries cannot be '-1'"),
        ("colour='red'", "A step has no option 'colour'"),
        ("volatile=['nothing']", "has no parameter 'nothing' that could be volatile"),
        ("uses=['reference.csv']", "A step's uses cannot be"),
    ],
)
def test_a_wrong_option_is_refused_by_name(flow: Flow, written: str, sentence: str) -> None:
    code = f"from loopline import pipeline, step\n@step({written})\ndef one() -> int:\n    return 1\n@pipeline\ndef ones():\n    return one()\n"
    (flow.folder / "options.py").write_text(code)
    with pytest.raises(Invalid, match=sentence.replace("'", ".")):
        flow.run("ones", file="options.py")
