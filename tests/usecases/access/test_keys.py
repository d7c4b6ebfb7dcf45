"""Tokens that are limited to endpoints, and tokens that end by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, Refused
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.testing.fakes import FixedClock
from loopline.usecases.access.service import Access

pytestmark = pytest.mark.unit


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock("2026-01-01T00:00:00Z")


@pytest.fixture
def access(loopline: Loopline, clock: FixedClock) -> Access:
    return Access(loopline.database, clock, loopline.ledger)


def test_a_key_answers_for_its_endpoints(access: Access, loopline: Loopline) -> None:
    made = access.new("shop", "viewer", "ada", ["late", "churn", "late"], "30d")
    assert access.verify(made.secret) == Caller("shop", Role.VIEWER, ("churn", "late"))
    listed = access.tokens()[0]
    assert (listed.endpoints, listed.expires_at) == (("churn", "late"), "2026-01-31T00:00:00.000Z")
    fact = loopline.ledger.latest(1)[0]
    assert fact.body == {"role": "viewer", "endpoints": ["churn", "late"], "expires_at": "2026-01-31T00:00:00.000Z"}


def test_a_key_opens_no_pages(access: Access) -> None:
    made = access.new("shop", "editor", "ada", ["late"])
    with pytest.raises(Refused):
        access.sign_in_with(made.secret)


@pytest.mark.parametrize(("text", "seconds"), [("1m", 60), ("2h", 7200), ("30d", 2592000), ("2w", 1209600)])
def test_a_token_ends_by_itself(access: Access, clock: FixedClock, text: str, seconds: int) -> None:
    made = access.new("ci", "admin", "ada", expires=text)
    session = access.sign_in_with(made.secret) if seconds < 3600 * 12 else None
    clock.move(seconds=seconds - 0.001)
    assert access.verify(made.secret)
    clock.move(seconds=0.001)
    assert access.verify(made.secret) is None
    assert session is None or access.session(session) is None
    with pytest.raises(Refused):
        access.code()  # no admin is left


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "30 days", "9999999d", "999999w", "1.5h", "1y", "٣d"])
def test_times_that_cannot_be_are_refused(access: Access, text: str) -> None:
    with pytest.raises(Invalid):
        access.new("ci", "viewer", "ada", expires=text)
    assert access.tokens() == []


@pytest.mark.parametrize(
    ("role", "endpoints"),
    [("admin", ["late"]), ("approver", ["late"]), ("viewer", []), ("viewer", ["../late"]), ("viewer", ["x"] * 1)],
)
def test_a_key_reaches_no_further_than_endpoints(access: Access, role: str, endpoints: list[str]) -> None:
    if endpoints == ["x"]:
        endpoints = [f"e{number}" for number in range(101)]
    with pytest.raises(Invalid):
        access.new("shop", role, "ada", endpoints)
    assert access.tokens() == []
