"""What the demo says on the terminal: lines as things happen, a live bar, and the table at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from desk import Tally
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

BEAT_S = 0.25


class Story:
    """The narrator. On a terminal it draws; elsewhere it prints lines."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.steps_hit = self.steps_ran = 0
        self.swaps = 0
        self._seen = 0

    def line(self, what: str, more: str = "", style: str = "") -> None:
        """One line: what happened, and what is worth knowing about it."""
        self.console.print(f"[{style}]{what}[/]" if style else what, f"[dim]{more}[/]" if more else "")

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """A stretch of work with its seconds."""
        begun = time.perf_counter()
        with self.console.status(what):
            yield
        self.line(what, f"{time.perf_counter() - begun:.1f} s")

    def ran(self, run: dict[str, Any]) -> None:
        """A pipeline run: which steps ran, which were taken from the cache."""
        for step in run["steps"]:
            self.line(f"  {step['step']:<10}", f"{step['status']} {step['seconds']:.2f} s")

    @contextmanager
    def watching(self, tally: Tally, total: int, installation: Any, beat: Callable[[], None]) -> Iterator[None]:
        """A bar over the traffic, with the ledger's facts above it as they are written."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn())
        ended = threading.Event()
        with Progress(*columns, console=self.console, transient=True) as progress:
            bar = progress.add_task("", total=total)
            watcher = threading.Thread(target=self._watch, args=(tally, installation, beat, progress, bar, ended))
            watcher.start()
            try:
                yield
            finally:
                ended.set()
                watcher.join()
        self.facts(installation)

    def _watch(
        self, tally: Tally, installation: Any, beat: Callable[[], None], progress: Any, bar: Any, ended: threading.Event
    ) -> None:
        while not ended.wait(BEAT_S):
            beat()
            self.facts(installation)
            text = f"{tally.clock}  p50 {recent(tally):.1f} ms  failed {tally.failed}"
            progress.update(bar, completed=tally.sent, description=text)

    def facts(self, installation: Any) -> None:
        """Tell the facts written since the last time that a person would want to hear of."""
        for fact in installation.client.call("ledger.facts", after=self._seen, limit=1000):
            self._seen = fact["seq"]
            told = TOLD.get(fact["kind"])
            if told:
                self.line(*told(fact))
            self.swaps += fact["kind"] == "deployment.live" and fact["body"].get("revision", 1) > 1

    def report(self, installation: Any, endpoint: str, tally: Tally, seconds: float) -> None:
        """The table at the end, every figure read back from Loopline or counted by the desk."""
        self.facts(installation)
        table = Table(title="What happened", title_justify="left", show_header=False, box=None)
        for name, value in figures(installation, endpoint, tally, self.swaps, seconds):
            table.add_row(name, value)
        self.console.print(table)
        self.console.rule("one prediction, traced", align="left")
        self.console.print(installation.loopline_text("trace", tally.last_id))

    def stay(self, installation: Any) -> None:
        """Keep the pages up until Ctrl-C."""
        link = installation.loopline("open", "--no-browser")["link"]
        self.console.print(f"\nThe pages stay up: [bold]{link}[/]\nCtrl-C ends the demo.")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            self.line("stopped")


def recent(tally: Tally) -> float:
    """Median latency of the last few hundred answers, in ms."""
    last = sorted(tally.latencies_ms[-300:])
    return last[len(last) // 2] if last else 0.0


def figures(installation: Any, endpoint: str, tally: Tally, swaps: int, seconds: float) -> list[tuple[str, str]]:
    """(name, value) rows of the report."""
    versions = ", ".join(f"{count:,} by version {version}" for version, count in sorted(tally.by_version.items()))
    return [
        ("requests", f"{tally.sent:,} for {tally.flights:,} flights ({versions})"),
        ("failed requests", f"{tally.failed:,} {' '.join(tally.problems)}".strip()),
        ("latency", f"p50 {tally.quantile(0.5):.1f} ms, p99 {tally.quantile(0.99):.1f} ms"),
        ("swaps under load", str(swaps)),
        *installation.findings(endpoint),
        ("seconds in all", f"{seconds:.0f}"),
    ]


def decided(fact: dict[str, Any]) -> tuple[str, str, str]:
    verdict, checks = fact["body"]["verdict"], fact["body"]["checks"]
    unmet = [f"{name} {found.replace('_', ' ')}" for name, found in checks.items() if found != "passed"]
    return f"gate {fact['subject']}: {verdict}", ", ".join(unmet), "green" if verdict == "passed" else "red"


def plainly(word: str, style: str, *keys: str) -> Callable[[dict[str, Any]], tuple[str, str, str]]:
    """A teller for facts that need only their subject and a few values of their body."""

    def tell(fact: dict[str, Any]) -> tuple[str, str, str]:
        return (
            f"{word} {fact['subject']}",
            " ".join(str(fact["body"][key]) for key in keys if key in fact["body"]),
            style,
        )

    return tell


TOLD: dict[str, Callable[[dict[str, Any]], tuple[str, str, str]]] = {
    "model.version_registered": lambda fact: (f"registered {fact['subject']}", f"by {fact['actor']}", "cyan"),
    "gate.decided": decided,
    "alias.moved": plainly("alias", "", "from", "to"),
    "deployment.live": plainly("live", "bold green", "revision", "version"),
    "deployment.failed": plainly("deployment failed", "bold red", "reason"),
    "alert.opened": plainly("ALERT", "bold red", "message"),
    "alert.resolved": plainly("alert resolved", "green"),
    "policy.fired": plainly("policy", "magenta", "reason"),
    "dataset.batch_refused": plainly("batch refused", "red"),
}
