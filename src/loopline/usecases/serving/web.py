"""Pages of serving: all endpoints, and one with its traffic, latency, errors, revisions and history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted
from loopline.usecases.serving import web_records, web_splits, web_try
from loopline.usecases.serving.rules import web as rules_web
from loopline.usecases.serving.web_splits import sharing

RECENT = 20
MOST_DAYS = 400


def endpoints(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All endpoints and where predictions are answered."""
    return {"endpoints": call("serving.endpoints"), "address": attempted(call, "serving.address")}


def endpoint(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One endpoint."""
    name = params["endpoint"]
    found = call("serving.endpoint", endpoint=name)
    traffic = (attempted(call, "serving.traffic", endpoint=name) or [])[-MOST_DAYS:]
    recent = attempted(call, "serving.predictions", endpoint=name, limit=RECENT) or []
    return {
        "endpoint": found,
        "address": attempted(call, "serving.address"),
        "revisions": call("serving.revisions", endpoint=name),
        **sharing(call, name),
        "traffic": traffic[::-1],
        "total": sum(row["rows"] for row in traffic),
        "plots": {"rows": rows_plot(traffic), "latency": latency_plot(traffic)},
        "recent": recent,
        "inputs": shown_inputs(found, recent),
        "monitors": watching(call, name),
        "errors": errors(attempted(call, "monitoring.windows", endpoint=name) or ()),
        "can_roll_back": can_roll_back(found, call("serving.history", endpoint=name)),
    }


def can_roll_back(found: Mapping[str, Any], history: Sequence[Any]) -> bool:
    """Whether there is something to go back to, or a deployment under way to call off."""
    live, wanted = found["live"], found["wanted"]
    under_way = bool(live and wanted and live["revision"] != wanted["revision"])
    return under_way or len({served["revision"] for served in history}) > 1


def errors(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How many logged predictions were errors, in all evaluated windows, and the share in the newest."""
    known = [window for window in windows if "error_share" in window["metrics"]]
    if not known:
        return None
    count = round(sum(window["predictions"] * window["metrics"]["error_share"] for window in known))
    newest = max(known, key=lambda window: str(window["start"]))
    return {"count": count, "share": newest["metrics"]["error_share"], "since": newest["start"]}


def watching(call: Call, name: str) -> list[Any]:
    """The monitor of an endpoint, with its state and why it is in it."""
    found = attempted(call, "monitoring.fleet", endpoint=name)
    return list(found["rows"]) if found else []


def shown_inputs(found: Mapping[str, Any], recent: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first inputs of the signature that the prediction log holds."""
    revision = found["live"] or found["wanted"]
    names = [column["name"] for column in revision["signature"]["inputs"]] if revision else []
    return [name for name in names if recent and name in recent[0]][:3]


def revisions_of(traffic: Iterable[Mapping[str, Any]]) -> list[int]:
    return sorted({row["revision"] for row in traffic})


def rows_plot(traffic: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Predictions a day, one series a revision; the day on which a revision first answered is marked."""
    days = sorted({row["day"] for row in traffic})
    rows = {(row["day"], row["revision"]): row["rows"] for row in traffic}
    series = [
        {
            "name": f"revision {revision}",
            "kind": "bar",
            "stack": "rows",
            "points": [[day, rows.get((day, revision), 0)] for day in days],
        }
        for revision in revisions_of(traffic)
    ]
    return {"x": "time", "from": 0, "series": series, "marks": firsts(traffic)}


def latency_plot(traffic: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Latency of predictions a day: median and 99th percentile, the worst revision where several answered."""
    days = sorted({row["day"] for row in traffic})
    worst = {
        key: [[day, max(row[key] for row in traffic if row["day"] == day)] for day in days]
        for key in ("p50_ms", "p99_ms")
    }
    series = [{"name": key.replace("_ms", ", ms"), "points": points} for key, points in worst.items()]
    return {"x": "time", "from": 0, "series": series, "marks": firsts(traffic)}


def firsts(traffic: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Each revision after the first, on the day on which it first answered."""
    first = {
        revision: min(row["day"] for row in traffic if row["revision"] == revision)
        for revision in revisions_of(traffic)
    }
    return [{"at": day, "text": f"r{revision}"} for revision, day in list(first.items())[1:]]


PAGES = (
    Page("/endpoints", "endpoints.html", endpoints, tab="endpoints"),
    Page("/endpoints/{endpoint}", "endpoint.html", endpoint, tab="endpoints"),
    *rules_web.PAGES,
    *web_records.PAGES,
    *web_splits.PAGES,
    *web_try.PAGES,
)
FORMS = (
    Form("/endpoints/{endpoint}/rollback", "serving.rollback", "/endpoints/{endpoint}"),
    Form("/endpoints/{endpoint}/route", "serving.route", "/endpoints/{endpoint}"),
    *web_splits.FORMS,
)
