"""`why` names what differed, down to the edit, and says when a step ran though nothing did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopline.adapters.clocks import WallClock
from loopline.usecases.pipelines.explaining import spoken
from loopline.usecases.pipelines.model import PipelineRun, Why
from loopline.usecases.pipelines.patches import diff, text_of, value_in

pytestmark = pytest.mark.integration

ADDED = '''

LIMIT = 3


class Scale:
    factor = 2

    def by(self, x):
        return x * self.factor


def helped(x):
    """Help."""
    return Scale().by(x) + LIMIT


@step(uses=[File("rates.csv")], volatile=["threads"])
def priced(x: int, threads: int = 1) -> int:
    return helped(x)


@step(max_age="1d")
def fresh() -> int:
    return 3


@step(retries=2, backoff=0)
def shaky() -> int:
    noted("shaky")
    if Path(os.environ["NOTES"]).read_text().count("shaky") < 2:
        raise ValueError("not yet")
    return 1


@step
def double(x: int) -> int:
    return x * 2


@pipeline
def pricing(x: int = 1, threads: int = 1) -> int:
    return priced(x, threads)


@pipeline
def freshness() -> int:
    return fresh()


@pipeline
def shaking() -> int:
    return shaky()


@pipeline
def doubling() -> list:
    return double.map(over="x", x=[1, 2])
'''


@pytest.fixture
def extended(project: Any) -> Any:
    path = project.folder / "pipeline.py"
    path.write_text(
        path.read_text().replace("from loopline import Dataset,", "import os\n\nfrom loopline import Dataset, File,")
        + ADDED
    )
    (project.folder / "rates.csv").write_text("a,1")
    return project


def why(project: Any, run: PipelineRun, step: str) -> Why:
    found: Why = project.loopline.pipelines.why(run.run_id, step)
    return found


def test_an_edit_is_shown(extended: Any) -> None:
    extended.run("pricing")
    extended.edit("pipeline.py", "return Scale().by(x) + LIMIT", "return Scale().by(x) - LIMIT")
    found = why(extended, extended.run("pricing"), "priced")
    assert found.sentence == "Ran: the function helped in pipeline.py changed."
    assert "-    return Scale().by(x) + LIMIT\n+    return Scale().by(x) - LIMIT" in found.differences[0].patch


def test_a_class_and_a_value_are_shown(extended: Any) -> None:
    extended.run("pricing")
    extended.edit("pipeline.py", "LIMIT = 3", "LIMIT = 4")
    assert why(extended, extended.run("pricing"), "priced").sentence == (
        "Ran: the value LIMIT in pipeline.py went from 3 to 4."
    )
    extended.edit("pipeline.py", "return x * self.factor", "return x / self.factor")
    found = why(extended, extended.run("pricing"), "priced")
    assert found.sentence == "Ran: the class Scale in pipeline.py changed."
    assert "+        return x / self.factor" in found.differences[0].patch


def test_a_value_is_shown_where_it_is_written(extended: Any) -> None:
    (extended.folder / "settings.py").write_text("LIMIT = 3\n")
    extended.edit("pipeline.py", "LIMIT = 3\n", "from settings import LIMIT\n")
    extended.run("pricing")
    extended.edit("settings.py", "3", "5")
    assert why(extended, extended.run("pricing"), "priced").sentence == (
        "Ran: the value LIMIT in settings.py went from 3 to 5."
    )


def test_an_external_is_named_and_what_is_volatile_is_not(extended: Any) -> None:
    first = extended.run("pricing")
    assert why(extended, first, "priced").sentence == "Ran: priced was never run before."
    again = why(extended, extended.run("pricing", threads=4), "priced")
    assert again.status == "hit"
    assert again.notes == ("Not counted, as it is volatile: threads.",)
    (extended.folder / "rates.csv").write_text("a,2")
    found = why(extended, extended.run("pricing", threads=2), "priced")
    assert found.sentence == "Ran: the external file rates.csv changed."


def test_a_step_that_ran_though_nothing_differed_says_why(extended: Any) -> None:
    pipelines = extended.loopline.pipelines
    first = extended.run("pricing")
    forced = pipelines.run(extended.folder, "pricing", {}, actor="ann", executor="inline", force=["priced"])
    assert why(extended, forced, "priced").sentence == "Ran: it had to run anew in this run, whatever was known."
    everything = pipelines.run(extended.folder, "pricing", {}, actor="ann", executor="inline", force="*")
    assert "whatever was known" in why(extended, everything, "priced").sentence
    extended.run("ever")
    assert why(extended, extended.run("ever"), "always").sentence == (
        "Ran: always is declared with no_cache, so it runs every time."
    )
    assert first.run_id != forced.run_id


def test_a_result_too_old_is_named(extended: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    extended.run("freshness")
    monkeypatch.setattr(WallClock, "now", lambda _: datetime.now(UTC) + timedelta(days=2))
    assert "was older than 1 day, its max_age" in why(extended, extended.run("freshness"), "fresh").sentence


def test_tries_and_calls_are_counted(extended: Any) -> None:
    assert why(extended, extended.run("shaking"), "shaky").notes == ("It was tried 2 times.",)
    found = why(extended, extended.run("doubling"), "double")
    assert found.sentence.startswith("Ran: of its 2 calls 2 ran.")


def test_steps_that_did_not_run_say_so(extended: Any) -> None:
    failed = extended.run("failing")
    assert why(extended, failed, "after").sentence == "Skipped: a step that it needs failed."
    assert why(extended, failed, "fail").sentence == "Failed: fail was never run before."
    assert why(extended, extended.run("failing"), "fail").sentence == (
        "Failed: it had not succeeded with this key before."
    )


def test_the_start_of_random_numbers_is_named(extended: Any) -> None:
    extended.run("pricing")
    run = extended.loopline.pipelines.run(extended.folder, "pricing", {}, actor="ann", executor="inline", seed=4)
    assert why(extended, run, "priced").sentence == (
        "Ran: the parameter seed of random numbers went from nothing to 4."
    )


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("function", "f.<locals>.g", "    def g():\n        return 1\n"),
        ("function", "A.m", "    @property\n    def m(self):\n        return 2\n"),
        ("value", "X.a", "X: int = {'a': 1}\n"),
        ("value", "Z", None),
        ("class", "B", None),
    ],
)
def test_definitions_are_found_in_their_files(kind: str, name: str, found: str | None) -> None:
    source = "def f():\n    def g():\n        return 1\n\n\nclass A:\n    @property\n    def m(self):\n        return 2\n\n\nX: int = {'a': 1}\n"
    assert text_of(kind, name, source) == found
    assert text_of(kind, name, "def (") is None


def test_small_words() -> None:
    assert [spoken(one) for one in (86400, 172800, 3600, 90, 0.5)] == [
        "1 day",
        "2 days",
        "1 hour",
        "90 seconds",
        "0.5 seconds",
    ]
    assert value_in("X = 1 + 2\n") == "1 + 2"
    assert value_in("X, Y = 1, 2\n") == ""
    long = diff("\n".join(map(str, range(100))), "")
    assert long.endswith("… 61 more lines")
