"""What monitoring keeps and the pure rules behind it. Modules that import numpy are imported only when they are used."""

from __future__ import annotations

from loopline.usecases.monitoring.model.alerting import findings
from loopline.usecases.monitoring.model.alerts import (
    ACKNOWLEDGED,
    ALERT_ACKNOWLEDGED,
    ALERT_JUDGED,
    ALERT_OPENED,
    ALERT_RESOLVED,
    OPEN,
    RESOLVED,
    Alert,
    Finding,
)
from loopline.usecases.monitoring.model.config import (
    PERIODS,
    AlarmBudget,
    DriftRules,
    EstimateRules,
    Heartbeat,
    MonitorConfig,
    Period,
    QualityLimit,
    QualityRules,
    limits_of,
    shown_metric,
)
from loopline.usecases.monitoring.model.windows import LabelDelay, Summary, Window

__all__ = [
    "PERIODS",
    "ALERT_JUDGED",
    "AlarmBudget",
    "DriftRules",
    "EstimateRules",
    "Heartbeat",
    "Period",
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
