"""From evidence to verdict: pure, so that a stored verdict can be checked against its stored evidence."""

from __future__ import annotations

import math

from loopline.kit.student import t_quantile
from loopline.usecases.promotion.model.gates import (
    CheckResult,
    Decision,
    Estimate,
    Evidence,
    GateConfig,
    SliceEvidence,
    SliceRule,
    Verdict,
)

LOSSES = frozenset({"log_loss", "brier", "mae", "mse"})


def decide(evidence: Evidence, config: GateConfig) -> Decision:
    """The checks and the verdict: failed when one failed, not run when a required one could not run, else passed."""
    checks = (
        _held_out(evidence, config),
        *_floor(evidence, config),
        *_comparison(evidence, config),
        *(_slices(evidence, config, rule) for rule in config.slices),
        *_latency(evidence, config),
    )
    if any(check.verdict is Verdict.FAILED for check in checks):
        return Decision(Verdict.FAILED, checks)
    open_ones = any(check.verdict is Verdict.NOT_RUN and check.required for check in checks)
    return Decision(Verdict.NOT_RUN if open_ones else Verdict.PASSED, checks)


def interval(estimate: Estimate, confidence: float, comparisons: int = 1) -> tuple[float, float]:
    """The two-sided Student interval, widened by Bonferroni's rule so that `comparisons` of them hold together."""
    tail = (1 - confidence) / 2 / comparisons
    reach = t_quantile(1 - tail, estimate.degrees) * estimate.standard_error
    return estimate.value - reach, estimate.value + reach


def _held_out(evidence: Evidence, config: GateConfig) -> CheckResult:
    name, limit = "held_out_rows", float(config.minimum_rows)
    if evidence.not_scored:
        return CheckResult(name=name, verdict=Verdict.NOT_RUN, limit=limit, reason=evidence.not_scored)
    enough = evidence.rows >= config.minimum_rows
    return CheckResult(
        name=name,
        verdict=Verdict.PASSED if enough else Verdict.NOT_RUN,
        value=float(evidence.rows),
        limit=limit,
        reason="" if enough else f"{evidence.rows} held-out rows are too few to judge by",
        evidence={"blocks": float(evidence.blocks), "positives": float(evidence.positives)},
    )


def _floor(evidence: Evidence, config: GateConfig) -> list[CheckResult]:
    if config.minimum is None:
        return []
    name = f"{config.metric}_floor"
    if evidence.score is None:
        return [CheckResult(name=name, verdict=Verdict.NOT_RUN, limit=config.minimum, reason=evidence.not_scored)]
    loss = config.metric in LOSSES
    reached = evidence.score <= config.minimum if loss else evidence.score >= config.minimum
    relation = "above" if loss else "below"
    return [
        CheckResult(
            name=name,
            verdict=Verdict.PASSED if reached else Verdict.FAILED,
            value=evidence.score,
            limit=config.minimum,
            reason="" if reached else f"{config.metric} {evidence.score:.4f} is {relation} {config.minimum:g}",
        )
    ]


def _comparison(evidence: Evidence, config: GateConfig) -> list[CheckResult]:
    wanted = [("no_worse", -config.no_worse_by)] + ([("better", config.better_by)] if config.better else [])
    if evidence.gain is None:
        first = evidence.champion is None and config.first == "allowed"
        reason = evidence.not_compared or evidence.not_scored
        return [
            CheckResult(name=name, verdict=Verdict.NOT_RUN, limit=limit, reason=reason, required=not first)
            for name, limit in wanted
        ]
    return [_above(name, evidence.gain, limit, config) for name, limit in wanted]


def _above(name: str, gain: Estimate, limit: float, config: GateConfig) -> CheckResult:
    low, high = interval(gain, config.confidence)
    # "No worse" includes the limit (a copy of the champion gains exactly 0); "better" must be more than nothing.
    passed = low > limit if name == "better" else low >= limit
    span = f"{gain.value:+.4f}, {config.confidence:.0%} interval {low:+.4f} to {high:+.4f}"
    return CheckResult(
        name=name,
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        value=gain.value,
        limit=limit,
        reason=f"gain in {config.metric} {span}",
        evidence={"low": low, "high": high, "confidence": config.confidence, "degrees": float(gain.degrees)},
    )


def _slices(evidence: Evidence, config: GateConfig, rule: SliceRule) -> CheckResult:
    name = f"slices_{rule.column}"
    found = [part for part in evidence.slices if part.column == rule.column]
    compared = [(part, part.gain) for part in found if part.gain is not None]
    if not compared:
        first = evidence.champion is None and config.first == "allowed"
        reason = evidence.not_compared or evidence.not_scored or f"no {rule.column} has {rule.minimum_rows} rows"
        return CheckResult(
            name=name, verdict=Verdict.NOT_RUN, limit=-rule.no_worse_by, reason=reason, required=not first
        )
    # One family over all slice columns: the chance that any equal slice is called worse stays below 1 - confidence.
    family = sum(part.gain is not None for part in evidence.slices)
    highs = [(interval(gain, config.confidence, family)[1], part) for part, gain in compared]
    worse = [(high, part) for high, part in highs if _shown_worse(high, rule)]
    lowest, at = min(highs, key=lambda pair: pair[0])
    return CheckResult(
        name=name,
        verdict=Verdict.FAILED if worse else Verdict.PASSED,
        value=at.gain.value if at.gain else None,
        limit=-rule.no_worse_by,
        reason=_slice_reason(rule, config, worse, len(compared), len(found)),
        evidence={"worst": at.value, "high": lowest, "compared": float(len(compared)), "family": float(family)},
    )


def _shown_worse(high: float, rule: SliceRule) -> bool:
    return not math.isnan(high) and high < -rule.no_worse_by


def _slice_reason(
    rule: SliceRule, config: GateConfig, worse: list[tuple[float, SliceEvidence]], compared: int, found: int
) -> str:
    if not worse:
        return f"none of {compared} values of {rule.column} is shown worse ({found - compared} have too few rows)"
    parts = ", ".join(f"{part.value} ({part.gain.value:+.4f})" for _, part in sorted(worse, key=_depth) if part.gain)
    return f"worse in {config.metric} for {rule.column} {parts}"


def _depth(pair: tuple[float, SliceEvidence]) -> float:
    return pair[0]


def _latency(evidence: Evidence, config: GateConfig) -> list[CheckResult]:
    if config.latency_ms is None:
        return []
    found = evidence.latency
    if found is None:
        return [
            CheckResult(name="latency", verdict=Verdict.NOT_RUN, limit=config.latency_ms, reason=evidence.not_scored)
        ]
    within = found.p99_ms <= config.latency_ms
    return [
        CheckResult(
            name="latency",
            verdict=Verdict.PASSED if within else Verdict.FAILED,
            value=found.p99_ms,
            limit=config.latency_ms,
            reason=f"p99 of {found.calls} predictions is {found.p99_ms:.2f} ms (budget {config.latency_ms:g} ms)",
            evidence={"p50_ms": found.p50_ms, "rows": float(found.rows)},
        )
    ]
