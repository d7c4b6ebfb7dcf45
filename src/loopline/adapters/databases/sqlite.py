"""SQLite in WAL mode: one writer lane per process with group commit, one reader per thread."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from loopline.core.errors import Conflict, LooplineError, Taken, Unavailable
from loopline.ports.database import Row, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Any]
LONGEST_GROUP = 64
LOCK_WAIT_S = 20.0


def connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection that fsyncs every commit and waits for other processes."""
    mode = "ro" if read_only else "rwc"
    db = sqlite3.connect(
        f"file:{path}?mode={mode}", uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
    )
    db.row_factory = sqlite3.Row
    if not read_only:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA cache_size=-16000")
    return db


class SQLiteTransaction:
    """What a work sees of the transaction it shares."""

    def __init__(self, db: sqlite3.Connection, around: dict[str, tuple[Any, Any]]) -> None:
        self._db = db
        self._around = around

    def rows(self, statement: Any, params: Mapping[str, Any] | None = None) -> list[Row]:
        return [dict(row) for row in self._execute(statement, params)]

    def row(self, statement: Any, params: Mapping[str, Any] | None = None) -> Row | None:
        found = self._execute(statement, params).fetchone()
        return None if found is None else dict(found)

    def run(self, statement: Any, params: Mapping[str, Any] | None = None) -> int:
        return self._execute(statement, params).rowcount

    def run_many(self, statement: str, params: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        with translated():
            self._db.executemany(statement, params)

    def around_commit(self, key: str, before: Work, after: Callable[[Any], None]) -> None:
        self._around.setdefault(key, (before, after))

    def _execute(self, statement: Any, params: Mapping[str, Any] | None) -> sqlite3.Cursor:
        if not isinstance(statement, str):
            statement, params = compiled(statement)
        with translated():
            return self._db.execute(statement, params or {})


def compiled(statement: Any) -> tuple[str, dict[str, Any]]:
    """SQL text and parameters of a composed SQLAlchemy Core statement."""
    from sqlalchemy.dialects.sqlite.base import SQLiteDialect

    text = statement.compile(dialect=SQLiteDialect(paramstyle="named"), compile_kwargs={"render_postcompile": True})
    return str(text), dict(text.params)


class translated:  # noqa: N801  (reads as a word where it is used)
    """Turns the driver's errors into Loopline's kinds."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, sqlite3.IntegrityError):
            if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
                raise Taken(f"That is already there ({error}).") from error
            raise Conflict(f"The change would break a rule of the database ({error}).") from error
        if isinstance(error, sqlite3.OperationalError) and not is_mistake(error):
            raise Unavailable(
                f"The database cannot do that just now ({error}).", "Free disk or wait, then try again."
            ) from error


def is_mistake(error: sqlite3.OperationalError) -> bool:
    """Whether the statement itself is wrong, as opposed to the state of disk and locks."""
    return error.sqlite_errorcode == sqlite3.SQLITE_ERROR


class SQLite:
    """The embedded engine. `write` may be called from any thread; works that wait share one transaction, each in its
    own savepoint, and are answered after the one fsync."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lane: threading.Thread | None = None
        self._guard = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        with translated():
            connect(path).close()

    def write(self, work: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise Unavailable("The installation is being closed.", "Open it again.")
        future: Future[T] = Future()
        if threading.current_thread() is self._lane:
            raise RuntimeError("a write may not wait for another write inside itself")
        self._start_lane()
        self._waiting.put((work, future))
        return future.result()

    def read(self, work: Callable[[Transaction], T]) -> T:
        db = self._reader()
        if db.in_transaction:
            return work(SQLiteTransaction(db, {}))
        with translated():
            db.execute("BEGIN")
        try:
            return work(SQLiteTransaction(db, {}))
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def changed(self) -> int:
        with translated():
            return int(self._reader().execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        with self._guard:
            if self._closed:
                return
            self._closed = True
        if self._lane is not None:
            self._waiting.put(None)
            self._lane.join()
        for reader in self._readers:
            reader.close()

    def _reader(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            with translated():
                db = connect(self._path)
                db.execute("PRAGMA query_only=ON")
            self._local.db = db
            with self._guard:
                self._readers.append(db)
        return db

    def _start_lane(self) -> None:
        with self._guard:
            if self._lane is None:
                self._lane = threading.Thread(target=self._write_groups, name="writer", daemon=True)
                self._lane.start()

    def _write_groups(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                break
            group, ended = self._collect(first)
            self._commit(group)
            if ended:
                break
        if self._writer is not None:
            self._writer.close()

    def _collect(self, first: tuple[Work, Future[Any]]) -> tuple[list[tuple[Work, Future[Any]]], bool]:
        group = [first]
        while len(group) < LONGEST_GROUP:
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
            if waiting is None:
                return group, True
            group.append(waiting)
        return group, False

    def _commit(self, group: list[tuple[Work, Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any]] = []
        try:
            db = self._open_writer()
            around: dict[str, tuple[Any, Any]] = {}
            with translated():
                db.execute("BEGIN IMMEDIATE")
            for work, future in group:
                self._run_one(db, around, work, future, answers)
            tx = SQLiteTransaction(db, around)
            prepared = [(after, before(tx)) for before, after in list(around.values())]
            with translated():
                db.execute("COMMIT")
            for after, given in prepared:
                after(given)
        except BaseException as error:  # every waiting caller must get an answer
            self._give_up(group, error)
            return
        for future, answer in answers:
            future.set_result(answer)

    def _run_one(
        self,
        db: sqlite3.Connection,
        around: dict[str, tuple[Any, Any]],
        work: Work,
        future: Future[Any],
        answers: list[tuple[Future[Any], Any]],
    ) -> None:
        own: dict[str, tuple[Any, Any]] = {}
        db.execute("SAVEPOINT work")
        try:
            answers.append((future, work(SQLiteTransaction(db, own))))
            db.execute("RELEASE work")
        except BaseException as error:
            if not db.in_transaction:  # a full disk makes SQLite roll everything back
                raise
            db.execute("ROLLBACK TO work")
            db.execute("RELEASE work")
            future.set_exception(error)
            return
        for key, pair in own.items():
            around.setdefault(key, pair)

    def _give_up(self, group: list[tuple[Work, Future[Any]]], error: BaseException) -> None:
        if self._writer is not None and self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        for _, future in group:
            if not future.done():
                future.set_exception(
                    error if isinstance(error, LooplineError) else Unavailable(f"The write failed ({error}).")
                )

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = connect(self._path)
        return self._writer
