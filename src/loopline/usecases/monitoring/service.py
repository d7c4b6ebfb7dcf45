"""The verbs of monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Signature
from loopline.core.times import from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring.estimated import Estimates
from loopline.usecases.monitoring.evaluating import Evaluating
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.insights import Insights
from loopline.usecases.monitoring.messages import Messages, Notify
from loopline.usecases.monitoring.model import Alert, MonitorConfig, Summary, Window
from loopline.usecases.monitoring.model.alerts import Precision
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.needs import Ledger, Projects, Registry, Serving
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import windows as store
from loopline.usecases.monitoring.tending import Tending

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.usecases.monitoring.model.drifts.reports import DriftHistory, DriftReport
    from loopline.usecases.monitoring.model.fleet import Fleet
    from loopline.usecases.monitoring.model.quality.results import Arrivals
    from loopline.usecases.monitoring.model.summaries import ColumnSummary
    from loopline.usecases.monitoring.profiling import Batches


class Monitoring(Evaluating, Insights, Estimates, Tending):
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
        automation: Any = None,
    ) -> None:
        self._database = database
        self.messages = Messages(database, clock, projects, notify, home)
        self._clock = clock
        self._registry = registry
        self._serving = serving
        self._projects = projects
        self._home = home or Path()
        self._datasets = datasets
        self._automation = automation
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

    def profiled(self, content: bytes, signature: Signature, datasets: Sequence[str] = ()) -> bytes | None:
        """What is kept with a version of the training rows (Arrow) or the profile that it came with: the profile, with what
        the contracts of `datasets` say of inputs by the same name. None when the rows are not those of its signature."""
        from loopline.usecases.monitoring import profiling

        return profiling.kept(content, signature, profiling.contracts(self._datasets, datasets))

    def profiler(self, model: str, version: int) -> Batches:
        """Counts scored rows in the cells of a version's training profile: `add(table)` for each batch, `finish()` gives
        their profile. NotFound for a version that does not exist."""
        from loopline.usecases.monitoring import profiling

        signature = self._registry.version(model, version).signature
        return profiling.Batches(signature, self._described(model, version)[1])

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

    def arrivals_in(self, tx: Transaction, endpoint: str) -> Arrivals | None:
        """How truth arrives at an endpoint; None when it was never evaluated."""
        from loopline.usecases.monitoring.qualities import arrivals

        return arrivals(tx, endpoint)

    def fleet(self, search: str = "", state: str = "", page: int = 1, size: int = 100, endpoint: str = "") -> Fleet:
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
        """Each column of a window (default: the newest complete one, else the newest) against what the monitor's rules
        name: the rows of training, or other windows.

        NotFound without predictions, or when there is nothing to compare with.
        """
        from loopline.usecases.monitoring import drifting

        config, wanted = self.rules(endpoint), to_text(from_text(start)) if start else ""
        every = [window for _, window in self._database.read(lambda tx: store.windows(tx, endpoint))]
        whole = [window for window in every if window.column == ""]
        ended = [window for window in whole if window.complete] or whole
        chosen = [window for window in whole if window.start == wanted] if wanted else ended[-1:]
        if not chosen:
            raise NotFound(
                f"Endpoint {endpoint!r} has no window {start}".rstrip() + ".", "`loopline monitor` lists them."
            )
        describe, model = self._describe(), self.summary(endpoint).model
        book = self.book(endpoint, config, describe)
        return drifting.report(book, config, model, every, chosen[0], describe, self._database.read, endpoint)

    def drift_history(self, endpoint: str, since: str = "", until: str = "") -> DriftHistory:
        """How unusual each column was in each complete window that starts within [since, until)."""
        from loopline.usecases.monitoring import drifting
        from loopline.usecases.monitoring.model.drifts.reports import history

        bounds = [to_text(from_text(bound)) if bound else "" for bound in (since, until)]
        return history(endpoint, drifting.history(self._database.read, endpoint, *bounds))

    def profiles(self, endpoint: str, since: str = "", until: str = "") -> list[ColumnSummary]:
        """Each column of the windows that start within [since, until) in a few numbers."""
        from loopline.usecases.monitoring.summarizing import summaries

        return list(summaries(self.book(endpoint), self.windows(endpoint, "", since, until)))

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


def _rules_in(written: Any) -> Any:
    """The rules without the fields by which `loopline.yaml` says what they apply to."""
    rules = msgspec.to_builtins(written)
    return {name: value for name, value in rules.items() if name not in ("endpoint", "model", "name", "alert")}
