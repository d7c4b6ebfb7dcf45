"""What monitoring keeps and the pure rules behind it. Modules that import numpy are imported only when they are used."""

from __future__ import annotations

from loopline.usecases.monitoring.model.alerting import findings
from loopline.usecases.monitoring.model.windows import (
    ACKNOWLEDGED,
    ALERT_ACKNOWLEDGED,
    ALERT_OPENED,
    ALERT_RESOLVED,
    OPEN,
    RESOLVED,
    Alert,
    Finding,
    LabelDelay,
    MonitorConfig,
    QualityLimit,
    QualityRules,
    Summary,
    Window,
    limits_of,
    shown_metric,
)

__all__ = [
    "ACKNOWLEDGED",
    "ALERT_ACKNOWLEDGED",
    "ALERT_OPENED",
    "ALERT_RESOLVED",
    "OPEN",
    "RESOLVED",
    "Alert",
    "Finding",
    "LabelDelay",
    "MonitorConfig",
    "QualityLimit",
    "QualityRules",
    "Summary",
    "Window",
    "findings",
    "limits_of",
    "shown_metric",
]
