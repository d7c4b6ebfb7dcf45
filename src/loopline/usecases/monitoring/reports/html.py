"""A report as one HTML file: no script, no outside address, light and dark, fit for mail and for print."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.drawing.heat import heat
from loopline.usecases.monitoring.drawing.lines import drawn
from loopline.usecases.monitoring.reports.words import FILTERS
from loopline.usecases.monitoring.web_fleet import FLEET_WORDS, TONES
from loopline.usecases.monitoring.web_monitor import performance_plot

TEMPLATES = Path(__file__).parents[1] / "templates"
LARGEST = 2 << 20
MOST_COLUMNS = 200
SHOWN_WINDOWS = 16


@cache
def templates() -> Any:
    """The templates of reports; they take drawings from those of pages."""
    import jinja2

    loader = jinja2.PrefixLoader({"monitoring": jinja2.FileSystemLoader(TEMPLATES)})
    engine = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    engine.filters.update(FILTERS)
    return engine


def of_endpoint(report: Mapping[str, Any], made_at: str) -> str:
    """The file of what `content.on_endpoint` answered; Invalid when it would be larger than 2 MB."""
    summary = report["summary"]
    metric = summary["metric"]
    limit = summary["limits"].get(metric)
    plot = performance_plot(report["windows"], metric, limit, report["marks"], report["estimates"])
    return _written(
        "report.html",
        {
            "report": report,
            "metric": metric,
            "plot": drawn(plot),
            "heat": heat(report["history"], 40, 40),
            "shown": report["windows"][-SHOWN_WINDOWS:][::-1],
            "columns": report["columns"][:MOST_COLUMNS],
            "words_of": FLEET_WORDS,
            "tones": TONES,
            "made_at": made_at,
        },
    )


def of_tables(report: Mapping[str, Any], made_at: str) -> str:
    """The file of what `tables.compared` answered; Invalid when it would be larger than 2 MB."""
    return _written("tables.html", {"report": report, "columns": report["columns"][:MOST_COLUMNS], "made_at": made_at})


def _written(name: str, data: Mapping[str, Any]) -> str:
    text: str = templates().get_template(f"monitoring/{name}").render(**data)
    if len(text.encode()) > LARGEST:
        raise Invalid("This report is larger than 2 MB.", "Ask for --json, or watch fewer columns.")
    return text
