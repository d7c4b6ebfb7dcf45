"""SQLite in WAL mode: one writer lane per process with group commit, one reader per thread."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loopline.core.errors import Conflict, Invalid, LooplineError, Taken, Unavailable
from loopline.ports.database import Row, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Any]
LONGEST_GROUP = 64
LOCK_WAIT_S = 20.0
WAY_OUT = "Free disk or wait, then try again."
UNWRITABLE = "See that the installation's folder and its files can be written."


def connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection that fsyncs every commit and waits for other processes."""
    mode = "ro" if read_only else "rwc"
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=LOCK_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    db.row_factory = sqlite3.Row
    if not read_only:
        if not size_of(path):
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only a new database takes it without being built anew
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA cache_size=-16000")
    return db


def size_of(path: Path) -> int:
    """How many bytes a file holds; 0 when it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Answer:
    """What a writer waits for. (Futures of the standard library take logging with them, and logging half a command's
    time.)"""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether there is an answer."""
        return self._ready.is_set()

    def give(self, value: Any) -> None:
        """Answer."""
        self._value = value
        self._ready.set()

    def refuse(self, error: BaseException) -> None:
        """Have the error raised where the answer is waited for."""
        self._error = error
        self._ready.set()

    def result(self) -> Any:
        """The answer, waited for."""
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Told:
    """Who is called back with the answer instead of waiting for it."""

    def __init__(self, done: Callable[[Any, BaseException | None], None]) -> None:
        self._done = done
        self._told = False

    def done(self) -> bool:
        """Whether there was an answer."""
        return self._told

    def give(self, value: Any) -> None:
        """Answer."""
        self._tell(value, None)

    def refuse(self, error: BaseException) -> None:
        """Tell the error."""
        self._tell(None, error)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        self._told = True
        with contextlib.suppress(Exception):  # who asked may be gone; the others wait for their answers
            self._done(value, error)


Waiting = tuple[Work, Answer | Told, bool]


class SQLiteTransaction:
    """What a work sees of the transaction it shares."""

    def __init__(self, db: sqlite3.Connection, around: dict[str, tuple[Any, Any]]) -> None:
        self._db = db
        self._around = around

    def rows(self, statement: Any, params: Mapping[str, Any] | None = None) -> list[Row]:
        with translated():
            return [dict(row) for row in self._execute(statement, params)]

    def row(self, statement: Any, params: Mapping[str, Any] | None = None) -> Row | None:
        with translated():
            found = self._execute(statement, params).fetchone()
        return None if found is None else dict(found)

    def run(self, statement: Any, params: Mapping[str, Any] | None = None) -> int:
        return self._execute(statement, params).rowcount

    def run_many(self, statement: str, params: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        with translated():
            self._db.executemany(statement, params)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        with translated():
            self._db.execute("SAVEPOINT inner")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO inner")
                self._db.execute("RELEASE inner")
            raise
        self._db.execute("RELEASE inner")

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
        if error is not None and (refusal := refusal_for(error)) is not None:
            raise refusal from error


def refusal_for(error: BaseException) -> LooplineError | None:
    """Loopline's kind for an error of the driver; None for a mistake in the statement, which is ours."""
    if isinstance(error, sqlite3.IntegrityError):
        if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
            return Taken(f"That is already there ({error}).")
        return Conflict(f"The change would break a rule of the database ({error}).")
    if isinstance(error, OverflowError):
        return Invalid("A whole number is beyond 64 bits.", "Give a smaller one, or a decimal number.")
    if isinstance(error, UnicodeEncodeError):
        return Invalid("A text holds half of a character (a lone surrogate).", "Write it as valid Unicode.")
    if isinstance(error, sqlite3.DataError):
        return Invalid(f"A value is too large for the database ({error}).", "Keep it as an artifact.")
    if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
        return Unavailable("The installation is being closed.", "Open it again.")
    if isinstance(error, sqlite3.OperationalError):
        if is_mistake(error):
            return None
        closed = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        return Unavailable(f"The database cannot do that just now ({error}).", UNWRITABLE if closed else WAY_OUT)
    if type(error) is sqlite3.DatabaseError:
        return Unavailable(f"The database is damaged ({error}).", "Restore the installation from a copy.")
    return None


def is_mistake(error: sqlite3.OperationalError) -> bool:
    """Whether the statement itself is wrong, as opposed to the state of disk, locks and tables."""
    missing = str(error).startswith(("no such table", "Could not decode"))
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR and not missing


class SQLite:
    """The embedded engine. `write` may be called from any thread; works that wait share one transaction, each in its
    own savepoint, and are answered after the one fsync."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lane: threading.Thread | None = None
        self._guard = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        with translated():
            connect(path).close()

    def write(self, work: Callable[[Transaction], T], durable: bool = True) -> T:
        if threading.current_thread() is self._lane:
            raise RuntimeError("a write may not wait for another write inside itself")
        answer = Answer()
        self._put(work, answer, durable)
        return answer.result()  # type: ignore[no-any-return]

    def post(self, work: Work, done: Callable[[Any, BaseException | None], None]) -> None:
        self._put(work, Told(done), True)

    def _put(self, work: Work, answer: Answer | Told, durable: bool) -> None:
        with self._guard:  # nothing is put behind the mark that ends the lane
            self._check_open()
            self._start_lane()
            self._waiting.put((work, answer, durable))

    def read(self, work: Callable[[Transaction], T]) -> T:
        self._check_open()
        db = self._reader()
        nested = db.in_transaction
        if nested:
            return work(SQLiteTransaction(db, {}))
        with translated():
            db.execute("BEGIN")
        try:
            return work(SQLiteTransaction(db, {}))
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def row(self, statement: str, params: Mapping[str, Any] | None = None) -> Row | None:
        self._check_open()
        db = self._reader()
        with translated():
            found = db.execute(statement, params or {}).fetchone()
        return None if found is None else dict(found)

    def changed(self) -> int:
        self._check_open()
        with translated():
            return int(self._reader().execute("PRAGMA data_version").fetchone()[0])

    def shrink(self, whole: bool = False) -> int:
        from loopline.adapters.databases.shrinking import shrink

        self._check_open()
        with translated():
            return shrink(self._path, connect, whole)

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
            with self._guard:
                self._check_open()
                self._readers.append(db)
            self._local.db = db
        return db

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The installation is being closed.", "Open it again.")

    def _start_lane(self) -> None:
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

    def _collect(self, first: Waiting) -> tuple[list[Waiting], bool]:
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

    def _commit(self, group: list[Waiting]) -> None:
        answers: list[tuple[Answer | Told, Any]] = []
        prepared: list[tuple[Any, Any]] = []
        try:
            db = self._open_writer()
            around: dict[str, tuple[Any, Any]] = {}
            with translated():
                db.execute(f"PRAGMA synchronous={'FULL' if any(durable for _, _, durable in group) else 'NORMAL'}")
                db.execute("BEGIN IMMEDIATE")
            for work, future, _ in group:
                self._run_one(db, around, work, future, answers)
            tx = SQLiteTransaction(db, around)
            prepared = [(after, before(tx)) for before, after in list(around.values())]
            with translated():
                db.execute("COMMIT")
        except BaseException as error:  # every waiting caller must get an answer
            self._give_up(group, error)
            return
        for after, given in prepared:
            with contextlib.suppress(Exception):  # what is committed is not taken back
                after(given)
        for future, answer in answers:
            future.give(answer)

    def _run_one(
        self,
        db: sqlite3.Connection,
        around: dict[str, tuple[Any, Any]],
        work: Work,
        future: Answer | Told,
        answers: list[tuple[Answer | Told, Any]],
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
            future.refuse(error)
            return
        for key, pair in own.items():
            around.setdefault(key, pair)

    def _give_up(self, group: list[Waiting], error: BaseException) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._writer is not None:
                self._writer.close()  # rolls back; after a failed fsync a connection is not to be trusted
        self._writer = None
        for _, future, _ in group:
            if not future.done():
                future.refuse(error if isinstance(error, LooplineError) else failed(error))

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = connect(self._path)
        return self._writer


def failed(error: BaseException) -> LooplineError:
    """The refusal for whatever ended a group."""
    return refusal_for(error) or Unavailable(f"The write failed ({error}).", WAY_OUT)
