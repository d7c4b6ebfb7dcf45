"""The predictions of a batch on their way back: each request's answer, and the batch's records for the log."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import NO_MODEL, Fault
from loopline.shells.dataplane.noting import note
from loopline.usecases.serving.records.columns import pack

if TYPE_CHECKING:
    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision
    from loopline.shells.dataplane.workers import Sent


def answer(revision: Revision, sent: Sent, predictions: Any, faults: list[Any], explained: Any) -> None:
    """Answer all requests of a batch and log them. `explained` is (base, a column for each input)
    as float64 bytes, or None."""
    values = _numbers(predictions) if isinstance(predictions, bytes) else predictions
    items = sent.items
    if items[0].explain:
        explain(items, explained)
    if faults or sent.given_up:
        answer_some(revision, items, values, dict(faults))
    else:
        answer_all(revision, items, values, predictions, sent.packed)


def answer_all(revision: Revision, items: list[Item], values: Any, predictions: Any, packed: list[Any]) -> None:
    """Every request of the batch has its predictions."""
    now, start = time.perf_counter_ns(), 0
    latencies, numbers = array("i"), array("i")
    durable, waiting = revision.options.durable, []
    for item in items:
        count, exchange = len(item.rows), item.exchange
        body = item.reply.body(revision, item, values[start : start + count])
        if durable:
            waiting.append((exchange, body))
        else:
            exchange.ok(body)
        spent = min((now - exchange.started) // 1000, 0x7FFFFFFF)
        if count == 1:
            latencies.append(spent)
            numbers.append(item.first or -1)
        else:
            latencies.extend([spent] * count)
            numbers.extend(range(item.first, item.first + count))
        start += count
    note(revision, items, latencies, numbers, predictions, packed, waiting)


def answer_some(revision: Revision, items: list[Item], values: Any, faults: dict[int, str]) -> None:
    """Some rows could not be scored, or some requests were given up meanwhile: the others are answered and logged."""
    start = 0
    for item in items:
        places = range(start, start + len(item.rows))
        bad = next((place for place in places if place in faults), None)
        if item.given_up:
            pass
        elif bad is not None:
            where = f"Row {bad - start + item.first}: " if len(item.rows) > 1 or item.first else ""
            reason = (
                faults[bad].partition(":")[0] if revision.options.redact else faults[bad]
            )  # the text may name a value
            message = f"{where}the model could not score this row: {reason}"
            hint = "Compare the row with those that the model was trained on."
            if reason.startswith("rules "):
                message, hint = (
                    f"{where}refused by {reason}",
                    "The endpoint's business rules do not let this row through.",
                )
            item.exchange.refuse(Fault(NO_MODEL, message, hint))
        else:
            part = values[start : places.stop]
            columns = list(zip(*item.rows, strict=True))
            packed = [pack(kind, column) for kind, column in zip(revision.kinds, columns, strict=False)]
            answer_all(revision, [item], part, part.tobytes() if isinstance(part, array) else part, packed)
        start = places.stop


def explain(items: list[Item], explained: Any) -> None:
    """Hand each request its part: `item.explanation` is (base by row, for each input its contributions by row)."""
    if explained is None:
        return
    base, columns = _numbers(explained[0]), [_numbers(column) for column in explained[1]]
    start = 0
    for item in items:
        stop = start + len(item.rows)
        item.explanation = base[start:stop], [column[start:stop] for column in columns]
        start = stop


def _numbers(packed: bytes) -> Any:
    values = array("d")
    values.frombytes(packed)
    return values
