"""A pipeline is watched while it runs: its graph, its log lines, its end, and the button that ends it."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

PIPELINE = """
    import time
    from pathlib import Path

    from loopline import pipeline, step


    def wait(gate, name):
        while not Path(gate, name).exists():
            time.sleep(0.02)


    @step(no_cache=True)
    def first(gate: str) -> list:
        print("the first line", flush=True)
        wait(gate, "first")
        return [1, 2, 3]


    @step
    def double(number: int) -> int:
        print("double", number)
        return 2 * number


    @step(no_cache=True)
    def second(numbers: list, gate: str) -> int:
        for number in range(200):
            print("line", number, flush=True)
        wait(gate, "second")
        print("<b>the last line</b>", flush=True)
        return sum(numbers)


    @step
    def fit(numbers: list, rate: float) -> float:
        return (rate - 0.5) ** 2


    @pipeline
    def watched(gate: str) -> int:
        numbers = first(gate)
        best = fit.search(numbers=numbers, space={"rate": (0.0, 1.0)}, trials=5, sampler="random")
        return second(double.map(over="number", number=numbers), gate)
"""


class Started:
    """A run in a thread of its own; its steps wait until they are let go."""

    def __init__(self, site: Any, folder: Path) -> None:
        self.pipelines = site.loopline.pipelines
        self.folder = folder
        self.before = {run.run_id for run in self.pipelines.runs(1000)}
        (folder / "pipeline.py").write_text(textwrap.dedent(PIPELINE))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.run_id = self._begun()
        self.path = f"/pipelines/runs/{self.run_id}"

    def _run(self) -> None:
        self.pipelines.run(self.folder, "watched", {"gate": str(self.folder)}, actor="ada")

    def _begun(self) -> str:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for run in self.pipelines.runs(5):
                if run.run_id not in self.before and run.counts.get("running"):
                    return str(run.run_id)
            time.sleep(0.05)
        raise AssertionError("the run did not begin")

    def let(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def end(self) -> None:
        self.let("first", "second")
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def started(site: Any, tmp_path: Path) -> Iterator[Started]:
    run = Started(site, tmp_path)
    yield run
    run.end()


def box(label: str, state: str) -> str:
    return f"[id='box-{label}'].{state}"


def test_a_run_is_watched_to_its_end_without_a_reload(started: Started, visit: Any) -> None:
    visitor = visit("editor")
    visitor.open(started.path)
    page = visitor.page
    page.evaluate("window.kept = true")
    assert page.locator(box("first", "running")).count() == 1
    assert page.locator(box("second", "waiting")).count() == 1
    page.wait_for_selector("[id='log-first'] pre:has-text('the first line')")
    started.let("first")
    page.wait_for_selector(box("second", "running"))
    page.wait_for_selector("[id='log-second'] pre:has-text('line 199')")
    assert page.locator(box("first", "ran")).count() == 1
    assert "3 calls: 3 ran" in page.locator(box("double", "ran")).text_content()
    keep_while_it_is_drawn_anew(started, page)
    page.wait_for_selector("#state:has-text('finished')")
    assert page.evaluate("window.kept") is True, "only what differs was replaced"
    assert page.locator(box("second", "ran")).count() == 1
    assert page.locator("#cancel").count() == 0
    assert "<b>the last line</b>" in page.locator("[id='log-second'] pre").inner_text()
    assert page.locator("#watched[data-live]").count() == 0


def keep_while_it_is_drawn_anew(started: Started, page: Any) -> None:
    """What is open stays open, what is focused stays focused, what was scrolled stays where it is."""
    page.click("[id='calls-double'] summary")
    page.focus("#cancel button")
    page.evaluate("document.querySelector('[id=\"log-second\"] pre').scrollTop = 40")
    page.evaluate("scrollTo(0, 200)")
    before = page.locator(".figures dd").nth(2).inner_text()
    page.wait_for_function("before => document.querySelectorAll('.figures dd')[2].innerText !== before", arg=before)
    assert page.locator("[id='calls-double'][open] tbody tr").count() == 3
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    assert page.evaluate("document.querySelector('[id=\"log-second\"] pre').scrollTop") == 40
    assert page.evaluate("scrollY") == 200
    started.let("second")


def test_a_log_follows_its_end(started: Started, visit: Any) -> None:
    started.let("first")
    visitor = visit("viewer")
    visitor.open(f"/runs/{started.run_id}/steps/second")
    page = visitor.page
    page.wait_for_selector("pre:has-text('line 199')", timeout=15_000)
    page.wait_for_function(
        "() => { const log = document.querySelector('[data-tail]'); return log.scrollHeight - log.scrollTop - log.clientHeight < 9; }"
    )
    started.let("second")
    page.wait_for_selector("pre:has-text('the last line')")
    page.wait_for_selector("[role=status]:has-text('ran')")
    assert page.locator("#why .notice").inner_text().startswith("Ran")


def test_an_editor_ends_a_run(started: Started, visit: Any, script: bool) -> None:
    visitor = visit("editor", script)
    visitor.open(started.path)
    visitor.page.click("#cancel button")
    assert visitor.path() == started.path
    until = time.monotonic() + 15
    while not script and time.monotonic() < until and visitor.page.locator("#cancel").count():
        visitor.page.wait_for_timeout(200)
        visitor.open(started.path)
    visitor.page.wait_for_selector("#state:has-text('killed')")
    assert "Cancelled by editor-person." in visitor.page.locator(".notice[role=alert]").inner_text()
    assert visitor.page.locator(box("first", "cancelled")).count() == 1
    assert visitor.page.locator(box("second", "skipped")).count() == 1
    assert f"loopline rerun {started.run_id[:8]}" in visitor.texts(".command")


def test_without_script_a_run_is_seen_as_it_stands(started: Started, visit: Any) -> None:
    visitor = visit("viewer", script=False)
    visitor.open(started.path)
    assert visitor.page.locator(box("first", "running")).count() == 1
    assert visitor.page.locator("#cancel").count() == 0, "a viewer may not end it"
    assert visitor.page.locator("meta[http-equiv=refresh]").count() == 1
    visitor.page.click("noscript a[href*=still]")
    assert visitor.page.locator("meta[http-equiv=refresh]").count() == 0
    started.end()
    visitor.page.click("noscript a")
    assert visitor.page.locator(box("second", "ran")).count() == 1
    assert visitor.page.locator("#state").inner_text() == "finished"


def test_a_search_shows_its_trials_and_the_best(started: Started, visit: Any) -> None:
    started.end()
    visitor = visit("viewer")
    visitor.open(started.path)
    rows = visitor.page.locator("[id='trials-fit'] tbody tr")
    values = [float(row.locator("td").nth(2).inner_text()) for row in rows.all()]
    assert len(values) == 5
    assert visitor.page.locator("tr:has(.tag.alias) td.best").inner_text() == f"{min(values):.6g}"
    visitor.page.wait_for_selector("[data-plot] canvas")


def test_the_list_of_runs_keeps_up(started: Started, visit: Any) -> None:
    visitor = visit("viewer")
    visitor.open("/pipelines")
    row = f"[id='run-{started.run_id}']"
    assert visitor.page.locator(f"{row} .status").inner_text() == "running"
    started.end()
    visitor.page.wait_for_selector(f"{row} .status:has-text('finished')", timeout=15_000)
    visitor.page.click(f"{row} th a")
    assert visitor.path() == started.path
    visitor.page.click("text=Params, metrics and artifacts")
    assert visitor.path() == f"/runs/{started.run_id}"
    assert visitor.page.locator("a:has-text('Graph, timeline and logs')").count() == 1
