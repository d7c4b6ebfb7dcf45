"""Ranges of an endpoint out of a dataset's contract."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.datasets.model import Contract, Source, column
from loopline.usecases.serving.ranging import told_by

pytestmark = pytest.mark.unit
RULES = (
    column("dep_hour", "float", minimum=0, maximum=24),
    column("distance", "integer", minimum=1),
    column("carrier", "string", allowed=("UA", "DL")),
    column("delay", "float"),
    column("other", "float", minimum=0),
)


def test_bounds_of_numbers_and_categories_of_text() -> None:
    inputs = (
        ("dep_hour", "float"),
        ("distance", "integer"),
        ("carrier", "string"),
        ("delay", "float"),
        ("at", "timestamp"),
    )
    signature = Signature(tuple(Column(name, kind) for name, kind in inputs), Column("late", "float"))  # type: ignore[arg-type]
    rules = (*RULES, column("at", "timestamp", minimum="2013-01-01T00:00:00Z"))
    assert told_by(rules, signature, "clip") == {
        "dep_hour": {"minimum": 0.0, "maximum": 24.0, "otherwise": "clip"},
        "distance": {"minimum": 1.0, "otherwise": "clip"},
        "carrier": {"categories": ("UA", "DL"), "otherwise": "clip"},
    }


def test_they_become_options_of_the_endpoint(loopline: Any) -> None:
    serving = loopline.serving
    loopline.datasets.declare("flights", Source(folder="/data"), Contract(columns=RULES), "ann")
    with pytest.raises(NotFound):
        serving.ranges("late", "flights", "reject", "ann")
    serving.deploy("late", 1, "ann", "flights")
    serving.configure("late", {"ranges": {"delay": {"maximum": 500}}}, "ann")
    found = serving.ranges("late", "flights", "pass", "ann").ranges
    assert set(found) == {"dep_hour", "distance", "carrier", "delay"}
    assert (found["dep_hour"].maximum, found["dep_hour"].otherwise, found["delay"].maximum) == (24, "pass", 500)
    facts = loopline.ledger.since(0, kind="endpoint.configured")
    assert facts[-1].body["options"]["ranges"]["carrier"]["categories"] == ["UA", "DL"]


def test_a_contract_that_says_nothing(loopline: Any) -> None:
    loopline.serving.deploy("late", 1, "ann", "flights")
    loopline.datasets.declare("bare", Source(folder="/data"), None, "ann")
    loopline.datasets.declare("other", Source(folder="/data"), Contract(columns=(RULES[4],)), "ann")
    with pytest.raises(NotFound, match="has no contract"):
        loopline.serving.ranges("late", "bare", "reject", "ann")
    with pytest.raises(Invalid, match="says nothing of any input"):
        loopline.serving.ranges("late", "other", "reject", "ann")


def test_a_range_turned_round_is_refused(loopline: Any) -> None:
    loopline.serving.deploy("late", 1, "ann", "flights")
    with pytest.raises(Invalid, match="the minimum 5 is more than the maximum 4"):
        loopline.serving.configure("late", {"ranges": {"delay": {"minimum": 5, "maximum": 4}}}, "ann")


def test_the_command(loopline: Any) -> None:
    from click.testing import CliRunner

    from loopline.shells.sdk.client import Local
    from loopline.usecases.serving.options_cli import endpoint

    class Screen:
        client, json, shown = Local(loopline, "ann"), False, None

        def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
            self.shown = data

    loopline.serving.deploy("late", 1, "ann", "flights")
    loopline.datasets.declare("flights", Source(folder="/data"), Contract(columns=RULES), "ann")
    screen = Screen()
    words = ["ranges", "late", "--from-contract", "flights", "--otherwise", "clip"]
    CliRunner().invoke(endpoint, words, obj=screen, catch_exceptions=False)
    CliRunner().invoke(endpoint, ["ranges", "late"], obj=screen, catch_exceptions=False)
    assert {row["input"]: row["otherwise"] for row in screen.shown or ()} == dict.fromkeys(
        ("dep_hour", "distance", "carrier"), "clip"
    )
