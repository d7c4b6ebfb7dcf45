"""Evaluating endpoints: the book is brought up to date, windows follow from it, then everything that looks is asked."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Conflict, LooplineError
from loopline.core.ids import checked_name
from loopline.core.tables import Signature
from loopline.core.times import from_ms
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring import budgets
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model import Finding, MonitorConfig, Summary, findings, shown_metric
from loopline.usecases.monitoring.model.looking import Describe, Look, Looked
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.needs import Registry, Serving
from loopline.usecases.monitoring.store import windows as store

if TYPE_CHECKING:
    from loopline.usecases.monitoring.books.book import Book
    from loopline.usecases.monitoring.books.windowing import Evaluated

ACTOR = "monitor"
FOLDER = "monitoring"
# Everything that looks at an endpoint's windows: (module, function); each answers a `Looked`.
LOOKS = (("drifting", "look"), ("estimating", "look"), ("beating", "look"))


class Evaluating:
    """The verbs that read the logs."""

    _database: Database
    _clock: Clock
    _registry: Registry
    _serving: Serving
    _incidents: Incidents
    _profiles: dict[tuple[str, int], Profile]
    _home: Path
    rules: Callable[[str], MonitorConfig]

    def evaluate_all(self, actor: str = ACTOR) -> list[Summary]:
        """`evaluate` every endpoint that has predictions, the one that waits longest first. One that cannot be evaluated
        does not keep the others from it; its error is raised when all others are done."""
        last = self._database.read(store.evaluated_at)
        names = sorted((endpoint.name for endpoint in self._serving.endpoints()), key=lambda name: last.get(name, ""))
        found: list[Summary] = []
        trouble: Exception | None = None
        for name in names:
            try:
                summary = self.evaluate(name, actor)
            except Exception as error:
                trouble = trouble or error
                continue
            found += [] if summary is None else [summary]
        if trouble is not None:
            raise trouble
        return found

    def evaluate(self, endpoint: str, actor: str = ACTOR) -> Summary | None:
        """Read what is new in the logs, recompute the windows that it touches, open and resolve alerts.

        Repeating it without news changes nothing. None when the endpoint has no prediction yet.
        """
        config = self.rules(endpoint)
        mark = self._mark(endpoint, config)
        before = self._database.read(lambda tx: store.summary(tx, endpoint))
        if mark and before is not None and before[0] == mark:
            return before[1]
        return self._evaluate(endpoint, config, mark, actor, before is None)

    def book(self, endpoint: str, config: MonitorConfig | None = None, describe: Describe | None = None) -> Book:
        """What is kept of an endpoint's rows, as of its last evaluation: for reading."""
        from loopline.usecases.monitoring.books.book import Book

        folder = self._home / FOLDER / checked_name("endpoint", endpoint)
        return Book(folder, self._serving, endpoint, config or self.rules(endpoint), describe or self._describe())

    def _evaluate(self, endpoint: str, config: MonitorConfig, mark: str, actor: str, first: bool) -> Summary | None:
        describe = self._describe()
        standing = self._database.read(lambda tx: self._serving.standing(tx, endpoint))
        book = self.book(endpoint, config, describe)
        if first and not book.rows and not self._serving.log_days(endpoint):
            return None
        try:
            with book.held():
                book.update()
                if book.rows:
                    return self._settled(book, config, mark, actor, describe, standing)
                self._database.write(lambda tx: store.forget(tx, endpoint))  # all was erased, or is not kept any longer
                return None
        except Removed:
            book.remove()
            raise

    def _settled(
        self, book: Book, config: MonitorConfig, mark: str, actor: str, describe: Describe, standing: bool
    ) -> Summary:  # fmt: skip
        from loopline.usecases.monitoring.books.windowing import evaluated

        endpoint = book.endpoint
        stored = self._database.read(lambda tx: store.windows(tx, endpoint))
        known = {(window.start, window.column, window.value): (print_of, window) for print_of, window in stored}
        found = evaluated(book, config, known, describe)
        ruled = self._ruled(endpoint, config, found, describe)
        summary = self._summarized(endpoint, config, found, book, ruled.limits)
        windows = [window for _, window in found.windows]
        usual = _usual_missing(describe, found.live)
        wrong = findings(windows, ruled.config, summary.limits, found.live_at, usual, found.delay)
        look = self._look(book, ruled.config, found, summary, describe)
        looked, trouble = self._looked(look)
        at = self._clock.text()

        def work(tx: Transaction) -> Summary:
            if standing and not self._serving.standing(tx, endpoint):
                raise Removed(f"Endpoint {endpoint!r} was removed while it was evaluated.", "`loopline trash` has it.")
            self._keep(tx, endpoint, known, found, at)
            before = store.summary(tx, endpoint)
            judged = {} if before is None else before[1].judged
            told = [*wrong, *(one for each in looked.values() for one in each.findings), _own(look, trouble)]
            judged = self._incidents.settle(tx, endpoint, summary.model, _in_order(told, found), judged, actor, at)
            for name, one in looked.items():
                _kept(name, one, tx, at)
            ruled.keep(tx, at)
            whole = msgspec.structs.replace(summary, judged=judged)
            store.put_summary(tx, whole, "" if trouble else mark, at)  # what failed is tried again without news, too
            return whole

        while True:
            try:
                return self._database.write(work)
            except _NotKept as failed:  # nothing of it was written: again without the one that failed
                looked.pop(failed.name)
                trouble.append(_said(failed.name, failed.error))

    def _ruled(self, endpoint: str, config: MonitorConfig, found: Evaluated, describe: Describe) -> budgets.Chosen:
        """The limits that are written, or that the alert budget leads to, or the baselines."""
        before = self._database.read(lambda tx: store.summary(tx, endpoint))
        now = budgets.Situation(
            endpoint=endpoint,
            config=config,
            windows=[window for _, window in found.windows],
            live=found.live,
            live_at=found.live_at,
            metrics=self._metrics(*found.live),
            usual=_usual_missing(describe, found.live),
            judged_until="" if before is None else before[1].judged.get("performance", ""),
        )
        return budgets.chosen(self._database.read, now)

    def _look(
        self, book: Book, config: MonitorConfig, found: Evaluated, summary: Summary, describe: Describe
    ) -> Look:  # fmt: skip
        return Look(
            endpoint=summary.endpoint,
            config=config,
            book=book,
            windows=[window for _, window in found.windows],
            live=found.live,
            live_at=found.live_at,
            limits=summary.limits,
            delay=found.delay,
            watermark_ms=found.watermark_ms,
            describe=describe,
            rows=book.joined_rows,
            read=self._database.read,
        )

    def _looked(self, look: Look) -> tuple[dict[str, Looked], list[str]]:
        """What each look found, and the errors of those that failed: they do not stop the others."""
        found: dict[str, Looked] = {}
        trouble = []
        for name, function in LOOKS:
            try:
                found[name] = getattr(import_module(f"loopline.usecases.monitoring.{name}"), function)(look)
            except Exception as error:
                trouble.append(_said(name, error))
        return found, trouble

    def _keep(self, tx: Transaction, endpoint: str, known: Mapping[Any, Any], found: Evaluated, at: str) -> None:
        fresh = {(window.start, window.column, window.value): (mark, window) for mark, window in found.windows}
        changed = [entry for key, entry in fresh.items() if known.get(key) != entry]
        store.put_windows(tx, endpoint, changed, at)
        store.drop_windows(tx, endpoint, known.keys() - fresh.keys())

    def _summarized(
        self, endpoint: str, config: MonitorConfig, found: Evaluated, book: Book, limits: dict[str, float]
    ) -> Summary:  # fmt: skip
        whole = [window for _, window in found.windows if window.column == ""]
        mature = [window for window in whole if window.mature]
        model, version = found.live
        return Summary(
            endpoint=endpoint,
            window=config.window,
            metric=shown_metric(config),
            model=model,
            version=version,
            limit=limits.get(shown_metric(config)),
            limits=limits,
            watermark=from_ms(found.watermark_ms),
            predictions=sum(window.predictions for window in whole),
            labelled=sum(window.labelled for window in whole),
            truth_records=book.truth.records,
            duplicates=book.truth.duplicates,
            corrections=book.truth.corrections,
            orphans=book.orphans(),
            label_delay=found.delay,
            mature_windows=len(mature),
            provisional_windows=len(whole) - len(mature),
            mature_until=max((window.end for window in mature), default=""),
            inputs=self._inputs(model, version),
        )

    def _inputs(self, model: str, version: int | None) -> tuple[str, ...]:
        try:
            signature = None if version is None else self._registry.version(model, version).signature
        except LooplineError:
            return ()
        return () if signature is None else tuple(column.name for column in signature.inputs)

    def _metrics(self, model: str, version: int | None) -> dict[str, Any]:
        try:
            return {} if version is None else dict(self._registry.version(model, version).metrics)
        except LooplineError:
            return {}

    def _mark(self, endpoint: str, config: MonitorConfig) -> str:
        """A text that differs when there is something to evaluate."""
        rules = zlib.crc32(msgspec.json.encode(config))
        return f"{self._serving.log_mark(endpoint)} {rules:08x}"

    def _describe(self) -> Describe:
        """Signature and training profile by version, each read once."""
        read: dict[tuple[str, int], tuple[Signature | None, Profile | None]] = {}

        def describe(model: str, version: int) -> tuple[Signature | None, Profile | None]:
            if (model, version) not in read:
                read[model, version] = self._described(model, version)
            return read[model, version]

        return describe

    def _described(self, model: str, version: int) -> tuple[Signature | None, Profile | None]:
        try:
            signature = self._registry.version(model, version).signature
        except LooplineError:
            return None, None
        try:
            return signature, self._profile_of(model, version, signature)
        except LooplineError:
            return signature, None

    def _profile_of(self, model: str, version: int, signature: Signature) -> Profile | None:
        """The training profile, read (or made from the rows that were registered) once: versions never change."""
        from loopline.usecases.monitoring.drifting import profile_in

        if (model, version) not in self._profiles:
            content = self._registry.profile(model, version)
            if content is None:
                return None
            self._profiles[model, version] = profile_in(content, signature)
        return self._profiles[model, version]


def _in_order(wrong: Sequence[Finding], found: Evaluated) -> list[Finding]:
    """As they could be known: those that do not say when, at the end of their window."""
    ends = {window.start: window.end for _, window in found.windows}
    return sorted(wrong, key=lambda finding: finding.due or ends.get(finding.window, finding.window))


class Removed(Conflict):
    """The endpoint went into the trash meanwhile: what belongs to it is there, and nothing may be added."""


class _NotKept(Exception):
    """What a look wanted to write could not be written."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name)
        self.name = name
        self.error = error


def _kept(name: str, looked: Looked, tx: Transaction, at: str) -> None:
    try:
        looked.keep(tx, at)
    except Exception as error:
        raise _NotKept(name, error) from error


def _said(name: str, error: Exception) -> str:
    if not isinstance(error, LooplineError):
        traceback.print_exception(error)
    return f"{name}: {error if isinstance(error, LooplineError) else f'{type(error).__name__}: {error}'}"[:500]


def _own(look: Look, trouble: Sequence[str]) -> Finding:
    """What the newest window says about the monitor itself."""
    newest = max(window.start for window in look.windows)
    message = f"the monitor of {look.endpoint!r} could not do all of its work: {'; '.join(trouble)}"
    return Finding(
        cause="monitor",
        state="wrong" if trouble else "well",
        first_window=newest,
        window=newest,
        version=look.live[1],
        value=None,
        limit=None,
        message=message if trouble else f"the monitor of {look.endpoint!r} works",
    )


def _usual_missing(describe: Describe, live: tuple[str, int | None]) -> dict[str, float]:
    profile = describe(live[0], live[1])[1] if live[1] is not None else None
    return {} if profile is None else {c.name: c.missing / max(c.rows, 1) for c in profile.columns}
