"""What of a batch goes into the log: a share of its requests, without the inputs that are never logged.

A request is logged when the first eight hexadecimal digits of the SHA-256 of its id, as a fraction of 2^32, are below the
endpoint's `sample`: anybody can tell again which ones were.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.recorder import Waiting
from loopline.shells.dataplane.rows import ms_of_time
from loopline.usecases.serving.records.columns import pack
from loopline.usecases.serving.records.writing import Batch

if TYPE_CHECKING:
    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision


def note(
    revision: Revision, items: list[Item], latencies: Any, numbers: Any, predictions: Any, packed: list[Any],
    waiting: Waiting,
) -> None:  # fmt: skip
    """Log a batch; `waiting` are the exchanges, with their answers, that are answered once it is on disk."""
    if revision.options.sample < 1.0:
        chosen = sampled(items, revision.options.sample)
        if len(chosen) < len(items):
            kept = part(revision, items, chosen, latencies, numbers, predictions)
            items, latencies, numbers, predictions, packed = kept
    if not items:
        for exchange, body in waiting:
            exchange.ok(body)
        return
    batch = batch_of(revision, items, latencies, numbers, predictions, packed)
    if waiting:
        revision.app.recorder.record_durably(revision.header, batch, waiting)
    else:
        revision.app.recorder.record(revision.header, batch)


def sampled(items: list[Item], share: float) -> list[int]:
    """The places of the requests that are logged."""
    below = round(share * (1 << 32))
    return [
        place for place, item in enumerate(items)
        if int(hashlib.sha256(item.id.encode()).hexdigest()[:8], 16) < below
    ]  # fmt: skip


def part(
    revision: Revision, items: list[Item], chosen: list[int], latencies: Any, numbers: Any, predictions: Any
) -> tuple[list[Item], Any, Any, Any, list[Any]]:
    """The same for some of the requests."""
    wanted, start = set(chosen), 0
    places: list[int] = []
    for number, item in enumerate(items):
        if number in wanted:
            places += range(start, start + len(item.rows))
        start += len(item.rows)
    kept = [items[number] for number in chosen]
    columns = list(zip(*[row for item in kept for row in item.rows], strict=True))
    packed = [pack(kind, values) for kind, values in zip(revision.kinds, columns, strict=False)]
    if isinstance(predictions, bytes):
        given: Any = b"".join([predictions[8 * place : 8 * place + 8] for place in places])
    else:
        given = [predictions[place] for place in places]
    times, rows = array("i", [latencies[place] for place in places]), array("i", [numbers[place] for place in places])
    return kept, times, rows, given, packed


def batch_of(
    revision: Revision, items: list[Item], latencies: Any, numbers: Any, predictions: Any, packed: list[Any]
) -> Batch:
    """The records of answered requests."""
    each = items if len(items) == len(latencies) else [item for item in items for _ in item.rows]
    contract, hidden = revision.rows, revision.options.redact
    key = event = None
    if contract.key_at is not None and contract.fields[contract.key_at] not in hidden:
        key = [_text(row[contract.key_at]) for item in items for row in item.rows]
    if contract.event_at is not None and contract.fields[contract.event_at] not in hidden:
        event = array("q", [ms_of_time(row[contract.event_at]) for item in items for row in item.rows]).tobytes()
    logged = revision.signature.inputs
    if hidden:
        packed = [values for column, values in zip(logged, packed, strict=False) if column.name not in hidden]
    return Batch(
        len(latencies), array("q", [item.ms for item in each]).tobytes(),
        array("q", [item.counter for item in each]).tobytes(), numbers.tobytes(),
        latencies.tobytes(), event, key, predictions, packed, [item.arm for item in each],
        [item.caller for item in each],
        explained(items, [column.name not in hidden for column in logged]) if items[0].explanation is not None else None,
    )  # fmt: skip


def explained(items: list[Item], kept: list[bool]) -> tuple[bytes, list[bytes]]:
    """Base values and contributions of all rows, of those inputs that are logged."""
    base = b"".join([item.explanation[0].tobytes() for item in items])
    columns = [
        b"".join([item.explanation[1][place].tobytes() for item in items])
        for place, wanted in enumerate(kept) if wanted
    ]  # fmt: skip
    return base, columns


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
