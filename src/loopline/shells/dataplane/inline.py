"""Predicting in the router's own process, for least latency: no frame travels, no process has to be woken.

Only what our own engines keep is run here: arrays and names that they check, no code of a user and no library's reader.
A process of the model loads it first, as ever, proves that it is fit, and hands over the engine's bytes; it goes on to
take batches that would hold up the loop, and explanations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopline.core.errors import LooplineError
from loopline.core.tables import Signature
from loopline.usecases.serving.records.columns import kind_of, pack

if TYPE_CHECKING:
    from loopline.shells.dataplane.models import Model

ENGINES = ("tables",)
LONGEST_NS = 1_000_000  # for so long a batch may hold up the loop
MANY = 64
MEASURES = 5


class Inline:
    """A model that predicts here. `most_rows`: how many at once, as measured."""

    def __init__(self, model: Model, most_rows: int) -> None:
        self.predict = model.predict
        self.most_rows = most_rows


def loaded(engine: str, content: bytes, signature: Signature, row: tuple[Any, ...]) -> Inline:
    """The engine's bytes as a model, measured with such a row. Takes its time (it imports numpy): not for the loop. Raises
    LooplineError for what cannot be run here, or would hold up everybody."""
    if engine not in ENGINES:
        raise LooplineError(f"the engine {engine!r} runs in a process of its own")
    from loopline.adapters.engines.tables import Tables
    from loopline.shells.dataplane.models import Model

    model = Model(Tables().load(content, signature), signature)
    kinds = [kind_of(column) for column in signature.inputs]

    def spent(count: int) -> int:
        packed = [pack(kind, values) for kind, values in zip(kinds, zip(*[row] * count, strict=True), strict=True)]
        return min(_timed(lambda: model.predict(packed)) for _ in range(MEASURES))

    one, many = spent(1), spent(MANY)
    if one > LONGEST_NS:
        raise LooplineError(f"a prediction takes {one / 1e6:.1f} ms, which would hold up all others")
    row_ns = max(1.0, (many - one) / (MANY - 1))
    return Inline(model, max(1, int((LONGEST_NS - one) / row_ns)))


def _timed(call: Callable[[], Any]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start
