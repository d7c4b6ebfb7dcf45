"""How values and facts are put into words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopline.shells.http import filters
from loopline.shells.http.facts import by_day, shown

pytestmark = pytest.mark.unit


def fact(kind: str, subject: str, **body: Any) -> dict[str, Any]:
    return {"seq": 1, "at": "2026-01-02T03:04:05.000Z", "kind": kind, "subject": subject, "actor": "ada", "body": body}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.12345678, "0.1235"),
        (3.0, "3"),
        (12690, "12,690"),
        (5213.7, "5,214"),
        ("x", "x"),
    ],
)
def test_numbers_come_without_noise(value: Any, text: str) -> None:
    assert filters.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0213, "21.3 ms"), (1.0, "1.0 s"), (125, "2 min 5 s"), (7200, "2.0 h"), (604_800, "7.0 d")],
)
def test_durations_take_the_unit_that_fits(value: Any, text: str) -> None:
    assert filters.seconds(value) == text


def test_columns_of_numbers_line_up() -> None:
    assert [filters.fixed(value) for value in (0.5, 1, 80013, None, "NaN")] == [
        "0.5000",
        "1.0000",
        "80,013",
        "–",
        "NaN",
    ]


def test_a_time_is_told_by_how_long_ago_it_was() -> None:
    def ago(**spent: float) -> str:
        return filters.ago((datetime.now(UTC) - timedelta(**spent)).isoformat().replace("+00:00", "Z"))

    assert [ago(seconds=2), ago(minutes=5), ago(hours=3), ago(days=4)] == [
        "just now",
        "5 min ago",
        "3 h ago",
        "4 d ago",
    ]
    assert filters.ago("2013-04-01T00:00:00Z") == "2013-04-01"
    assert filters.ago(None) == ""


def test_settings_are_told_in_words() -> None:
    told = filters.told({"missing_share": 0.5, "unknown_share": None, "listed": ["a", {"b": True}]})
    assert told == "missing share 0.5, listed a; b yes"
    assert [filters.told(value) for value in (None, "", False, 0.01, [])] == ["", "", "no", "0.01", ""]


def test_a_link_keeps_the_filters_that_are_not_changed() -> None:
    assert (
        filters.link({"sort": "name", "page": "2", "q": "a&b"}, page="", order="asc") == "?sort=name&q=a%26b&order=asc"
    )


def test_numbers_that_json_lacks_become_null_in_plots() -> None:
    assert filters.plain({"points": [float("nan"), 1.5]}) == '{"points":[null,1.5]}'


@pytest.mark.parametrize(
    ("kind", "subject", "body", "name", "title", "place", "tone"),
    [
        (
            "run.finished",
            "ab12",
            {"name": "training", "status": "failed"},
            "Run failed",
            "training",
            "/runs/ab12",
            "bad",
        ),
        ("gate.decided", "m/2", {"gate": "g", "verdict": "passed"}, "Gate decided", "m/2", "/gates/g", "good"),
        ("alias.moved", "m@live", {"model": "m", "from": 1, "to": 2}, "Alias moved", "m@live", "/models/m", "live"),
        ("alert.opened", "endpoint:e", {"endpoint": "e"}, "Alert opened", "e", "/monitors/e", "bad"),
        ("token.created", "token:<b>", {"role": "viewer"}, "Token created", "<b>", "", ""),
        ("new.kind", "thing", {}, "New kind", "thing", "", ""),
    ],
)
def test_a_fact_is_told_with_its_place(
    kind: str, subject: str, body: dict[str, Any], name: str, title: str, place: str, tone: str
) -> None:
    told = shown(fact(kind, subject, **body))
    assert (told["name"], told["title"], told["place"], told["tone"]) == (name, title, place, tone)


def test_no_subject_leads_out_of_its_folder() -> None:
    assert shown(fact("run.started", "../evil?x=1"))["place"] == "/runs/..%2Fevil%3Fx%3D1"


def test_facts_stand_under_their_days() -> None:
    facts = [
        fact("run.started", "a"),
        fact("run.started", "b"),
        {**fact("run.started", "c"), "at": "2026-01-01T00:00:00Z"},
    ]
    assert [(day, len(group)) for day, group in by_day(facts)] == [("2026-01-02", 2), ("2026-01-01", 1)]
