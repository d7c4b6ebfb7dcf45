"""What every database must prove. Subclass `DatabaseContract` and give it the fixtures `database` (with a table
`things (name TEXT PRIMARY KEY, size BIGINT, note TEXT)`) and `again` (another opening of the same one)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loopline.core.errors import Invalid, Taken, Unavailable
from loopline.ports.database import Database, Transaction

ADD = "INSERT INTO things (name, size, note) VALUES (:name, :size, :note)"
TABLE = "CREATE TABLE things (name TEXT PRIMARY KEY, size BIGINT, note TEXT)"


def add(name: str, size: Any = 1, note: str = "") -> Callable[[Transaction], int]:
    """A work that adds one thing."""
    return lambda tx: tx.run(ADD, {"name": name, "size": size, "note": note})


def names(database: Database) -> list[str]:
    """All things by name."""
    return [row["name"] for row in database.read(lambda tx: tx.rows("SELECT name FROM things ORDER BY name"))]


class DatabaseContract:
    """The guarantees of `ports.database.Database`."""

    def test_a_write_answers_what_its_work_answers_and_is_seen(self, database: Database) -> None:
        assert database.write(add("a", 7, "ä\x00z")) == 1
        row = database.read(lambda tx: tx.row("SELECT * FROM things WHERE name = :name", {"name": "a"}))
        assert row == {"name": "a", "size": 7, "note": "ä\x00z"}

    def test_a_query_without_a_match_answers_none(self, database: Database) -> None:
        assert database.read(lambda tx: tx.row("SELECT * FROM things")) is None

    def test_an_error_undoes_all_of_its_work_and_reaches_the_caller(self, database: Database) -> None:
        def work(tx: Transaction) -> None:
            add("a")(tx)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            database.write(work)
        assert names(database) == []

    def test_a_savepoint_undoes_only_what_is_inside(self, database: Database) -> None:
        def work(tx: Transaction) -> list[str]:
            add("before")(tx)
            kept = []
            for name, fails in (("one", True), ("two", False), ("before", True)):
                try:
                    with tx.savepoint():
                        add(name)(tx)
                        if fails:
                            raise ValueError(name)
                        kept.append(name)
                except (ValueError, Taken):
                    kept.append(f"not {name}")
            return kept

        assert database.write(work) == ["not one", "two", "not before"]
        assert names(database) == ["before", "two"]

    def test_a_posted_write_is_told_later_with_answer_or_error(self, database: Database) -> None:
        told: list[tuple[Any, Any]] = []
        ended = threading.Semaphore(0)

        def done(answer: Any, error: BaseException | None) -> None:
            told.append((answer, error))
            ended.release()
            raise RuntimeError("whoever asked is gone")

        database.post(add("a"), done)
        database.post(add("a"), done)
        database.post(add("b"), done)
        for _ in range(3):
            assert ended.acquire(timeout=10)
        assert [answer for answer, _ in told if answer] == [1, 1]
        assert [type(error) for _, error in told if error] == [Taken]
        assert names(database) == ["a", "b"]

    def test_a_failing_work_leaves_the_others_of_its_group(self, database: Database) -> None:
        gate = threading.Event()

        def waits(tx: Transaction) -> None:
            gate.wait(10)

        with ThreadPoolExecutor(30) as threads:
            first = threads.submit(database.write, waits)
            works = [threads.submit(database.write, add(f"{n % 20:02}")) for n in range(25)]
            gate.set()
            first.result()
            failed = [type(work.exception()) for work in works if work.exception()]
        assert failed == [Taken] * 5
        assert len(names(database)) == 20

    def test_reads_see_a_consistent_snapshot(self, database: Database) -> None:
        database.write(add("a"))

        def look(tx: Transaction) -> tuple[int, int]:
            before = len(tx.rows("SELECT * FROM things"))
            database.write(add("b"))
            return before, len(tx.rows("SELECT * FROM things"))

        assert database.read(look) == (1, 1)
        assert names(database) == ["a", "b"]

    def test_a_read_may_not_change_anything(self, database: Database) -> None:
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            database.read(add("a"))
        assert names(database) == []

    def test_many_rows_go_in_by_one_statement(self, database: Database) -> None:
        rows = [{"name": f"{n:04}", "size": n, "note": ""} for n in range(1000)]
        database.write(lambda tx: tx.run_many(ADD, rows))
        assert len(names(database)) == 1000

    def test_a_key_that_is_there_is_taken(self, database: Database) -> None:
        database.write(add("a"))
        with pytest.raises(Taken):
            database.write(add("a"))

    @pytest.mark.parametrize(("size", "note"), [(2**63, ""), (-(2**63) - 1, ""), (1, "\ud800")])
    def test_values_that_no_database_holds_are_invalid(self, database: Database, size: int, note: str) -> None:
        with pytest.raises(Invalid):
            database.write(add("a", size, note))
        with pytest.raises(Invalid):
            database.write(lambda tx: tx.run_many(ADD, [{"name": "b", "size": size, "note": note}]))
        assert names(database) == []

    def test_the_largest_numbers_come_back(self, database: Database) -> None:
        database.write(add("a", 2**63 - 1))
        database.write(add("b", -(2**63)))
        sizes = database.read(lambda tx: tx.rows("SELECT size FROM things ORDER BY name"))
        assert [row["size"] for row in sizes] == [2**63 - 1, -(2**63)]

    def test_around_commit_runs_once_before_and_after(self, database: Database) -> None:
        seen: list[Any] = []

        def work(tx: Transaction) -> None:
            add("a")(tx)
            for _ in range(3):
                tx.around_commit("key", lambda tx: len(tx.rows("SELECT * FROM things")), seen.append)

        database.write(work)
        assert seen == [1]

    def test_what_a_failed_work_asked_for_around_the_commit_does_not_run(self, database: Database) -> None:
        seen: list[Any] = []

        def work(tx: Transaction) -> None:
            tx.around_commit("key", lambda tx: seen.append("before"), seen.append)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            database.write(work)
        assert seen == []

    def test_an_error_before_the_commit_undoes_the_group(self, database: Database) -> None:
        def refuse(tx: Transaction) -> None:
            raise Unavailable("The disk is full.")

        def work(tx: Transaction) -> None:
            add("a")(tx)
            tx.around_commit("key", refuse, lambda _: None)

        with pytest.raises(Unavailable, match="disk is full"):
            database.write(work)
        assert names(database) == []
        database.write(add("b"))

    def test_an_error_after_the_commit_takes_nothing_back(self, database: Database) -> None:
        def complain(_: Any) -> None:
            raise ValueError("too late")

        def work(tx: Transaction) -> None:
            add("a")(tx)
            tx.around_commit("key", lambda tx: None, complain)

        database.write(work)
        assert names(database) == ["a"]

    def test_another_opening_sees_and_notices_changes(self, database: Database, again: Database) -> None:
        before = again.changed()
        assert again.changed() == before
        database.write(add("a"))
        assert again.changed() != before
        assert names(again) == ["a"]

    def test_own_writes_are_noticed_too(self, database: Database) -> None:
        before = database.changed()
        database.write(add("a"))
        assert database.changed() != before

    def test_two_openings_write_side_by_side(self, database: Database, again: Database) -> None:
        with ThreadPoolExecutor(8) as threads:
            works = [threads.submit((database, again)[n % 2].write, add(f"{n:03}")) for n in range(100)]
        assert [work.result() for work in works] == [1] * 100
        assert len(names(database)) == 100

    def test_a_composed_statement_means_the_same(self, database: Database) -> None:
        from sqlalchemy import column, select, table

        database.write(lambda tx: tx.run_many(ADD, [{"name": n, "size": 1, "note": ""} for n in "abc"]))
        name: Any = column("name")
        query = select(name).select_from(table("things")).where(name.in_(["a", "c"])).order_by(name)
        assert [row["name"] for row in database.read(lambda tx: tx.rows(query))] == ["a", "c"]

    def test_a_closed_database_refuses(self, database: Database) -> None:
        database.write(add("a"))
        database.close()
        database.close()
        for ask in (lambda: database.write(add("b")), lambda: names(database), database.changed):
            with pytest.raises(Unavailable):
                ask()

    def test_closing_answers_every_waiting_write(self, database: Database, again: Database) -> None:
        answered: list[str] = []

        def writes(n: int) -> None:
            for m in range(50):
                try:
                    database.write(add(f"{n} {m}"))
                except Unavailable:
                    return
                answered.append(f"{n} {m}")

        threads = [threading.Thread(target=writes, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        database.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert sorted(answered) == sorted(names(again))
