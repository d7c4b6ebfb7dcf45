"""What the commands of alerts say."""

from __future__ import annotations

import pytest

from loopline.usecases.monitoring.alerts_cli import story

pytestmark = pytest.mark.unit


def test_an_alert_is_told_whole() -> None:
    alert = {
        "id": "a1", "endpoint": "late", "cause": "data_quality", "state": "acknowledged", "model": "delays", "version": 3,
        "first_window": "2013-04-07T00:00:00.000Z", "last_window": "2013-04-07T00:00:00.000Z", "value": 0.3, "limit": 0.1,
        "message": "30 % of wind is missing", "opened_at": "", "changed_at": "", "changed_by": "anna", "note": "a sensor",
        "details": {"effect": "missing in wind: 30 % of rows, usually 3 %", "commands": ["loopline report late"]},
        "verdict": "real", "judged_by": "anna",
    }  # fmt: skip
    assert story(alert).splitlines() == [
        "a1: data quality on late, acknowledged",
        "30 % of wind is missing",
        "What changed: missing in wind: 30 % of rows, usually 3 %",
        "Since: 2013-04-07",
        "Version: delays:3",
        "anna: a sensor",
        "Judged real by anna.",
        "Next:",
        "  loopline report late",
    ]
