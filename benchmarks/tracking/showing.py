"""The results as tables of text, and what machine they are from."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any


def machine() -> dict[str, Any]:
    """Cores, memory, date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "mlflow": "3.17.2",
    }


def text(results: dict[str, Any]) -> str:
    """Every part that was measured."""
    facts = results["machine"]
    parts = [
        f"{facts['date']}, {facts['cores']} cores, load {facts['load']}, Python {facts['python']}, MLflow {facts['mlflow']}"
    ]
    if "writes" in results:
        parts.append(written(results["writes"]))
    if "native" in results:
        rows = [["our own client, calls/s", "1 process", "8 processes", "all delivered after, s"]]
        for name in ("log_metric", "log_batch", "log_param", "create_run"):
            one, many = (results["native"].get(f"{name}, {count}", {}) for count in (1, 8))
            rows.append([name, number(one.get("per_s")), number(many.get("per_s")), number(one.get("delivered_s"))])
        parts.append(aligned(rows))
    if "reads" in results:
        rows = [["milliseconds, p50 / p99", "Loopline", "MLflow", "times", "server's CPU", "MLflow's", "times"]]
        for name, of in results["reads"].items():
            cells = [
                f"{number(of[one]['p50_ms'])} / {number(of[one]['p99_ms'])}" if one in of else "-"
                for one in ("loopline", "mlflow")
            ]
            row = [name, *cells, ratio(of.get("mlflow", {}).get("p50_ms"), of["loopline"]["p50_ms"])]
            ours, theirs = (of.get(one, {}).get("server_cpu_ms") for one in ("loopline", "mlflow"))
            rows.append([*row, number(ours), number(theirs), ratio(theirs, ours)])
        parts.append(aligned(rows))
    if "weight" in results:
        rows = [["weight", "Loopline", "MLflow", "times"]]
        for name, of in results["weight"].items():
            ours, theirs = of["loopline"]["value"], of["mlflow"]["value"]
            rows.append([name, number(ours), number(theirs), ratio(theirs, ours)])
        parts.append(aligned(rows))
    if "plugin" in results:
        rows = [["stock client through the plug-in", "calls/s", "all delivered after, s"]]
        rows += [[name, number(one["per_s"]), number(one["delivered_s"])] for name, one in results["plugin"].items()]
        parts.append(aligned(rows))
    return "\n\n".join(parts)


def written(found: dict[str, Any]) -> str:
    """Writes a second, beside MLflow's server and the client's own ceiling."""
    rows = [
        [
            "calls/s, each durable",
            "Loopline",
            "MLflow",
            "times",
            "ceiling",
            "of the ceiling",
            "server's CPU ms",
            "MLflow's",
        ]
    ]
    for name, of in found.items():
        ours, theirs, most = (of.get(one, {}).get("per_s") for one in ("loopline", "mlflow", "null"))
        share = f"{100 * ours / most:.0f} %" if ours and most else "-"
        cpu = [number(of.get(one, {}).get("server_cpu_ms")) for one in ("loopline", "mlflow")]
        rows.append([name, number(ours), number(theirs), ratio(ours, theirs), number(most), share, *cpu])
    return aligned(rows)


def ratio(large: float | None, small: float | None) -> str:
    return f"{large / small:.1f}" if large and small else "-"


def number(value: float | None) -> str:
    """A figure in three digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def aligned(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(lines)


def rounded(value: Any) -> Any:
    """Figures as they are kept: four digits."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
