"""Ground truth over HTTP: checked as a whole, then answered only once it is on disk; waiting requests share an fsync."""

from __future__ import annotations

import math
import time
from concurrent.futures import Executor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from loopline.core.errors import Invalid
from loopline.shells.dataplane.answers import Fault, unavailable
from loopline.shells.dataplane.rows import ms_of_time, not_json
from loopline.usecases.serving.records.ids import canonical
from loopline.usecases.serving.records.writing import Truth, TruthLog

if TYPE_CHECKING:
    from loopline.shells.dataplane.exchange import Exchange

FORM = 'Send {"rows": [{"prediction_id": …, "value": …}]} or rows with key, event_time and value.'


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One piece of truth as it arrives: a number, true or false (1 and 0), or a text. `observed_at` defaults to now."""

    value: float | bool | Annotated[str, Meta(min_length=1, max_length=1000)]
    prediction_id: str | None = None
    key: Annotated[str, Meta(max_length=1000)] | int | None = None
    event_time: datetime | None = None
    observed_at: datetime | None = None


class Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body."""

    rows: list[msgspec.Raw]


_REQUEST = msgspec.json.Decoder(Request)
_ROW = msgspec.json.Decoder(Row)


def parsed(body: bytes, has_key: bool, most_rows: int, texts: bool = True) -> list[Truth]:
    """All rows, or a Fault that names each bad one (the first ten). Without `texts` a text is a bad one."""
    try:
        request = _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise Fault(400, f"The body is not as it should be: {str(error).replace('`', chr(39))}.", FORM) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
    if not 0 < len(request.rows) <= most_rows:
        message = f"A request may have {most_rows} rows." if request.rows else "There are no rows in the request."
        raise Fault(400, message, FORM)
    now, found, wrong = time.time_ns() // 1_000_000, [], []
    for place, raw in enumerate(request.rows):
        try:
            found.append(_truth(raw, has_key, now, texts))
        except Fault as fault:
            wrong.append(f"row {place}: {fault.message}")
    if wrong:
        more = f" (and {len(wrong) - 10} more)" if len(wrong) > 10 else ""
        raise Fault(400, f"Nothing was taken: {'; '.join(wrong[:10])}{more}.", FORM)
    return found


def _truth(raw: msgspec.Raw, has_key: bool, now: int, texts: bool) -> Truth:
    try:
        row = _ROW.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(400, str(error).replace("`", "'").replace(" - at '$.", " in '")) from None
    if not texts and isinstance(row.value, str):
        raise Fault(400, "'value' is a text, and this endpoint predicts numbers")
    observed = now if row.observed_at is None else ms_of_time(row.observed_at)
    if row.prediction_id is not None:
        if row.key is not None:
            raise Fault(400, "it has both a prediction_id and a key; send one of them")
        try:
            name = canonical(row.prediction_id)
        except Invalid as error:
            raise Fault(400, error.message.rstrip(".")) from None
        event = None if row.event_time is None else ms_of_time(row.event_time)
        return Truth(name, None, event, *_value(row, observed))
    if row.key is None or row.event_time is None:
        raise Fault(400, "it has neither a prediction_id nor a key with event_time")
    if not has_key:
        raise Fault(400, "this endpoint has no key, so truth must come by prediction_id")
    return Truth(None, str(row.key), ms_of_time(row.event_time), *_value(row, observed))


def _value(row: Row, observed: int) -> tuple[float, int, str | None]:
    text = isinstance(row.value, str)
    return math.nan if text else float(row.value), observed, str(row.value) if text else None


class Truths:
    """The truth logs of all endpoints; a thread writes what has gathered while it wrote. Nothing is written, and nobody
    answered, before `begin`: a predecessor may still write."""

    def __init__(self, home: Path, loop: Any, executor: Executor, writer: int) -> None:
        self._home = home
        self._loop = loop
        self._executor = executor
        self._writer = writer
        self._waiting: dict[str, list[tuple[Exchange, list[Truth]]]] = {}
        self._writing = True  # until `begin`
        self._logs: dict[str, TruthLog] = {}  # only the thread touches it

    def begin(self) -> None:
        """From now on nobody else writes: what was taken meanwhile is written."""
        self._writing = bool(self._waiting)
        if self._waiting:
            self._loop.call_soon(self._flush)

    def take(self, exchange: Exchange, endpoint: str, records: list[Truth]) -> None:
        """Answer the request once its records are on disk."""
        self._waiting.setdefault(endpoint, []).append((exchange, records))
        if not self._writing:
            self._writing = True
            self._loop.call_soon(self._flush)

    def idle(self) -> bool:
        """Whether every request was answered."""
        return not self._writing

    def rotate(self) -> None:
        """Free segments that are old; asked once in a while."""
        if not self._writing:
            self._executor.submit(self._rotate)

    def shut(self) -> None:
        """Close all segments; the thread must be idle."""
        for log in self._logs.values():
            log.close()

    def _flush(self) -> None:
        taken, self._waiting = self._waiting, {}
        future = self._loop.run_in_executor(self._executor, self._write, taken)
        future.add_done_callback(lambda done: self._written(taken, done))

    def _write(self, taken: dict[str, list[tuple[Exchange, list[Truth]]]]) -> dict[str, int | str]:
        """In the thread: endpoint to the first seq, or to why nothing was written."""
        told: dict[str, int | str] = {}
        for endpoint, requests in taken.items():
            try:
                if endpoint not in self._logs:
                    self._logs[endpoint] = TruthLog(self._home, endpoint, self._writer)
                told[endpoint] = self._logs[endpoint].write([each for _, records in requests for each in records])
            except OSError as error:
                told[endpoint] = error.strerror or str(error)
        return told

    def _written(self, taken: dict[str, list[tuple[Exchange, list[Truth]]]], done: Any) -> None:
        told = {} if done.exception() else done.result()
        for endpoint, requests in taken.items():
            first = told.get(endpoint, "the write failed")
            for exchange, records in requests:
                if isinstance(first, str):
                    exchange.refuse(unavailable(f"Ground truth cannot be kept just now: {first}."))
                    continue
                body = {"accepted": len(records), "first_seq": first, "last_seq": first + len(records) - 1}
                exchange.ok(msgspec.json.encode(body))
                first += len(records)
        self._writing = bool(self._waiting)
        if self._waiting:
            self._flush()

    def _rotate(self) -> None:
        for log in self._logs.values():
            log.rotate()
