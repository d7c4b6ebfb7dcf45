"""Pipelines run: what is known is taken, what is not is run, and the rest is told honestly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.usecases.pipelines.model import PipelineRun

pytestmark = pytest.mark.integration


def statuses(run: PipelineRun) -> dict[str, str]:
    return {step.label: step.status for step in run.steps}


def test_the_second_run_computes_nothing(project: Any) -> None:
    first, second = project.run("training"), project.run("training")
    assert (first.status, second.status) == ("finished", "finished")
    assert project.ran() == ["make", "halve", "train", "judge"]
    assert set(statuses(second).values()) == {"hit"}
    assert {step.made_by for step in second.steps} == {first.run_id}
    assert (second.model, second.version) == (first.model, first.version) == ("late", 1)


def test_worker_processes_give_the_same_digests_as_this_process(project: Any) -> None:
    here = project.run("training")
    project.edit("helpers.py", "import os", "import os\n\nHERE = 1")
    project.edit("helpers.py", "    with open", "    HERE\n    with open")
    there = project.run("training", executor="processes")
    assert set(statuses(there).values()) == {"ran"}
    assert there.outputs == here.outputs


def test_a_param_runs_anew_only_what_it_reaches(project: Any) -> None:
    project.run("training")
    project.ran()
    project.run("training", c="0.5")
    assert project.ran() == ["train", "judge"]


def test_an_edit_runs_anew_only_what_it_reaches(project: Any) -> None:
    project.run("training")
    project.ran()
    project.edit("pipeline.py", "frame.iloc[1::2]", "frame.iloc[3::2]")
    run = project.run("training")
    assert project.ran() == ["halve", "judge"]
    assert statuses(run) == {"make": "hit", "halve": "ran", "train": "hit", "judge": "ran"}


def test_a_comment_runs_nothing(project: Any) -> None:
    project.run("training")
    project.ran()
    project.edit("pipeline.py", "@step\ndef halve", "# halves\n@step\ndef halve")
    assert set(statuses(project.run("training")).values()) == {"hit"}
    assert project.ran() == []


def test_steps_share_results_across_pipelines_of_an_installation(project: Any) -> None:
    project.run("training", rows="30")
    project.ran()
    project.run("short", rows=30)
    assert project.ran() == ["train"]


def test_several_results_lists_and_maps_are_handed_on(project: Any) -> None:
    assert project.run("joining").status == "finished"
    assert statuses(project.run("joining")) == {"make": "hit", "halve": "hit", "make#2": "hit", "total": "hit"}


def test_a_failing_step_fails_the_run_alone(project: Any) -> None:
    run = project.run("failing")
    assert run.status == "failed"
    assert statuses(run) == {"make": "ran", "fail": "failed", "after": "skipped", "halve": "ran"}
    assert run.error == "The step fail failed: ValueError: 10 rows are too few"
    log = project.loopline.pipelines.log(run.run_id, "fail")
    assert "about to fail" in log
    assert 'raise ValueError(f"{len(frame)} rows are too few")' in log
    assert project.loopline.tracking.get(run.run_id).status == "failed"


def test_a_failure_is_not_remembered_as_a_result(project: Any) -> None:
    project.run("failing")
    project.ran()
    project.run("failing")
    assert project.ran() == ["fail"]


def test_a_step_that_is_not_cached_always_runs(project: Any) -> None:
    project.run("ever")
    assert statuses(project.run("ever")) == {"always": "ran", "after": "hit"}
    assert project.ran() == ["always", "always"]


def test_a_log_is_kept_also_for_hits(project: Any) -> None:
    project.run("training", executor="processes")
    again = project.run("training")
    assert project.loopline.pipelines.log(again.run_id, "make") == "made 50\n"


def test_datasets_are_resolved_to_their_latest_snapshot(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = Datasets()
    monkeypatch.setattr(project.loopline.pipelines, "_datasets", datasets)
    run = project.run("counting")
    assert project.ran() == ["count", "columns"]
    links = project.loopline.tracking.get(run.run_id).links
    assert [(one.direction, one.name, one.digest) for one in links if one.direction == "input"] == [
        ("input", "flights", "1" * 64)
    ]
    project.run("counting")
    assert project.ran() == []
    datasets.digest = "2" * 64
    again = project.run("counting")
    assert project.ran() == ["count", "columns"]
    why = project.loopline.pipelines.why(again.run_id, "count")
    assert why.sentence == "Ran: the input flights (from dataset flights) changed."


class Datasets:
    """One dataset whose snapshot changes when it is told to."""

    name = "flights"
    digest = "1" * 64

    def latest(self, name: str) -> Datasets:
        if name != self.name:
            raise NotFound(f"There is no dataset {name!r}.")
        return self

    def table(self, digest: str) -> pa.Table:
        return pa.table({"carrier": ["UA"] * int(digest[0])})


def test_the_model_is_registered_once_with_its_lineage(project: Any) -> None:
    run = project.run("short")
    assert (run.model, run.version) == ("named", 1)
    version = project.loopline.registry.version("named", 1)
    assert version.run_id == run.run_id
    assert [column.name for column in version.signature.inputs] == ["x", "y"]
    assert version.metrics == {"auc": 0.5}
    assert version.metadata["pipeline"] == "short"
    assert project.loopline.registry.evaluation("named", 1).column_names == ["x", "y", "late"]
    assert project.run("short").version == 1
    assert project.run("short", rows=30).version == 2


def test_a_pipeline_run_is_a_tracking_run(project: Any) -> None:
    run = project.run("training", c=2)
    kept = project.loopline.tracking.get(run.run_id)
    assert (kept.kind, kept.status, kept.experiment, kept.created_by) == ("pipeline", "finished", "late", "ann")
    assert kept.params == {"rows": "50", "c": "2.0"}
    assert kept.metrics.keys() == {"auc", "judge.mean"}
    assert kept.surroundings["python"]
    assert [one.kind for one in kept.links] == ["model", "model"]
    facts = [fact.kind for fact in project.loopline.ledger.about(run.run_id)]
    assert facts == ["run.started", "run.finished"]


def test_a_damaged_result_is_made_again_when_it_is_needed(project: Any) -> None:
    project.run("training", rows=2000)
    damage(project.loopline.home)
    project.ran()
    run = project.run("training", rows=2000, c=3)
    assert run.status == "finished"
    assert project.ran() == ["make", "halve", "train", "judge"]
    assert statuses(project.run("training", rows=2000, c=3)) == dict.fromkeys(
        ("make", "halve", "train", "judge"), "hit"
    )
    assert project.run("training", rows=2000, c=4).status == "finished"


def damage(home: Path) -> None:
    """Change a byte in every large blob."""
    for path in (home / "blobs").glob("*/*"):
        if path.stat().st_size > 4096:
            path.chmod(0o644)
            content = bytearray(path.read_bytes())
            content[-100] ^= 1
            path.write_bytes(content)


def test_a_result_whose_blobs_are_gone_is_a_miss(project: Any) -> None:
    project.run("training", rows=2000)
    for path in (project.loopline.home / "blobs").glob("*/*"):
        path.unlink()
    run = project.run("training", rows=2000)
    assert statuses(run) == {"make": "ran", "halve": "ran", "train": "ran", "judge": "hit"}  # a number lives in its row


def test_a_damaged_model_is_made_again_also_when_all_else_is_known(project: Any) -> None:
    first = project.run("training", rows=2000)
    damage(project.loopline.home)
    again = project.run("training", rows=2000)
    assert (again.status, again.outputs, again.version) == ("finished", first.outputs, 1)
    assert project.loopline.registry.load("late", 1) is not None


@pytest.mark.parametrize(
    ("pipeline", "params", "words"),
    [
        ("nothing", {}, "no pipeline 'nothing'"),
        ("training", {"rows": "many"}, "'rows'"),
        ("training", {"depth": 1}, "no parameter 'depth'"),
        ("peeking", {}, "'make' is used with len"),
        ("counting", {}, "flights"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(project: Any, pipeline: str, params: Any, words: str) -> None:
    with pytest.raises(LooplineError) as refused:
        project.run(pipeline, **params)
    assert words in refused.value.message
    assert refused.value.hint
    assert project.ran() == []
    assert project.loopline.pipelines.runs() == []


def test_a_result_that_cannot_be_stored_fails_its_step_with_the_way_out(project: Any) -> None:
    run = project.run("strange")
    assert run.status == "failed"
    assert "the result of odd is of the type builtins.object" in run.error
    assert "Return a frame" in run.error


def test_code_that_cannot_be_imported_is_refused_with_its_place(project: Any) -> None:
    project.edit("helpers.py", "import os", "import os\n1 / 0")
    with pytest.raises(Invalid, match=r"ZeroDivisionError: division by zero \(helpers.py, line 3\)"):
        project.run("training")
    project.edit("helpers.py", "1 / 0", "def (")
    with pytest.raises(Invalid, match=r"SyntaxError.*line 3"):
        project.run("training", executor="processes")


def test_a_folder_that_is_no_project_is_refused(project: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        project.loopline.pipelines.run(tmp_path / "nowhere", "training", actor="ann")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"no pipeline.py"):
        project.loopline.pipelines.run(tmp_path / "empty", "training", actor="ann", executor="inline")


def test_why_names_what_changed(project: Any) -> None:
    def why(step: str, run: PipelineRun) -> str:
        found: str = project.loopline.pipelines.why(run.run_id, step).sentence
        return found

    first = project.run("training")
    assert why("train", first) == "Ran: train was never run before."
    second = project.run("training", c=2)
    assert why("train", second) == "Ran: the parameter c went from 1.0 to 2.0."
    assert why("make", second).startswith("Hit: nothing that make depends on changed since run " + first.run_id[:8])
    project.edit("pipeline.py", "frame.iloc[1::2]", "frame.iloc[3::2]")
    third = project.run("training", c=2)
    assert why("halve", third) == "Ran: the function halve in pipeline.py changed."
    assert why("judge", third) == "Ran: the input frame (from halve) changed."
    with pytest.raises(NotFound, match="no step 'bake'"):
        project.loopline.pipelines.why(third.run_id, "bake")


def test_the_cache_tells_what_it_saved(project: Any) -> None:
    project.run("training")
    project.run("training")
    stats = project.loopline.pipelines.cache_stats()
    assert (stats.results, stats.hits, stats.runs) == (4, 4, 4)
    assert stats.seconds_saved > 0


def test_results_of_another_installation_are_taken_over(project: Any, tmp_path: Path) -> None:
    from loopline.testing.factories import installation

    project.run("training", rows=2000)
    project.ran()
    with installation(tmp_path / "other") as other:
        old = project.loopline
        done = other.pipelines.cache_import(old.get("blobs"), old.get("database"))
        assert (done.taken, done.known, done.damaged) == (4, 0, 0)
        run = other.pipelines.run(project.folder, "training", {"rows": 2000}, actor="ann", executor="inline")
        assert (set(statuses(run).values()), run.version) == ({"hit"}, 1)
        assert other.registry.version("late", 1).run_id == run.run_id
        assert other.pipelines.cache_import(old.get("blobs"), old.get("database")).known == 4
    assert project.ran() == []


def test_damaged_results_are_not_taken_over(project: Any, tmp_path: Path) -> None:
    from loopline.testing.factories import installation

    project.run("training", rows=2000)
    damage(project.loopline.home)
    with installation(tmp_path / "other") as other:
        done = other.pipelines.cache_import(project.loopline.get("blobs"), project.loopline.get("database"))
    assert done.taken == 1
    assert done.damaged == 3


def test_steps_and_pipelines_are_plain_functions() -> None:
    from loopline import pipeline, step

    @step
    def double(number: int) -> int:
        """Twice."""
        return 2 * number

    @pipeline
    def training(number: int = 3) -> int:
        return double(double(number))

    assert (double(4), training(), training(number=1)) == (8, 12, 4)
    assert (double.__name__, double.__doc__, double.name) == ("double", "Twice.", "double")
    with pytest.raises(Invalid, match="plain function"):
        step(3)  # type: ignore[call-overload]


def test_the_code_of_a_step_can_be_read_as_it_was(project: Any) -> None:
    run = project.run("training")
    project.edit("helpers.py", "import os", "import os  # changed later")
    code = project.loopline.pipelines.code(run.run_id, "train")
    assert {(piece.kind, piece.name, piece.file) for piece in code.pieces} == {
        ("function", "train", "pipeline.py"),
        ("function", "noted", "helpers.py"),
        ("name", "noted", "pipeline.py"),
        ("name", "pd", "pipeline.py"),
        ("value", "train default 1", "pipeline.py"),
    }
    assert code.distributions.keys() == {"pandas", "scikit-learn"}
    assert "changed later" not in project.loopline.pipelines.source(run.run_id, "helpers.py")
    with pytest.raises(NotFound, match=r"'../x' is not part of the code"):
        project.loopline.pipelines.source(run.run_id, "../x")


def test_runs_are_listed_with_their_steps_counted(project: Any) -> None:
    project.run("training")
    project.run("training", c=2)
    newest, oldest = project.loopline.pipelines.runs()
    assert (newest.counts, oldest.counts) == ({"hit": 2, "ran": 2}, {"ran": 4})
    assert project.loopline.pipelines.get(newest.run_id).counts == newest.counts


def test_a_step_may_have_another_name_than_its_function(project: Any) -> None:
    code = """

def _plain(number: int) -> int:
    return number + 1


shown = step(name="shown-to-all")(_plain)


@pipeline
def renamed() -> int:
    return shown(1)
"""
    (project.folder / "pipeline.py").write_text((project.folder / "pipeline.py").read_text() + code)
    assert statuses(project.run("renamed")) == {"shown-to-all": "ran"}


def test_steps_may_live_in_other_modules_and_packages(project: Any) -> None:
    (project.folder / "flows").mkdir()
    (project.folder / "flows" / "steps.py").write_text(
        "from loopline import step\n\n\n@step\ndef deep() -> int:\n    return 1\n"
    )
    (project.folder / "flows" / "main.py").write_text(
        "from flows.steps import deep\nfrom loopline import pipeline\n\n\n@pipeline\ndef far() -> int:\n    return deep()\n"
    )
    done = project.loopline.pipelines.run(project.folder, "far", actor="ann", file="flows/main.py")
    assert (done.status, statuses(done)) == ("finished", {"deep": "ran"})
