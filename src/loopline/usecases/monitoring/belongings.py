"""Windows, alerts and the book belong to the endpoint that is watched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loopline.core.belongings import Belongings, Rows
from loopline.kit.rows import among


class Owner(Belongings):
    """The monitor of an endpoint."""

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "endpoint":
            where, params = among("endpoint", names)
            yield Rows("monitoring_windows", where, params, "windows")
            yield Rows("monitoring_drift", where, params)
            yield Rows("monitoring_estimates", where, params)
            yield Rows("monitoring_alerts", where, params, "alerts")
            yield Rows("monitoring_messages", where, params, "messages")
            yield Rows("monitoring_deliveries", where, params)
            yield Rows("monitoring_beats", where, params)
            yield Rows("monitoring_budgets", where, params, "limits")
            yield Rows("monitoring_backtests", where, params, "backtests")
            yield Rows("monitoring_endpoints", where, params, "monitors")

    def folders(self, kind: str, names: Sequence[str]) -> Sequence[str]:
        return [f"monitoring/{name}" for name in names] if kind == "endpoint" else []
