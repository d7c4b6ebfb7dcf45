"""What explains a change, in sentences. No numpy here."""

from __future__ import annotations

from loopline.usecases.monitoring.model.blame.results import (
    Blame,
    BlamedFeature,
    BlamedPart,
    BlamedVersion,
)

MOST = 8
MOVED = 0.1  # the weight from which a feature is worth a sentence


def sentences(found: Blame) -> tuple[str, ...]:
    """The change, what explains it, what is left, versions, features and data: the most important first."""
    told = [_change(found)]
    told += [_part(found, part) for part in found.parts]
    told += _rest(found)
    told += [_version(found, one) for one in found.versions if _differs(one)]
    told += _replaced(found)
    told += [_feature(one) for one in found.features[:3] if one.weight >= MOVED]
    told += [one.told for one in found.data if one.told]
    return tuple(told[:MOST])


def _change(found: Blame) -> str:
    then, now = found.then, found.now
    if then.value is None or now.value is None or found.change is None:
        return f"{found.metric} cannot be told for both windows: {now.rows:,} rows now, {then.rows:,} before."
    return (
        f"{found.metric} of {found.endpoint} went from {then.value:.4g} ({then.start[:10]} to {then.end[:10]}, "
        f"{then.rows:,} rows) to {now.value:.4g} ({now.start[:10]} to {now.end[:10]}, {now.rows:,} rows): {found.change:+.4g}."
    )


def _part(found: Blame, part: BlamedPart) -> str:
    rows = f"{100 * part.rows_now:.0f} % of rows"
    levels = (
        f"was {part.value_then:.3g}, is {part.value_now:.3g}; {rows}"
        if part.value_then is not None and part.value_now is not None
        else f"{rows}, {100 * part.rows_then:.0f} % before"
    )
    if part.by == "mix":
        levels += f", {100 * part.rows_then:.0f} % before"
        how = "comes from more or fewer rows with" if part.value_then is not None else "comes from the new"
    else:
        how = "comes from"
    where = f", where {part.moved}" if part.moved else ""
    return f"{100 * part.share:.0f} % of the change {how} {part.segment} ({levels}){where}."


def _rest(found: Blame) -> list[str]:
    if found.rest is None or not found.change:
        return []
    share = found.rest / found.change
    if not found.parts:
        return ["No segment stands out of what days do by chance: the change is spread over all rows (not explained)."]
    return [f"{100 * share:.0f} % is spread over all other rows (not explained)."] if abs(share) >= 0.01 else []


def _differs(one: BlamedVersion) -> bool:
    return one.gap is not None and one.gap_error is not None and abs(one.gap) > 2 * one.gap_error


def _version(found: Blame, one: BlamedVersion) -> str:
    return (
        f"On the same days version {one.version} of {one.model} differs from the others by {one.gap:+.3g} "
        f"(error {one.gap_error:.2g})."
    )


def _replaced(found: Blame) -> list[str]:
    fresh = [one for one in found.versions if one.rows_then == 0 and one.rows_now]
    old = [one for one in found.versions if one.rows_then and one.rows_now == 0]
    if not fresh or not old:
        return []
    one = max(fresh, key=lambda version: version.rows_now)
    return [
        f"Version {one.version} took over from version {old[-1].version} on {one.first_at[:10]}, between the two windows: "
        "what the version did and what the time did cannot be told apart where only one of them answered."
    ]


def _feature(one: BlamedFeature) -> str:
    how = f": {one.told}" if one.told else ""
    return f"{one.name} moved most for what the model goes by ({100 * one.weight:.0f} % of all such moves){how}."
