"""The results as one table of text."""

from __future__ import annotations

from typing import Any

ORDER = ("loopline", "joblib", "kedro", "luigi", "hamilton", "dagster", "prefect", "zenml", "metaflow")
OVERHEAD = ("chain 20", "chain 100", "chain 1000", "chain 10000", "diamond")


def text(results: dict[str, Any]) -> str:
    """All parts; a missing figure is a dash, an extrapolated one carries a ~, ratios are to ours."""
    tools = {name: results["tools"][name] for name in ORDER if name in results["tools"]}
    facts = results["machine"]
    head = f"{facts['date']}, {facts['cores']} cores, load {facts['load']}, Python {facts['python']}"
    parts = [head, overhead(tools), others(tools)]
    notes = [f"{name}: {one['error']}" for name, one in tools.items() if "error" in one]
    for name, one in tools.items():
        for scenario, found in one.items():
            if isinstance(found, dict):
                notes += [f"{name}, {scenario}: {found['error']}"] if "error" in found else []
                inner = [(key, value["error"]) for key, value in found.items() if _failed(value)]
                notes += [f"{name}, {scenario}, {key}: {said}" for key, said in inner]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def overhead(tools: dict[str, Any]) -> str:
    """CPU milliseconds a step, new / again, and how many times ours."""
    columns = [name for name in OVERHEAD if any(name in one.get("overhead", {}) for one in tools.values())]
    ours = tools.get("loopline", {}).get("overhead", {})
    rows = [["CPU ms a no-op step", *columns]]
    for name, one in tools.items():
        beside = {} if name == "loopline" else ours
        found = one.get("overhead", {})
        rows.append([name, *(_pair(found.get(column, {}), beside.get(column, {})) for column in columns)])
    return f"{aligned(rows)}\nnew / again (times ours); ~ extrapolated from fewer steps; * the bodies ran again"


def aligned(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _pair(found: dict[str, Any], ours: dict[str, Any]) -> str:
    if "new cpu ms" not in found:
        return "-"
    mark = "~" if "extrapolated from" in found else ""
    new, again = found["new cpu ms"], found["again cpu ms"]
    star = "*" if found.get("reran") else ""
    if not ours or "new cpu ms" not in ours:
        return f"{mark}{_short(new)} / {mark}{_short(again)}{star}"
    ratios = f"({_times(new / ours['new cpu ms'])}, {_times(again / ours['again cpu ms'])})"
    return f"{mark}{_short(new)} / {mark}{_short(again)}{star} {ratios}"


def others(tools: dict[str, Any]) -> str:
    """Shell, kill, edits and flights in one line a tool."""
    rows = [
        ["", "cached, from the shell", "kill -9: reran, notices", "edits: right/missed/needless", "flights: new, again"]
    ]
    shell = tools.get("loopline", {}).get("shell", {}).get("cpu ms")
    for name, one in tools.items():
        cells = [_shell(one.get("shell", {}), None if name == "loopline" else shell), _kill(one.get("kill", {}))]
        rows.append([name, *cells, _edits(one.get("edits", {})), _flights(one.get("flights", {}))])
    return f"""{aligned(rows)}
shell: CPU ms of the whole process, everything known. kill: finished steps that ran again, s until the next began.
edits: of 8, right when exactly what stands on the edit ran; CPU ms a step. flights: CPU, times plain calls."""


def _shell(found: dict[str, Any], ours: float | None) -> str:
    if "cpu ms" not in found:
        return "-"
    return f"{found['cpu ms']:.0f} ms" + (f" ({_times(found['cpu ms'] / ours)})" if ours else "")


def _kill(found: dict[str, Any]) -> str:
    return f"{found['ran again']} of {found['finished']}, {found['notices s']:.2f} s" if "finished" in found else "-"


def _edits(found: dict[str, Any]) -> str:
    if "right" not in found:
        return "-"
    return f"{found['right']}/{found['missed']}/{found['needless']}, {_short(found['cpu ms a step'])} ms"


def _flights(found: dict[str, Any]) -> str:
    return f"{found['new ratio']:.3f}, {found['again ratio']:.4f}" if "new ratio" in found else "-"


def _failed(value: Any) -> bool:
    return isinstance(value, dict) and "error" in value


def _short(number: float) -> str:
    return f"{number:.3f}" if number < 1 else f"{number:.1f}" if number < 100 else f"{number:.0f}"


def _times(number: float) -> str:
    return f"{number:.1f}x" if number < 100 else f"{number:.0f}x"
