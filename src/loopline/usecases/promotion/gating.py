"""Running a gate: load both models, predict the same held-out rows, gather the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid, LooplineError
from loopline.core.times import to_ms
from loopline.usecases.promotion.model import Evidence, GateConfig
from loopline.usecases.promotion.needs import Registry, Version

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.usecases.promotion.model.comparison import HeldOut

LABELS = ("label", "truth", "target")


def gathered(registry: Registry, challenger: Version, champion: Version | None, config: GateConfig) -> Evidence:
    """The evidence on a challenger; what cannot be measured is said in it, never raised (except a missing version)."""
    from loopline.usecases.promotion.model import comparison

    number = None if champion is None else champion.version
    evidence = Evidence(metric=config.metric, challenger=challenger.version, champion=number, digest=challenger.digest)
    try:
        table = registry.evaluation(challenger.model, challenger.version)
        rows = comparison.held_out(table, label_of(challenger, table), config)
        evidence = comparison.with_rows(evidence, rows)
        problem = comparison.unusable(config.metric, rows) or trained_on(challenger, evidence)
        if problem:
            return msgspec.structs.replace(evidence, not_scored=problem)
        return _scored(registry, challenger, champion, config, rows, evidence)
    except LooplineError as error:
        return msgspec.structs.replace(evidence, not_scored=str(error))


def label_of(version: Version, table: pa.Table) -> str:
    """The label's column: what the version's metadata calls `label`, else its output's name, else a usual name, else
    the one column beside the inputs that holds only 0 and 1. Invalid when that leaves it open."""
    named = version.metadata.get("label")
    usual = [name for name in (version.signature.output.name, *LABELS) if name in table.column_names]
    if named or usual:
        return str(named or usual[0])
    inputs = {column.name for column in version.signature.inputs}
    found = [name for name in table.column_names if name not in inputs and only_zero_and_one(table[name])]
    if len(found) == 1:
        return str(found[0])
    raise Invalid(
        f"Which column of the held-out rows of version {version.version} is the label cannot be told"
        + (f" ({', '.join(found)} could be)." if found else "."),
        'Register it with metadata={"label": "<column>"}.',
    )


def only_zero_and_one(column: Any) -> bool:
    """Whether a column of numbers or truth values holds nothing but 0, 1 and empty places."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return False
    values = set(pc.unique(column.cast("float64")).to_pylist())
    return bool(values & {0.0, 1.0}) and all(value is None or value != value or value in (0.0, 1.0) for value in values)


def trained_on(version: Version, evidence: Evidence) -> str:
    """Why a version may not be judged on this held-out period, or ''. Unknown training ranges pass."""
    until = version.metadata.get("trained_until")
    if not until or not evidence.held_out_from or to_ms(str(until)) <= to_ms(evidence.held_out_from):
        return ""
    return (
        f"version {version.version} was trained on rows until {until}, "
        f"inside the held-out period that begins {evidence.held_out_from}"
    )


def _scored(
    registry: Registry,
    challenger: Version,
    champion: Version | None,
    config: GateConfig,
    rows: HeldOut,
    evidence: Evidence,
) -> Evidence:
    from loopline.kit.scores import influences
    from loopline.usecases.promotion.model import comparison

    model = registry.load(challenger.model, challenger.version)
    ours = comparison.predicted(model, challenger.signature, rows.table)
    changes: dict[str, Any] = {"score": influences(config.metric, rows.truth, ours)[0]}
    if config.latency_ms is not None:
        changes["latency"] = comparison.latency(model, challenger.signature, rows.table, config.latency_rows)
    evidence = msgspec.structs.replace(evidence, **changes)
    problem = _not_comparable(champion, evidence) or comparison.too_few(config.metric, rows)
    if problem or champion is None:
        return msgspec.structs.replace(evidence, not_compared=problem)
    try:
        theirs = comparison.predicted(registry.load(champion.model, champion.version), champion.signature, rows.table)
    except LooplineError as error:
        return msgspec.structs.replace(evidence, not_compared=f"champion: {error}")
    return _with_comparison(config, rows, ours, theirs, evidence)


def _with_comparison(config: GateConfig, rows: HeldOut, ours: Any, theirs: Any, evidence: Evidence) -> Evidence:
    from loopline.usecases.promotion.model import comparison

    found = comparison.compared(config.metric, rows, ours, theirs)
    slices = [
        part for rule in config.slices for part in comparison.slice_evidence(config.metric, rows, rule, ours, theirs)
    ]
    return msgspec.structs.replace(evidence, champion_score=found.champion_score, gain=found.gain, slices=tuple(slices))


def _not_comparable(champion: Version | None, evidence: Evidence) -> str:
    if champion is None:
        return "no champion to compare with"
    if champion.version == evidence.challenger:
        return "this version is the champion itself"
    return trained_on(champion, evidence)
