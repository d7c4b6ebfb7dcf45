"""Tokens, roles, one-time codes and browser sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, NotFound, Refused, Taken
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.testing.fakes import FixedClock
from loopline.usecases.access.service import Access

pytestmark = pytest.mark.integration


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


@pytest.mark.parametrize("role", ["viewer", "editor", "approver", "admin"])
def test_a_token_answers_for_its_name_and_role(access: Access, role: str) -> None:
    made = access.new("ci", role, "ada")
    assert access.verify(made.secret) == Caller("ci", Role[role.upper()])
    assert [(token.name, token.role, token.created_by) for token in access.tokens()] == [("ci", role, "ada")]


def test_only_the_hash_is_kept(access: Access, loopline: Loopline) -> None:
    secrets = [access.new("ci", "viewer", "ada").secret, access.code("ci")]
    secrets.append(access.sign_in(access.code("ci")))
    loopline.close()
    content = b"".join(path.read_bytes() for path in loopline.home.rglob("*") if path.is_file())
    assert not any(secret.encode() in content for secret in secrets)


def test_secrets_differ(access: Access) -> None:
    assert len({access.new(f"t{n}", "viewer", "ada").secret for n in range(20)}) == 20


@pytest.mark.parametrize("secret", ["", "loop_", "nothing", "\ud800", "x" * 100_000, "' OR 1=1 --"])
def test_an_unknown_secret_is_nobody(access: Access, secret: str) -> None:
    access.new("ci", "viewer", "ada")
    assert access.verify(secret) is None
    assert access.session(secret) is None
    with pytest.raises(Refused):
        access.sign_in(secret)
    with pytest.raises(Refused):
        access.sign_in_with(secret)


def test_wrong_names_and_roles_are_refused(access: Access) -> None:
    access.new("ci", "viewer", "ada")
    with pytest.raises(Taken):
        access.new("ci", "viewer", "ada")
    with pytest.raises(Invalid, match="not a role"):
        access.new("other", "owner", "ada")
    with pytest.raises(Invalid, match="name of a token"):
        access.new("../x", "viewer", "ada")
    assert len(access.tokens()) == 1


def test_a_revoked_token_is_dead_with_all_that_it_opened(access: Access) -> None:
    made = access.new("ci", "admin", "ada")
    session, code = access.sign_in_with(made.secret), access.code("ci")
    access.revoke("ci", "ada")
    assert access.verify(made.secret) is None
    assert access.session(session) is None
    with pytest.raises(Refused):
        access.sign_in(code)
    with pytest.raises(NotFound):
        access.revoke("ci", "ada")
    with pytest.raises(Taken):  # the name stays taken: facts were written under it
        access.new("ci", "admin", "ada")


def test_a_code_opens_one_session(access: Access) -> None:
    access.first("the-first-secret")
    code = access.code()
    with ThreadPoolExecutor(8) as threads:
        tries = [threads.submit(access.sign_in, code) for _ in range(8)]
    opened = [attempt.result() for attempt in tries if attempt.exception() is None]
    assert len(opened) == 1
    assert access.session(opened[0]) == Caller("first", Role.ADMIN)


def test_codes_and_sessions_end(access: Access, clock: FixedClock) -> None:
    access.first("the-first-secret")
    old, session = access.code(), access.sign_in(access.code())
    clock.move(minutes=10)
    with pytest.raises(Refused, match="too old"):
        access.sign_in(old)
    clock.move(hours=11, minutes=49)
    assert access.session(session)
    clock.move(minutes=1)
    assert access.session(session) is None


def test_signing_out_ends_the_session(access: Access) -> None:
    session = access.sign_in_with(access.new("ci", "viewer", "ada").secret)
    access.sign_out(session)
    assert access.session(session) is None


def test_the_first_token_is_made_once(access: Access) -> None:
    secret = access.first(None)
    assert secret
    assert access.first(None) is None
    assert access.verify(secret) == Caller("first", Role.ADMIN)


def test_a_chosen_first_token_takes_the_place_of_the_old(access: Access) -> None:
    old = access.first(None)
    assert old
    session = access.sign_in_with(old)
    assert access.first("a-chosen-secret") is None
    assert access.first("a-chosen-secret") is None
    assert access.verify(old) is None
    assert access.session(session) is None
    assert access.verify("a-chosen-secret") == Caller("first", Role.ADMIN)


def test_a_revoked_secret_is_not_revived_by_the_environment(access: Access) -> None:
    access.first("a-chosen-secret")
    access.revoke("first", "ada")
    with pytest.raises(Refused, match="revoked"):
        access.first("a-chosen-secret")
    assert access.verify("a-chosen-secret") is None
    access.first("another-secret")
    assert access.verify("another-secret") == Caller("first", Role.ADMIN)


def test_another_living_token_may_be_presented_at_the_start(access: Access) -> None:
    made = access.new("ci", "editor", "ada")
    assert access.first(made.secret) is None
    assert access.verify(made.secret) == Caller("ci", Role.EDITOR)


def test_each_change_is_a_fact_without_the_secret(access: Access, loopline: Loopline) -> None:
    made = access.new("ci", "editor", "ada")
    access.revoke("ci", "bob")
    told = [(fact.kind, fact.subject, fact.actor) for fact in loopline.ledger.since(0)]
    assert told == [("token.created", "token:ci", "ada"), ("token.revoked", "token:ci", "bob")]
    assert made.secret not in str(loopline.ledger.since(0))


def test_a_hash_put_into_the_database_by_hand_must_be_unique(access: Access, loopline: Loopline) -> None:
    access.new("ci", "admin", "ada")
    db = sqlite3.connect(loopline.home / "loopline.db")
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "INSERT INTO access_tokens (name, role, hash, created_at, created_by) "
            "SELECT 'eve', role, hash, created_at, created_by FROM access_tokens"
        )
    db.close()


def test_a_token_that_can_be_guessed_is_not_taken(access: Access) -> None:
    with pytest.raises(Invalid, match="fewer than 12 characters"):
        access.first("secret")
    assert access.tokens() == []


def test_a_link_signs_in_as_an_admin_who_is_left(access: Access) -> None:
    access.first("the-first-secret")
    access.new("ada", "admin", "test")
    access.new("bob", "editor", "test")
    access.revoke("first", "test")
    assert access.session(access.sign_in(access.code())) == Caller("ada", Role.ADMIN)
    access.revoke("ada", "test")
    with pytest.raises(Refused, match="revoked"):
        access.code()


def test_what_is_lent_is_no_session_and_a_session_is_not_lent(access: Access, clock: FixedClock) -> None:
    made = access.new("ada", "editor", "installation")
    lent, opened = access.lend("ada"), access.sign_in_with(made.secret)
    assert lent is not None
    assert access.borrower(lent) == access.session(opened) == Caller("ada", Role.EDITOR)
    assert access.borrower(opened) is access.session(lent) is access.verify(lent) is None
    access.sign_out(lent)
    assert access.borrower(lent) is None
    for end in (lambda: clock.move(seconds=60), lambda: access.revoke("ada", "installation")):
        again = access.lend("ada")
        assert again is not None
        end()
        assert access.borrower(again) is None
    assert access.lend("ada") is None
