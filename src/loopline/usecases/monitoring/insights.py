"""Questions about the past of an endpoint: what explains a drop, what other rules would have said, why a limit is what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import LooplineError, NotFound
from loopline.core.ids import new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.monitoring import budgets
from loopline.usecases.monitoring.model import Alert, MonitorConfig, Summary
from loopline.usecases.monitoring.model.budget.results import Backtest, Choice
from loopline.usecases.monitoring.needs import Registry, Serving
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import budgets as budget_store
from loopline.usecases.monitoring.store import windows as window_store

if TYPE_CHECKING:
    from loopline.usecases.monitoring.blaming import Blaming
    from loopline.usecases.monitoring.model.blame.results import Blame

MOST_ALERTS = 1000


class Insights:
    """The part of the service that looks back."""

    _database: Database
    _clock: Clock
    _registry: Registry
    _serving: Serving
    _datasets: Any

    def rules(self, endpoint: str) -> MonitorConfig:
        raise NotImplementedError

    def summary(self, endpoint: str) -> Summary:
        raise NotImplementedError

    def blame(
        self, alert: str = "", endpoint: str = "", window: str = "", against: str = "", metric: str = ""
    ) -> Blame:
        """What explains an alert, or the change of a metric between two windows of an endpoint.

        The three most important reasons are kept with the alert. NotFound for an unknown alert, endpoint or window, and
        where there is nothing to compare with.
        """
        from loopline.usecases.monitoring import blaming

        one = self._alert(alert) if alert else None
        endpoint = one.endpoint if one is not None else endpoint
        asked = self._blaming(endpoint)
        if one is None:
            return asked.answer(asked.of_windows(endpoint, window, against, metric))
        found = asked.answer(asked.of_alert(one))
        self._database.write(lambda tx: _keep(tx, one.id, blaming.top(found)))
        return found

    def blame_open(self, endpoint: str) -> int:
        """Blame the alerts of an endpoint that are open and were not blamed yet; answers how many were. One that cannot be
        (nothing to compare with) says why instead, and is not tried again by itself."""
        done = 0
        for alert in self._database.read(lambda tx: alert_store.alerts(tx, endpoint, "open", MOST_ALERTS)):
            if alert.cause in ("performance", "estimate", "drift", "data_quality") and "blame" not in alert.details:
                try:
                    self.blame(alert.id)
                    done += 1
                except LooplineError as error:
                    why = {"sentences": [str(error)], "parts": [], "features": []}
                    self._database.write(partial(_keep, alert_id=alert.id, reasons=why))
        return done

    def budget(self, endpoint: str) -> Choice:
        """The limits that the endpoint's alert budget led to at its last evaluation, and why; `note` says what keeps it
        from setting any. NotFound for an endpoint that was never evaluated."""
        config, _ = self.rules(endpoint), self.summary(endpoint)
        alerts = self._database.read(lambda tx: alert_store.alerts(tx, endpoint, "", MOST_ALERTS))
        found = self._database.read(lambda tx: budget_store.choice(tx, endpoint))
        note = budgets.unasked(config)
        if found is None or note:
            found = Choice(endpoint=endpoint, per_quarter=config.alarms.per_quarter or 0.0, note=note)
        return msgspec.structs.replace(found, precision=budgets.precision(endpoint, alerts))

    def backtest(
        self, endpoint: str, since: str = "", until: str = "", plants: Sequence[str] = (),
        rules: Mapping[str, Any] | None = None, keep: bool = False, actor: str = "",
    ) -> Backtest:  # fmt: skip
        """Replay the history of an endpoint as it was seen then, under its rules or with some `rules` changed, once as it
        was and once with each of `plants` ("KIND:COLUMN:SIZE@DATE"). Nothing is written but with `keep`, the answer.

        NotFound without history, Invalid for a rule or plant that cannot be.
        """
        from loopline.usecases.monitoring.backtest import backtest

        found = backtest(self, endpoint, since, until, plants, rules)
        if keep:
            at = self._clock.text()
            self._database.write(lambda tx: budget_store.add_backtest(tx, new_id(), found, actor, at))
        return found

    def backtests(self, endpoint: str) -> list[Backtest]:
        """Backtests that were kept, newest first."""
        return self._database.read(lambda tx: budget_store.backtests(tx, endpoint))

    def _choices(self, endpoint: str) -> list[Choice]:
        return self._database.read(lambda tx: budget_store.choices(tx, endpoint))

    def blamable(self, alert: str, endpoint: str) -> object:
        """Whatever refuses a question about an alert or endpoint at once."""
        return self.summary(self._alert(alert).endpoint if alert else endpoint)

    def _alert(self, alert_id: str) -> Alert:
        found = self._database.read(lambda tx: alert_store.alert(tx, alert_id))
        if found is None:
            raise NotFound(f"There is no alert {alert_id!r}.", "`loopline alerts` lists them.")
        return found

    def _blaming(self, endpoint: str) -> Blaming:
        from loopline.usecases.monitoring.blaming import Blaming

        summary = self.summary(endpoint)
        return Blaming(
            serving=self._serving,
            registry=self._registry,
            datasets=self._datasets,
            config=self.rules(endpoint),
            windows=[window for _, window in self._database.read(lambda tx: window_store.windows(tx, endpoint))],
            alerts=self._database.read(lambda tx: alert_store.alerts(tx, endpoint, "", MOST_ALERTS)),
            summary=summary,
        )


def _keep(tx: Transaction, alert_id: str, reasons: dict[str, Any]) -> None:
    alert = alert_store.alert(tx, alert_id)
    if alert is not None:
        alert_store.set_alert(tx, msgspec.structs.replace(alert, details=alert.details | {"blame": reasons}))
