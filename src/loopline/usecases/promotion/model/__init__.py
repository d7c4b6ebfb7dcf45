"""What a gate asks, what it found, and what follows from that."""

from __future__ import annotations

from loopline.usecases.promotion.model.decision import decide
from loopline.usecases.promotion.model.gates import (
    APPROVAL_GIVEN,
    GATE_DECIDED,
    Approval,
    CheckResult,
    Decision,
    Estimate,
    Evidence,
    Gate,
    GateConfig,
    LatencyEvidence,
    SliceEvidence,
    SliceRule,
    Standing,
    Verdict,
)

__all__ = [
    "APPROVAL_GIVEN",
    "GATE_DECIDED",
    "Approval",
    "CheckResult",
    "Decision",
    "Estimate",
    "Evidence",
    "Gate",
    "GateConfig",
    "LatencyEvidence",
    "SliceEvidence",
    "SliceRule",
    "Standing",
    "Verdict",
    "decide",
]
