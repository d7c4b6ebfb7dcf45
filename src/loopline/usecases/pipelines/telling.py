"""What `diff` and `verify` print for people: lines with their colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Line = tuple[str, str]
_SECTIONS = (
    ("runs", "Runs"),
    ("release", "Release"),
    ("params", "Parameters"),
    ("code", "Code"),
    ("data", "Data"),
    ("environment", "Environment"),
    ("metrics", "Metrics"),
    ("versions", "Results"),
)
_MOST = 40


def of_comparison(found: Mapping[str, Any]) -> Iterator[Line]:
    """A comparison of two runs, section by section; the colour is empty for plain lines."""
    yield f"{found['a'][:8]} → {found['b'][:8]}", "bold"
    if found["a"] == found["b"]:
        yield "It is the same run: nothing differs.", "green"
        return
    if found["same"]:
        yield "Nothing differs.", "green"
    for name, title in _SECTIONS:
        if found[name]:
            yield title, "bold"
            yield from capped(lines_of(found[name]))
    steps = [step for step in found["steps"] if changed(step)]
    if steps:
        yield "Steps", "bold"
        yield from capped(step_line(step) for step in steps)
    equal = len(found["steps"]) - len(steps)
    if equal:
        yield f"{equal} {'step' if equal == 1 else 'steps'} alike.", "bright_black"


def of_verification(found: Mapping[str, Any]) -> Iterator[Line]:
    """What came of running a pipeline several times."""
    if found["error"]:
        yield found["error"], "red"
        return
    for verdict, mark, colour in (("differs", "✗", "red"), ("unknown", "?", "yellow")):
        for step in found["steps"]:
            if step["verdict"] == verdict:
                yield f"  {mark} {step['label']}: {step['place']}", colour
                yield f"      {step['hint']}", ""
    same = sum(step["verdict"] == "same" for step in found["steps"])
    runs = f"{found['runs']} {'run' if found['runs'] == 1 else 'runs'}"
    told = f"{same} of {len(found['steps'])} steps of {found['pipeline']} gave the same again in {runs}."
    yield told, "green" if found["deterministic"] else "bold"


def lines_of(differences: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    """Differences, each with its edit."""
    for one in differences:
        what = one.get("what", "")
        title = one["name"] if what in ("", "code", "param", "run", "git", one["name"]) else f"{what} {one['name']}"
        where = f" in {one['file']}" if one.get("file") else ""
        if what == "code":
            change = "new" if not one["was"] else "gone" if not one["now"] else "changed"
            yield f"  {title}{where} {change}", "green" if change == "new" else "red" if change == "gone" else "yellow"
        else:
            yield f"  {title}: {text(one['was'])} → {text(one['now'])}{moved(one['was'], one['now'])}", ""
        for line in one.get("patch", "").splitlines():
            yield f"    {line}", {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def step_line(step: Mapping[str, Any]) -> Line:
    """A step in two runs."""
    if not step["was"] or not step["now"]:
        return f"  {step['label']} is only in the {'second' if step['now'] else 'first'} run", "yellow"
    said = [step["was"] if step["was"] == step["now"] else f"{step['was']} → {step['now']}"]
    said += ["code changed"] * step["code_changed"]
    said += {"same": ["same result"], "differs": ["another result"]}.get(step["output"], [])
    if step["seconds_was"] or step["seconds_now"]:
        said.append(f"{step['seconds_was']:.2f} s → {step['seconds_now']:.2f} s")
    return f"  {step['label']}: {', '.join(said)}", "yellow" if step["output"] == "differs" else ""


def changed(step: Mapping[str, Any]) -> bool:
    """Whether a step is worth a line."""
    return bool(step["was"] != step["now"] or step["code_changed"] or step["output"] == "differs")


def capped(lines: Iterable[Line]) -> Iterator[Line]:
    """The first lines, and how many more there are."""
    found = list(lines)
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"  … {len(found) - _MOST} more lines; --json has them all", "bright_black"


def text(value: Any) -> str:
    """A value of one run, or that it has none."""
    if value is None or value == "":
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def moved(was: Any, now: Any) -> str:
    """By how much a number moved."""
    if not isinstance(was, int | float) or not isinstance(now, int | float):
        return ""
    return f" ({now - was:+.6g})"


def clean(line: str) -> str:
    """A line without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line)
