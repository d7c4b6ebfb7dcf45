"""Facts are kept in order, for ever, and whoever edits them is found."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid
from loopline.core.facts import Fact
from loopline.testing.factories import installation
from loopline.usecases.ledger.model import GENESIS, Audit, digest_of

pytestmark = pytest.mark.integration

EDITS = range(100)


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


def tell(loopline: Loopline, subject: str = "x", **body: Any) -> Fact:
    """Write one fact."""
    fact: Fact = loopline.database.write(lambda tx: loopline.ledger.append(tx, "thing.done", subject, "ada", body))
    return fact


def verified(loopline: Loopline) -> Audit:
    """The audit of chain and head."""
    audit: Audit = loopline.ledger.verify({})
    return audit


def edit(loopline: Loopline, *statements: str) -> None:
    """Change the database behind the ledger's back."""
    db = sqlite3.connect(loopline.home / "loopline.db")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def forge(loopline: Loopline, count: int) -> None:
    """Add facts whose chain is right, as somebody without the signing key can."""
    db = sqlite3.connect(loopline.home / "loopline.db")
    for _ in range(count):
        found = db.execute("SELECT seq, digest FROM ledger_facts ORDER BY seq DESC LIMIT 1").fetchone() or (0, GENESIS)
        row = (found[0] + 1, "2013-01-01T00:00:00.000Z", "thing.done", "x", "eve", "{}")
        digest = digest_of(found[1], *row)
        db.execute("INSERT INTO ledger_facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, found[1], digest))
    db.commit()
    db.close()


def test_facts_come_back_in_order_with_their_content(loopline: Loopline) -> None:
    written = [tell(loopline, f"s{n % 2}", n=n, text="ä\n") for n in range(5)]
    assert [fact.seq for fact in written] == [1, 2, 3, 4, 5]
    assert loopline.ledger.since(0) == written
    assert loopline.ledger.since(3) == written[3:]
    assert loopline.ledger.since(0, limit=2) == written[:2]
    assert loopline.ledger.about("s1") == [written[1], written[3]]
    assert loopline.ledger.about("s1", kinds=("other.done",)) == []
    assert loopline.ledger.latest(2) == [written[4], written[3]]
    assert written[0].previous == GENESIS
    assert all(after.previous == before.digest for before, after in pairwise(written))


def test_an_empty_ledger_is_sound(loopline: Loopline) -> None:
    assert verified(loopline) == Audit(0, GENESIS, [])


def test_a_change_that_fails_leaves_no_fact(loopline: Loopline) -> None:
    def work(tx: Any) -> None:
        loopline.ledger.append(tx, "thing.done", "x", "ada", {})
        raise ValueError("no")

    tell(loopline)
    with pytest.raises(ValueError, match="no"):
        loopline.database.write(work)
    tell(loopline)
    assert verified(loopline).sound
    assert verified(loopline).facts == 2


@pytest.mark.parametrize("fields", [("\ud800", "ada", {}), ("x", "\ud800", {}), ("x", "ada", {"a": object()})])
def test_what_cannot_be_written_is_refused(loopline: Loopline, fields: tuple[str, str, dict[str, Any]]) -> None:
    with pytest.raises(Invalid):
        loopline.database.write(lambda tx: loopline.ledger.append(tx, "thing.done", *fields))
    assert verified(loopline).facts == 0


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=2, max_size=2, unique=True))
@settings(max_examples=200, deadline=None)
def test_pieces_cannot_be_shifted_into_each_other(pairs: list[tuple[str, str]]) -> None:
    one, other = (digest_of(GENESIS, 1, "at", "kind", *pair, "{}") for pair in pairs)
    assert one != other


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 30 facts and a token, closed."""
    folder = tmp_path_factory.mktemp("ready")
    with installation(folder) as opened:
        for n in range(30):
            tell(opened, f"s{n}", n=n)
    return folder


COLUMNS = {
    "at": ("'2013-01-01T00:00:00.000Z'", "''"),
    "kind": ("'thing.undone'", "x'00ff'"),
    "subject": ("'other'", "''", "subject || ' '"),
    "actor": ("'eve'", "x'fffe'", "CAST(x'ff41' AS TEXT)"),
    "body": ("'{}'", "'not json'", "replace(body, ':', ': ')"),
    "previous": (f"'{'f' * len(GENESIS)}'",),  # the first fact's is GENESIS already
    "digest": (f"'{GENESIS}'",),
    "seq": ("-1", "1000", "'ten'", "5.5"),
}


def random_edit(chance: random.Random) -> tuple[str, ...]:
    """One of the ways to falsify 30 facts."""
    seq, other = chance.sample(range(1, 31), 2)
    column = chance.choice(list(COLUMNS))
    columns = "at, kind, subject, actor, body, previous, digest"
    return chance.choice(
        [
            (f"UPDATE ledger_facts SET {column} = {chance.choice(COLUMNS[column])} WHERE seq = {seq}",),
            (f"DELETE FROM ledger_facts WHERE seq = {seq}",),
            (f"DELETE FROM ledger_facts WHERE seq >= {seq}",),
            (f"INSERT INTO ledger_facts SELECT 31, {columns} FROM ledger_facts WHERE seq = {seq}",),
            (
                f"UPDATE ledger_facts SET seq = -1 WHERE seq = {seq}",
                f"UPDATE ledger_facts SET seq = {seq} WHERE seq = {other}",
                f"UPDATE ledger_facts SET seq = {other} WHERE seq = -1",
            ),
            (
                f"DELETE FROM ledger_facts WHERE seq = {seq}",
                f"UPDATE ledger_facts SET seq = -seq + 1 WHERE seq > {seq}",
                f"UPDATE ledger_facts SET seq = -seq WHERE seq < 0 AND {seq} > 0",
            ),
            ("DROP TABLE ledger_facts",),
            ("DELETE FROM ledger_facts",),
        ]
    )


@pytest.mark.parametrize("edits", [EDITS, pytest.param(range(100, 1000), marks=pytest.mark.torture)])
def test_every_random_edit_is_found(ready: Path, tmp_path: Path, edits: range) -> None:
    missed = []
    for number in edits:
        statements = random_edit(random.Random(number))
        folder = tmp_path / str(number)
        shutil.copytree(ready, folder)
        with installation(folder) as copy:
            assert verified(copy).sound
            edit(copy, *statements)
            if verified(copy).sound:
                missed.append(statements)
        shutil.rmtree(folder)
    assert missed == []


def test_a_forged_tail_is_found(loopline: Loopline) -> None:
    tell(loopline)
    forge(loopline, 2)
    assert not verified(loopline).sound


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("cut", "forged"), [(3, 0), (3, 3), (3, 5), (0, 2), (10, 12)])
def test_facts_that_follow_do_not_hide_an_edit(tmp_path: Path, restarted: bool, cut: int, forged: int) -> None:
    opened = installation(tmp_path)
    for n in range(10):
        tell(opened, n=n)
    edit(opened, f"DELETE FROM ledger_facts WHERE seq > {10 - cut}")
    forge(opened, forged)
    if restarted:
        opened.close()
        opened = installation(tmp_path)
    for n in range(500):  # more than the head keeps
        tell(opened, n=n)
    assert not verified(opened).sound
    opened.close()


def test_a_deleted_head_is_found(loopline: Loopline) -> None:
    tell(loopline)
    (loopline.home / "ledger.head").unlink()
    assert not verified(loopline).sound


def test_a_head_signed_by_another_key_says_nothing(loopline: Loopline) -> None:
    tell(loopline)
    head = loopline.home / "ledger.head"
    lines = head.read_text().splitlines()
    head.write_text("\n".join(line.replace('"count":1', '"count":2') for line in lines))
    assert not verified(loopline).sound


def test_a_head_torn_by_a_power_cut_is_mended(tmp_path: Path) -> None:
    with installation(tmp_path) as opened:
        tell(opened)
        head = opened.home / "ledger.head"
    head.write_bytes(head.read_bytes()[:-20])
    with installation(tmp_path) as opened:
        assert verified(opened).sound
        tell(opened)
        assert verified(opened).sound


def test_the_head_stays_small(loopline: Loopline) -> None:
    for n in range(700):
        tell(loopline, n=n)
    assert (loopline.home / "ledger.head").stat().st_size < 70_000
    assert verified(loopline).sound


def test_a_table_that_disagrees_with_the_facts_is_found(loopline: Loopline) -> None:
    tell(loopline, "a", to=2)
    agree = {"names": (lambda facts: {fact.subject: fact.body["to"] for fact in facts}, lambda tx: {"a": 2})}
    differ = {"names": (agree["names"][0], lambda tx: {"a": 3, "b": 1})}
    assert loopline.ledger.verify(agree).sound
    found = loopline.ledger.verify(differ).problems
    assert [problem.where for problem in found] == ["names a", "names b"]


def test_key_and_head_are_for_their_owner(loopline: Loopline) -> None:
    tell(loopline)
    for name in ("keys/ledger.key", "ledger.head"):
        assert (loopline.home / name).stat().st_mode & 0o077 == 0


def test_a_copied_home_is_sound(loopline: Loopline, tmp_path: Path) -> None:
    tell(loopline)
    loopline.close()
    shutil.copytree(loopline.home, tmp_path / "b" / "home")
    with installation(tmp_path / "b") as copy:
        tell(copy)
        assert verified(copy).sound
        assert verified(copy).facts == 2
