"""What the control plane tells Prometheus."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from loopline import __version__
from loopline.kit.exposition import Gauge, gauge_lines, process_lines

if TYPE_CHECKING:
    from loopline.app.wiring import Loopline

TEXT = "text/plain; version=0.0.4; charset=utf-8"
MOST_ALERTS = 10_000


def metrics_text(loopline: Loopline) -> str:
    """Facts, what each endpoint shall serve and open alerts, besides what the process uses."""
    facts = loopline.ledger.latest(1)
    open_alerts = Counter(alert.endpoint for alert in loopline.monitoring.alerts("", "open", MOST_ALERTS))
    endpoints = [each for each in loopline.serving.desired() if each.wanted is not None]
    gauges = [
        Gauge("build_info", "The version of Loopline.", [({"version": __version__}, 1)]),
        Gauge("ledger_facts", "Facts in the ledger.", [({}, facts[0].seq if facts else 0)]),
        Gauge("alerts_open", "Alerts that are not resolved.",
              [({"endpoint": name}, number) for name, number in sorted(open_alerts.items())]),
        Gauge("endpoint_under_way", "1 while another revision shall be live than is.",
              [({"endpoint": each.endpoint.name}, float(each.endpoint.wanted != each.endpoint.live)) for each in endpoints]),
    ]  # fmt: skip
    return "\n".join([*gauge_lines(gauges, "loopline_"), *process_lines()]) + "\n"
