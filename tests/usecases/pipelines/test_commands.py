"""Steps that are programs: R, the shell, or anything else that reads and writes files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from loopline import command
from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid
from loopline.testing.factories import installation
from loopline.usecases.pipelines.model import PipelineRun
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration

PIPELINE = """
import pandas as pd

from loopline import command, pipeline, step

score = command(
    "score",
    run="Rscript score.R",
    outputs={"scores": "csv", "summary": "json"},
    inputs={"frame": "csv"},
)
bundle = command(
    "bundle",
    run="mkdir -p $LOOPLINE_OUTPUTS/parts/deep && tr a-z A-Z < $LOOPLINE_INPUTS/words.csv > $LOOPLINE_OUTPUTS/parts/deep/words",
    shell=True,
    inputs={"words": "csv"},
    outputs={"parts": "folder"},
)
unbundle = command("unbundle", run=["sh", "count.sh", "parts/deep/words"], outputs={"count": "json"})


@step
def make(rows: int) -> pd.DataFrame:
    print("made")
    return pd.DataFrame({"x": range(rows), "word": ["a", "b"] * (rows // 2)})


@step
def total(scores: pd.DataFrame, summary: dict) -> float:
    return float(scores["score"].sum()) + summary["rows"]


@pipeline
def scoring(rows: int = 6, factor: float = 2.0) -> tuple:
    found = score(frame=make(rows), factor=factor)
    return total(found["scores"], found["summary"]), found["scores"]


@pipeline
def bundling(rows: int = 4) -> int:
    return unbundle(folder=bundle(words=make(rows)))
"""
SCORE = """
library(jsonlite)
frame <- read.csv(file.path(Sys.getenv("LOOPLINE_INPUTS"), "frame.csv"))
params <- fromJSON(Sys.getenv("LOOPLINE_PARAMS"))
cat("scoring", nrow(frame), "rows\\n")
frame$score <- frame$x * params$factor
outputs <- Sys.getenv("LOOPLINE_OUTPUTS")
write.csv(frame, file.path(outputs, "scores.csv"), row.names = FALSE)
write_json(list(rows = nrow(frame)), file.path(outputs, "summary.json"), auto_unbox = TRUE)
"""
COUNT = """
echo counting >&2
wc -l < "$LOOPLINE_INPUTS/folder/deep/words" | tr -d ' ' > "$LOOPLINE_OUTPUTS/count.json"
"""


class Project:
    """A project with programs in it, and its installation."""

    def __init__(self, folder: Path, loopline: Loopline) -> None:
        self.folder = folder
        self.loopline = loopline

    def run(self, pipeline: str, executor: str = "inline", **params: Any) -> PipelineRun:
        return self.loopline.pipelines.run(self.folder, pipeline, params, actor="ann", executor=executor)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "score.R").write_text(SCORE)
    (folder / "count.sh").write_text(COUNT)
    with installation(tmp_path) as loopline:
        yield Project(folder, loopline)
    forget({str(folder)})


def statuses(run: PipelineRun) -> dict[str, str]:
    assert run.status == "finished", run.error
    return {step.label: step.status for step in run.steps}


needs_r = pytest.mark.skipif(
    shutil.which("Rscript") is None, reason="R (Debian: r-base-core, r-cran-jsonlite) is absent"
)


@needs_r
def test_a_step_in_r_is_computed_once_and_again_after_an_edit(project: Project) -> None:
    first = project.run("scoring", executor="processes")
    assert statuses(first) == {"make": "ran", "score": "ran", "total": "ran"}
    assert "scoring 6 rows" in project.loopline.pipelines.log(first.run_id, "score")
    again = project.run("scoring")
    assert set(statuses(again).values()) == {"hit"}
    assert again.outputs == first.outputs
    assert statuses(project.run("scoring", factor=3.0)) == {"make": "hit", "score": "ran", "total": "ran"}
    project.edit("score.R", "frame$x * params$factor", "frame$x * params$factor + 1")
    edited = project.run("scoring")
    assert statuses(edited) == {"make": "hit", "score": "ran", "total": "ran"}
    assert edited.outputs != first.outputs
    why = project.loopline.pipelines.why(edited.run_id, "score")
    assert "score.R" in why.sentence


@needs_r
def test_the_example_of_the_documentation_runs(project: Project) -> None:
    page = (Path(__file__).parents[3] / "docs" / "pipelines-executors.md").read_text()
    blocks = dict(re.findall(r"^```(r|python)\n(.*?)^```", page, re.M | re.S))
    (project.folder / "score.R").write_text(blocks["r"])
    (project.folder / "pipeline.py").write_text(blocks["python"])
    assert statuses(project.run("scoring")) == {"make": "ran", "score": "ran", "total": "ran"}


@needs_r
def test_a_script_in_r_that_fails_tells_its_error(project: Project) -> None:
    project.edit("score.R", 'cat("scoring"', 'stop("too few rows"); cat("scoring"')
    run = project.run("scoring")
    assert run.status == "failed"
    assert "The command score ended with exit code 1: Error: too few rows." in run.error


def test_folders_go_from_one_program_to_the_next(project: Project) -> None:
    first = project.run("bundling")
    assert statuses(first) == {"make": "ran", "bundle": "ran", "unbundle": "ran"}
    assert "counting" in project.loopline.pipelines.log(first.run_id, "unbundle")
    assert set(statuses(project.run("bundling")).values()) == {"hit"}
    project.edit("count.sh", "echo counting", "echo counting again")
    assert statuses(project.run("bundling")) == {"make": "hit", "bundle": "hit", "unbundle": "ran"}
    project.edit("pipeline.py", "tr a-z A-Z", "tr a-z B-ZA")
    assert statuses(project.run("bundling"))["bundle"] == "ran"


def test_a_program_that_takes_too_long_is_ended_with_all_it_started(project: Project) -> None:
    (project.folder / "pipeline.py").write_text(
        "from loopline import command, pipeline\n\n"
        'slow = command("slow", run="sleep 98.7 & echo began; sleep 98.7", shell=True, outputs={"x": "json"}, timeout="1s")\n\n\n'
        "@pipeline\ndef waiting() -> int:\n    return slow()\n"
    )
    run = project.run("waiting", executor="processes")
    assert "The step slow was ended after 1 second, its limit." in run.error
    assert "began" in project.loopline.pipelines.log(run.run_id, "slow")
    assert not any("98.7" in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))


def test_inside_another_step_a_program_is_refused(project: Project) -> None:
    (project.folder / "pipeline.py").write_text(
        (project.folder / "pipeline.py").read_text().split("@pipeline")[0]
        + "@step\ndef inner() -> dict:\n    return unbundle(folder=3)\n\n\n"
        + "@pipeline\ndef nested() -> dict:\n    return inner()\n"
    )
    assert "'unbundle' is called inside another step" in project.run("nested").error


def shell(run: str, **outputs: str) -> Any:
    return command("told", run=run, shell=True, outputs=outputs)


def test_called_outside_of_a_pipeline_it_runs_the_program() -> None:
    copied = command(
        "copied",
        run='cp "$LOOPLINE_INPUTS/frame.parquet" "$LOOPLINE_OUTPUTS/same.parquet"; cp "$LOOPLINE_PARAMS" "$LOOPLINE_OUTPUTS/told.json"',
        shell=True,
        outputs={"same": "parquet", "told": "json"},
    )
    table = pa.table({"x": [1, None], "when": pa.array([0, 1], pa.timestamp("us", "UTC"))})
    found = copied(frame=table, limit=3, title="ä", flag=None)
    assert found["same"] == table
    assert found["told"] == {"limit": 3, "title": "ä", "flag": None}


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet", "json"])
def test_tables_go_in_and_out_in_every_format(form: str) -> None:
    same = command(
        "same",
        run=f"cp $LOOPLINE_INPUTS/frame.{form} $LOOPLINE_OUTPUTS/out.{form}",
        shell=True,
        inputs={"frame": form},
        outputs={"out": form},
    )
    table = pa.table({"x": [1, 2], "y": ["a", "b"]})
    assert same(frame=table) == (table.to_pylist() if form == "json" else table)


def test_any_file_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello")
    drawn = command(
        "drawn",
        run='cat "$LOOPLINE_INPUTS/text.txt" > "$LOOPLINE_OUTPUTS/plot.png"',
        shell=True,
        outputs={"plot": ".png"},
    )
    assert drawn(text=tmp_path / "in.txt").read_text() == "hello"


def test_a_program_that_fails_says_its_last_complaint(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Invalid) as failed:
        shell("echo first >&2; echo 'no such column: x.' >&2; exit 3", out="json")()
    assert failed.value.message == "The command told ended with exit code 3: no such column: x."
    assert "first" in capfd.readouterr().err


def test_a_missing_output_is_named_beside_what_is_there() -> None:
    with pytest.raises(Invalid) as missing:
        shell("echo 1 > $LOOPLINE_OUTPUTS/other.json", out="json")()
    assert missing.value.message == "The command told did not write its output 'out' (out.json); it wrote other.json."


def test_an_output_that_is_not_what_it_should_be_is_refused() -> None:
    with pytest.raises(Invalid, match="output 'out' of told cannot be read as json"):
        shell("echo '{' > $LOOPLINE_OUTPUTS/out.json", out="json")()
    with pytest.raises(Invalid, match="cannot be read as parquet"):
        shell("echo nothing > $LOOPLINE_OUTPUTS/out.parquet", out="parquet")()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"outputs": {}}, "has no outputs"),
        ({"outputs": {"x": "xls"}}, "unknown format 'xls'"),
        ({"outputs": {"../x": "csv"}}, "cannot be a file's"),
        ({"run": "", "outputs": {"x": "csv"}}, "no words"),
        ({"run": "cat 'x", "outputs": {"x": "csv"}}, "cannot be split"),
        ({"outputs": {"x": "csv"}, "colour": 1}, "no option 'colour'"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        command("told", **{"run": "true", **asked})


def test_arguments_go_by_name_and_declared_inputs_are_needed() -> None:
    told = command("told", run="true", inputs={"frame": "csv"}, outputs={"x": "csv"})
    with pytest.raises(Invalid, match="by name only"):
        told.bound((1,), {})
    with pytest.raises(Invalid, match="needs the input 'frame'"):
        told.bound((), {"limit": 1})


def test_a_program_or_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    from loopline.usecases.pipelines.identity import Territory

    def code_of(run: str, **more: Any) -> Any:
        return command("told", run=run, outputs={"x": "csv"}, **more).code(Territory(tmp_path))

    with pytest.raises(Invalid, match="'nowhere-to-be-found', which the command told runs, is not installed"):
        code_of("nowhere-to-be-found x")
    with pytest.raises(Invalid, match=r"no 'missing\.R'"):
        code_of("sh x", files=["missing.R"])
    with pytest.raises(Invalid, match=r"no '\./missing\.sh'"):
        code_of("./missing.sh")


def test_the_program_s_version_is_part_of_what_the_step_is() -> None:
    code, outside = command("told", run="python -V", outputs={"x": "csv"}).code(type("T", (), {"folder": "."}))
    program = next(piece for piece in code.pieces if piece.kind == "program")
    assert program.name.startswith("python, Python 3.")
    assert next(iter(outside)).endswith("/python")
