"""What a run tells a person: on a terminal a picture that moves, elsewhere a line for each step."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from loopline.core.times import from_text

MARKS = {
    "hit": ("·", "2"),
    "ran": ("✓", "32"),
    "failed": ("✗", "31"),
    "cancelled": ("✗", "33"),
    "skipped": ("-", "33"),
}
MOST_HITS = 30
MOST_ROWS = 12
PATIENCE_S = 0.15  # nothing is drawn for what is over sooner
REFRESH_S = 0.1
# What a step prints may hold what a terminal would obey: control characters are drawn, not sent.
SHOWN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) != "\t"}


class Row:
    """A step that runs, or a map or search some of whose calls do: `last` is the line printed last."""

    def __init__(self, label: str, calls: int = 0) -> None:
        self.label = label
        self.calls = calls
        self.since = time.monotonic()
        self.ended: Counter[str] = Counter()
        self.flying = 0
        self.last = ""

    def text(self) -> str:
        """Its name; of a map also how many calls have ended how."""
        if not self.calls:
            return self.label
        told = [f"{sum(self.ended.values())}/{max(self.calls, sum(self.ended.values()))}"]
        told += [f"{self.ended[status]} {status}" for status in ("hit", "failed") if self.ended[status]]
        return f"{self.label} {', '.join(told)}"


class Screen:
    """Takes in what a run tells. On a terminal (`moving`) ended steps are lines, and beneath them stand those that run,
    each with its time and the line that it printed last, and a bar; maps and searches are one line. With `logs` every
    line that a step prints is a line of its own, after the step's label."""

    def __init__(self, stream: Any, logs: bool = False, moving: bool = True) -> None:
        terminal = bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
        self.hits = self.ended = self.total = 0
        self.rows: dict[str, Row] = {}
        self.began = time.monotonic()
        self._stream = stream
        self._logs = logs
        self._colours = terminal and not os.environ.get("NO_COLOR")
        self._moving = terminal and moving
        self._told_hits = 0
        self._parts: dict[int, str] = {}
        self._waiting: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn: Any = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the picture away; what ended stays."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._told_hits > MOST_HITS:
            self.say(f"  {self._told_hits - MOST_HITS} more hits", "2")
            self._told_hits = 0

    def tell(self, progress: Any) -> None:
        """Take in that a step began, printed something or ended."""
        with self._lock:
            self.total = progress.total
            label = whole_of(progress.label) if progress.calls else progress.label
            if not progress.status:
                self._begun(label, progress)
            elif progress.status == "running":
                self._printed(label, progress)
            else:
                self._ended(label, progress)

    def say(self, text: str, colour: str = "") -> None:
        """A line that stays."""
        with self._lock:
            if self._drawn is None:
                coloured = f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text
                print(coloured, file=self._stream, flush=True)
            else:
                self._waiting.append((text, colour))

    def _begun(self, label: str, progress: Any) -> None:
        row = self.rows.setdefault(label, Row(label))
        row.calls = progress.calls
        row.flying += 1
        if self._moving and self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._draw, name="screen", daemon=True)
            self._thread.start()

    def _printed(self, label: str, progress: Any) -> None:
        *lines, rest = (self._parts.pop(progress.position, "") + progress.log).split("\n")
        if rest:
            self._parts[progress.position] = rest
        shown = [line for line in (*lines, rest) if line.strip()]
        if shown and label in self.rows:
            self.rows[label].last = clean(shown[-1])
        for line in lines if self._logs else ():
            self.say(f"{progress.label} | {clean(line)}")

    def _ended(self, label: str, progress: Any) -> None:
        rest = self._parts.pop(progress.position, "")
        if rest and self._logs:
            self.say(f"{progress.label} | {clean(rest)}")
        self.hits += progress.status == "hit"
        self.ended += 1
        if progress.calls:
            row = self.rows.setdefault(label, Row(label))
            row.calls = progress.calls
            row.flying = max(0, row.flying - 1)
            row.ended[progress.status] += 1
            if self._moving and progress.status != "failed":
                return
        told = self.rows.pop(label, None) if not progress.calls else None
        self._line(progress, counted(told) if told is not None and self._moving else "")

    def _line(self, progress: Any, calls: str) -> None:
        if progress.status == "hit":
            self._told_hits += 1
            if self._told_hits > MOST_HITS:
                return
        mark, colour = MARKS[progress.status]
        took = f"  {progress.seconds:.2f} s" if progress.status in ("ran", "failed") else ""
        self.say(f"  {mark} {progress.label}  {progress.status}{took}{calls}", colour)

    def _draw(self) -> None:
        """Draw until it is over, once something has been running for a moment."""
        if self._over.wait(PATIENCE_S):
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, force_terminal=True, no_color=not self._colours, highlight=False)
        live = Live(get_renderable=lambda: self._picture(console), console=console, auto_refresh=False, transient=True)
        with self._lock:
            live.start(refresh=True)
            self._drawn = live
        while not self._over.wait(REFRESH_S):
            self._flush(live)
        with self._lock:
            self._flush(live)
            live.stop()
            self._drawn = None

    def _flush(self, live: Any) -> None:
        from rich.text import Text

        with self._lock:
            if self._waiting:
                lines = [Text(text, style=STYLES.get(colour, "")) for text, colour in self._waiting]
                self._waiting.clear()
                live.console.print(Text("\n").join(lines), soft_wrap=True)
            live.refresh()

    def _picture(self, console: Any) -> Any:
        from rich.console import Group

        with self._lock:
            room = max(1, min(MOST_ROWS, console.height - 3))
            rows = list(self.rows.values())
            flying = [row for row in rows if row.flying] or rows
            lines = [self._row(row, console.width) for row in flying[:room]]
            if len(flying) > room:
                lines.append(plain(f"    and {len(flying) - room} more", "dim"))
            return Group(*lines, self._bar(console.width))

    def _row(self, row: Row, width: int) -> Any:
        head = f"  ▸ {row.text()}  {lasted(row.since)}"
        text = plain(head[: width - 1], "cyan")
        room = width - len(head) - 4
        if row.last and room > 8:
            text.append(f"  {row.last[:room]}", "dim")
        return text

    def _bar(self, width: int) -> Any:
        share = self.ended / max(self.total, 1)
        full = min(24, int(24 * share))
        cached = f"  {self.hits} cached ({self.hits / self.ended:.0%})" if self.hits else ""
        text = plain("  " + "━" * full, "green")
        text.append("━" * (24 - full), "bright_black")
        text.append(f"  {self.ended}/{max(self.total, self.ended)}{cached}  {lasted(self.began)}")
        text.truncate(width - 1)
        return text


STYLES = {"2": "dim", "32": "green", "31": "red", "33": "yellow"}


def plain(text: str, style: str) -> Any:
    """A line of the picture; a name holds no markup."""
    from rich.text import Text

    return Text(text, style=style, no_wrap=True)


def whole_of(label: str) -> str:
    """The map or search that a call belongs to: `score` for `score[3]`."""
    return label.partition("[")[0]


def counted(row: Row) -> str:
    """How the calls of a map ended."""
    told = ", ".join(f"{number} {status}" for status, number in sorted(row.ended.items()))
    return f"  ({sum(row.ended.values())} calls: {told})" if told else ""


def lasted(since: float) -> str:
    """The time since then, as 0:07."""
    seconds = int(time.monotonic() - since)
    return f"{seconds // 60}:{seconds % 60:02d}"


def clean(line: str) -> str:
    """A line without what a terminal would obey; of a line that was drawn over and over, its last state."""
    return line.rstrip("\r").rpartition("\r")[2].translate(SHOWN)


@contextmanager
def watched(stream: Any, pipelines: Any, logs: bool = False, moving: bool = True) -> Iterator[Screen]:
    """A screen for one run. Ctrl-C says what is kept and how to take the run up, and ends with exit code 130."""
    import click

    began = datetime.now(UTC)
    try:
        with Screen(stream, logs, moving) as screen:
            yield screen
    except KeyboardInterrupt:
        print(f"Stopped. {kept(pipelines, began)}", file=stream)
        raise click.exceptions.Exit(130) from None


def kept(pipelines: Any, began: datetime) -> str:
    """What a run that was stopped leaves, and how it is taken up."""
    runs = [one for one in pipelines.runs(5) if from_text(one.started_at) >= began - timedelta(seconds=1)]
    run = next((one for one in runs if one.status == "killed"), None)
    if run is None:
        return "Nothing had begun to run."
    done = run.counts.get("ran", 0) + run.counts.get("hit", 0)
    steps = "1 step is" if done == 1 else f"{done} steps are"
    environment = f" --environment {run.environment}" if run.environment else ""
    command = f"run {run.release[:12]}{environment}" if run.release else f"rerun {run.run_id[:8]}"
    return f"{steps} kept; `loopline {command}` takes the run {run.run_id[:8]} up."
