"""A plan as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SIGNS = {"new": "+", "changed": "~", "gone": "-", "changed_by_hand": "!"}
MOST = 12


def drawn(plan: Mapping[str, Any]) -> str:
    """A sign, the thing, what of it; then what is left over, and what was done by hand and stays."""
    lines = [_headline(plan)]
    kinds = [(f"{each['kind']} {each['name']}", each) for each in plan["changes"]]
    wide = max((len(thing) for thing, _ in kinds), default=0)
    for thing, change in kinds:
        told = change["what"].replace("_", " ") + _by(change)
        lines.append(f"  {SIGNS[change['what']]} {thing:<{wide}}  {told}")
        lines += _details(change["details"])
    lines += _leftovers(plan)
    for note in plan["notes"]:
        lines.append(f"  i {note['kind']} {note['name']} {note['text']}{_by(note)}")
    if plan["changes"] and not plan["applied"]:
        lines.append(f"`loopline apply` does it; with --after {plan['after']} only if nobody applies before you")
    return "\n".join(lines)


def verdict(plan: Mapping[str, Any]) -> tuple[str, str]:
    """Message and hint of a check that failed."""
    changes, left = len(plan["changes"]), len(plan["leftovers"])
    if not changes:
        return f"{_counted(left, 'thing')} of {plan['project']!r} {'is' if left == 1 else 'are'} left over.", _PRUNE
    what = _counted(changes, "thing")
    return f"{what} of {plan['project']!r} {'differs' if changes == 1 else 'differ'}.", "`loopline apply` makes it so."


_PRUNE = "`loopline apply --prune` retires what is left over; its data stay."


def _headline(plan: Mapping[str, Any]) -> str:
    changes, name = plan["changes"], plan["project"]
    if not changes and not plan["pruned"]:
        nothing = "nothing to change" if plan["applied"] else "nothing would change"
        return f"{name}: {nothing}" + ("" if plan["leftovers"] else ", it is in step")
    done = "changed" if plan["applied"] else "would change"
    return f"{name}: {len(changes)} {done}" + (", what was left over is retired" if plan["pruned"] else "")


def _leftovers(plan: Mapping[str, Any]) -> Iterator[str]:
    for left in plan["leftovers"]:
        since = f", not named since {left['at'][:16]} ({left['by']})" if left["at"] else ", no longer named"
        yield f"  ? {left['kind']} {left['name']}  left over{since}"
        yield from _details(left["details"])
    if plan["leftovers"]:
        yield _PRUNE


def _details(details: Any) -> Iterator[str]:
    yield from (f"      {line}" for line in details[:MOST])
    if len(details) > MOST:
        yield f"      and {len(details) - MOST} more"


def _by(change: Mapping[str, Any]) -> str:
    return f" by {change['by']} at {change['at'][:16]}" if change.get("by") else ""


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
