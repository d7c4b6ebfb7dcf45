"""The verbs of monitoring."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.core.tables import Signature
from loopline.core.times import from_ms, from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.insights import Insights
from loopline.usecases.monitoring.messages import Messages, Notify
from loopline.usecases.monitoring.model import Alert, MonitorConfig, Summary, Window, findings, limits_of, shown_metric
from loopline.usecases.monitoring.model.alerts import Precision
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.needs import Ledger, Projects, Registry, Serving
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import windows as store

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.usecases.monitoring.model.evaluation import Evaluated
    from loopline.usecases.monitoring.model.fleet import Fleet
    from loopline.usecases.monitoring.model.reporting import DriftReport

ACTOR = "monitor"
Describe = Callable[[str, int], tuple[Signature | None, Profile | None]]


class Monitoring(Insights):
    """Watches endpoints: how good they are once truth has arrived, what their inputs look like, and what to wake for."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        registry: Registry,
        serving: Serving,
        projects: Projects,
        notify: Notify | None = None,
        home: Path | None = None,
        datasets: Any = None,
    ) -> None:
        self._database = database
        self.messages = Messages(database, clock, projects, notify, home)
        self._clock = clock
        self._registry = registry
        self._serving = serving
        self._projects = projects
        self._datasets = datasets
        self._incidents = Incidents(ledger)
        self._profiles: dict[tuple[str, int], Profile] = {}

    def rules(self, endpoint: str) -> MonitorConfig:
        """What is watched on an endpoint: from `loopline.yaml`, or the defaults. Invalid when it is written wrongly."""
        written = self._projects.monitor(endpoint)
        try:
            return MonitorConfig() if written is None else msgspec.convert(_rules_in(written), MonitorConfig)
        except msgspec.ValidationError as error:
            message = f"The monitor of endpoint {endpoint!r} is written wrongly: {error}."
            raise Invalid(message, "Mend it in loopline.yaml.") from None

    def profile(self, table: pa.Table, signature: Signature, event_time: str = "") -> bytes:
        """The training profile of a table of inputs, as it is registered with a model version.

        With `event_time` (a timestamp column of the table) it also says how much the table's own days and weeks differ.
        """
        from loopline.usecases.monitoring.model import profile, sketching

        return profile.encode(sketching.profile(table, signature, event_time=event_time))

    def evaluate_all(self, actor: str = ACTOR) -> list[Summary]:
        """`evaluate` every endpoint that has predictions."""
        found = [self.evaluate(endpoint.name, actor) for endpoint in self._serving.endpoints()]
        return [summary for summary in found if summary is not None]

    def evaluate(self, endpoint: str, actor: str = ACTOR) -> Summary | None:
        """Read what is new in the logs, recompute the windows that it touches, open and resolve alerts.

        Repeating it without news changes nothing. None when the endpoint has no prediction yet.
        """
        config = self.rules(endpoint)
        mark = self._mark(endpoint, config)
        before = self._database.read(lambda tx: store.summary(tx, endpoint))
        if mark and before is not None and before[0] == mark:
            return before[1]
        predictions = self._serving.read_predictions(endpoint)
        if not len(predictions):
            return None
        return self._evaluate(endpoint, config, mark, predictions, actor)

    def summary(self, endpoint: str) -> Summary:
        """The endpoint's monitoring as last evaluated; NotFound when it never was."""
        found = self._database.read(lambda tx: store.summary(tx, endpoint))
        if found is None:
            raise NotFound(
                f"Endpoint {endpoint!r} has not been evaluated yet.",
                "It is, a moment after its first predictions; `loopline endpoints` lists endpoints.",
            )
        return found[1]

    def summaries(self) -> list[Summary]:
        """All endpoints that were evaluated."""
        return self._database.read(store.summaries)

    def fleet(
        self, search: str = "", state: str = "", page: int = 1, size: int = 100, endpoint: str = ""
    ) -> Fleet:
        """A page of all monitored models (or one), who needs a look first. Invalid for an unknown state."""
        from loopline.usecases.monitoring.fleet import fleet

        return fleet(self._database, self._projects, self._clock, search, state, page, size, endpoint)

    def windows(self, endpoint: str, column: str = "", since: str = "", until: str = "") -> list[Window]:
        """Windows over time: of the whole endpoint, or by "version" or a slice column; those not mature are provisional.

        `since` and `until` bound the windows' starts.
        """
        bounds = [to_text(from_text(bound)) if bound else "" for bound in (since, until)]
        return self._database.read(lambda tx: store.windows_of(tx, endpoint, column, bounds[0], bounds[1]))

    def drift(self, endpoint: str, start: str = "") -> DriftReport:
        """Each feature of a window (default: the newest complete one, else the newest) against the training profile.

        NotFound without predictions, or when the version that served them was registered without a profile.
        """
        from loopline.usecases.monitoring import drifting

        config, wanted = self.rules(endpoint), to_text(from_text(start)) if start else ""
        whole = self.windows(endpoint)
        ended = [window for window in whole if window.complete] or whole
        chosen = [window for window in whole if window.start == wanted] if wanted else ended[-1:]
        if not chosen:
            raise NotFound(
                f"Endpoint {endpoint!r} has no window {start}".rstrip() + ".", "`loopline monitor` lists them."
            )
        window = chosen[0]
        return drifting.report(self._serving, endpoint, window, config.window, self._describe())

    def alerts(self, endpoint: str = "", state: str = "", limit: int = 100) -> list[Alert]:
        """Alerts, newest first. `state` "open" means not resolved; else "acknowledged" or "resolved"."""
        if state not in ("", "open", "acknowledged", "resolved"):
            raise Invalid(f"{state!r} is no state of an alert.", "Use open, acknowledged or resolved.")
        return self._database.read(lambda tx: alert_store.alerts(tx, endpoint, state, max(1, min(limit, 1000))))

    def alert(self, alert: str) -> Alert:
        """One alert; NotFound when there is none."""
        return self._database.read(lambda tx: self._incidents.existing(tx, alert))

    def judge(self, alert: str, verdict: str, actor: str, note: str = "") -> Alert:
        """Say whether an alert was "real" or "false"; "" takes that back."""
        at = self._clock.text()
        return self._database.write(lambda tx: self._incidents.judge(tx, alert, verdict, actor, note, at))

    def precision(self, endpoint: str = "") -> list[Precision]:
        """What share of the alerts that people judged was real, by endpoint."""
        return self._database.read(lambda tx: alert_store.precision(tx, endpoint))

    def acknowledge(self, alert: str, actor: str, note: str = "") -> Alert:
        """Say that someone looks after an alert."""
        at = self._clock.text()
        return self._database.write(lambda tx: self._incidents.acknowledge(tx, alert, actor, note, at))

    def resolve(self, alert: str, actor: str, note: str = "") -> Alert:
        """Close an alert by hand."""
        at = self._clock.text()
        return self._database.write(lambda tx: self._incidents.resolve(tx, alert, actor, note, at))

    def _evaluate(self, endpoint: str, config: MonitorConfig, mark: str, predictions: pa.Table, actor: str) -> Summary:
        from loopline.usecases.monitoring.model.evaluation import evaluate

        describe = self._describe()
        stored = self._database.read(lambda tx: store.windows(tx, endpoint))
        known = {(window.start, window.column, window.value): (print_of, window) for print_of, window in stored}
        found = evaluate(predictions, self._serving.read_truth(endpoint), config, known, describe)
        summary = self._summarized(endpoint, config, found)
        wrong = findings(
            [window for _, window in found.windows], config, summary.limits, found.live_at,
            _usual_missing(describe, found.live), found.delay,
        )  # fmt: skip
        at = self._clock.text()

        def work(tx: Transaction) -> Summary:
            self._keep(tx, endpoint, known, found, at)
            before = store.summary(tx, endpoint)
            judged = {} if before is None else before[1].judged
            judged = self._incidents.settle(tx, endpoint, summary.model, wrong, judged, actor, at)
            whole = msgspec.structs.replace(summary, judged=judged)
            store.put_summary(tx, whole, mark, at)
            return whole

        return self._database.write(work)

    def _keep(self, tx: Transaction, endpoint: str, known: dict[Any, Any], found: Evaluated, at: str) -> None:
        fresh = {(window.start, window.column, window.value): (mark, window) for mark, window in found.windows}
        changed = [entry for key, entry in fresh.items() if known.get(key) != entry]
        store.put_windows(tx, endpoint, changed, at)
        store.drop_windows(tx, endpoint, known.keys() - fresh.keys())

    def _summarized(self, endpoint: str, config: MonitorConfig, found: Evaluated) -> Summary:
        whole = [window for _, window in found.windows if window.column == ""]
        mature = [window for window in whole if window.mature]
        model, version = found.live
        limits = limits_of(config, self._metrics(model, version))
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
            truth_records=found.joined.records,
            duplicates=found.joined.duplicates,
            corrections=found.joined.corrections,
            orphans=found.joined.orphans,
            label_delay=found.delay,
            mature_windows=len(mature),
            provisional_windows=len(whole) - len(mature),
            mature_until=max((window.end for window in mature), default=""),
        )

    def _metrics(self, model: str, version: int | None) -> dict[str, Any]:
        try:
            return {} if version is None else dict(self._registry.version(model, version).metrics)
        except LooplineError:
            return {}

    def _mark(self, endpoint: str, config: MonitorConfig) -> str:
        """A text that differs when there is something to evaluate; '' when only reading the logs can tell."""
        log_mark = getattr(self._serving, "log_mark", None)
        rules = zlib.crc32(msgspec.json.encode(config))
        return "" if log_mark is None else f"{log_mark(endpoint)} {rules:08x}"

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


def _rules_in(written: Any) -> Any:
    """The rules without the fields by which `loopline.yaml` says what they apply to."""
    rules = msgspec.to_builtins(written)
    return {name: value for name, value in rules.items() if name not in ("endpoint", "model", "name", "alert")}


def _usual_missing(describe: Describe, live: tuple[str, int | None]) -> dict[str, float]:
    profile = describe(live[0], live[1])[1] if live[1] is not None else None
    return {} if profile is None else {c.name: c.missing / max(c.rows, 1) for c in profile.columns}
