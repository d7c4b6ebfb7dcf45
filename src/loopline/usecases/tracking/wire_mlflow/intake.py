"""What clients log while they train: log-metric, log-batch, log-parameter and set-tag, on the short way.

Each body is read in one pass when it looks as clients write it; whatever does not is read again by the tables of
`messages`, which say exactly what is wrong. The answer is the work to be written, as it would be for `Tracking.log`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid
from loopline.core.wires import Coded
from loopline.ports.database import Transaction
from loopline.usecases.tracking import model
from loopline.usecases.tracking.intake import row_of
from loopline.usecases.tracking.wire_mlflow import limits
from loopline.usecases.tracking.wire_mlflow.messages import Field, double, int64, missing, read, text, wrong

Work = Callable[[Transaction], None]


class Measured(msgspec.Struct):
    """A metric of a batch."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Said(msgspec.Struct):
    """A param or tag of a batch."""

    key: str
    value: str = ""


class LogMetric(msgspec.Struct):
    run_id: str
    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogText(msgspec.Struct):
    run_id: str
    key: str
    value: str = ""


class LogBatch(msgspec.Struct):
    run_id: str
    metrics: list[Measured] = []
    params: list[Said] = []
    tags: list[Said] = []


_RUN = Field("run_id", text, True, other="run_uuid")
_MEASURED = (
    Field("key", text, True),
    Field("value", double, True),
    Field("timestamp", int64, True),
    Field("step", int64),
    Field("model_id", text),
    Field("dataset_name", text),
    Field("dataset_digest", text),
)
_SAID = (Field("key", text, True), Field("value", text))
TABLES: Mapping[type[Any], tuple[Field, ...]] = {
    LogMetric: (_RUN, *_MEASURED),
    LogText: (_RUN, *_SAID),
    LogBatch: (
        Field("run_id", text, True),
        Field("metrics", _MEASURED, many=True),
        Field("params", _SAID, many=True),
        Field("tags", _SAID, many=True),
    ),
}


def understood(kind: type[Any], content: bytes) -> Any:
    """The message in a body; Invalid says what is wrong with it."""
    try:
        return _DECODERS[kind].decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return carefully(kind, content)


_DECODERS = {kind: msgspec.json.Decoder(kind) for kind in TABLES}


def carefully(kind: type[Any], content: bytes) -> Any:
    """The same, field by field."""
    try:
        fields = msgspec.json.decode(content)
        if isinstance(fields, str):  # old clients encode twice
            fields = msgspec.json.decode(fields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Coded(Invalid(f"The body is not JSON ({error})."), "MALFORMED_REQUEST") from None
    if not isinstance(fields, dict):
        raise Coded(Invalid("The body is not a JSON object."), "MALFORMED_REQUEST")
    found = read(TABLES[kind], fields)
    if kind is LogBatch:
        found["metrics"] = [Measured(**without_nothing(one)) for one in found["metrics"]]
        for name in ("params", "tags"):
            found[name] = [Said(**without_nothing(one)) for one in found[name]]
    return kind(**without_nothing(found))


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that hold something."""
    return {name: value for name, value in fields.items() if value is not None}


def log_metric(tracking: Any, content: bytes) -> Work:
    """One point of a metric."""
    one = understood(LogMetric, content)
    return work_for(tracking, one.run_id, [one], {}, {})


def log_batch(tracking: Any, content: bytes) -> Work:
    """Points, params and tags, all or nothing."""
    if len(content) > limits.LARGEST_BATCH:
        raise Invalid(
            f"Batched logging API requests must be at most {limits.LARGEST_BATCH} bytes, got a request of size {len(content)}."
        )
    batch = understood(LogBatch, content)
    limits.checked_size(len(batch.metrics), len(batch.params), len(batch.tags))
    limits.each_once([one.key for one in batch.params])
    return work_for(
        tracking,
        batch.run_id,
        batch.metrics,
        {key: value[: limits.LONGEST_PARAM] for key, value in texts("params", batch.params).items()},
        {key: value[: limits.LONGEST_TAG] for key, value in texts("tags", batch.tags).items()},
        "metrics[{}].name",
    )


def texts(name: str, said: Sequence[Said]) -> dict[str, str]:
    """Params or tags of a batch by their keys; of a tag that comes twice, the last."""
    return {good_key(f"{name}[{place}].key", one.key): one.value for place, one in enumerate(said)}


def log_parameter(tracking: Any, content: bytes) -> Work:
    """One param."""
    one = understood(LogText, content)
    return work_for(tracking, one.run_id, (), {good_key("key", one.key): one.value[: limits.LONGEST_PARAM]}, {})


def set_tag(tracking: Any, content: bytes) -> Work:
    """One tag."""
    one = understood(LogText, content)
    return work_for(tracking, one.run_id, (), {}, {good_key("key", one.key): one.value[: limits.LONGEST_TAG]})


def work_for(
    tracking: Any,
    run_id: str,
    metrics: Sequence[Any],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    path: str = "name",
) -> Work:
    """The work of keeping them; a refusal of the database comes in the protocol's words."""
    if not run_id:
        raise missing("run_id")
    rows = []
    for place, one in enumerate(metrics):
        good_key(path.format(place), one.key)
        if one.timestamp < 0:
            raise wrong(
                path.format(place).replace("name", "timestamp"), one.timestamp, "It must be a nonnegative long."
            )
        rows.append(row_of(one.key, one.value, one.step, one.timestamp))
    of_models = [one for one in metrics if one.model_id]
    more = functools.partial(add_to_models, tracking, run_id, of_models) if of_models else None
    kept = tracking.posted(run_id, rows, params, tags, more)

    def work(tx: Transaction) -> None:
        try:
            kept(tx)
        except Conflict as error:
            raise Invalid(error.message, error.hint) from None

    return work


def add_to_models(tracking: Any, run_id: str, metrics: Sequence[Any], tx: Transaction) -> None:
    """Points that were measured of a logged model are kept with the model too."""
    rows = []
    for one in metrics:
        row = row_of(one.key, one.value, one.step, one.timestamp) | {"run_id": run_id, "model_id": one.model_id}
        rows.append({**row, "dataset_name": one.dataset_name or "", "dataset_digest": one.dataset_digest or ""})
    tracking.add_metrics_in(tx, rows)


@functools.lru_cache(maxsize=20_000)
def good_key(path: str, key: str) -> str:
    """A key of a metric, param or tag; few names come again and again."""
    model.checked_unicode(key)
    return limits.checked_key(path, key)


INTAKE: Mapping[str, Callable[[Any, bytes], Work]] = {
    "runs/log-metric": log_metric,
    "runs/log-batch": log_batch,
    "runs/log-parameter": log_parameter,
    "runs/set-tag": set_tag,
}
