"""Logged models over MLflow's protocol."""

from __future__ import annotations

from typing import Any

from loopline.core import fields as read
from loopline.core.errors import Conflict, Invalid
from loopline.core.times import to_ms
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route
from loopline.usecases.tracking.logged_model_rows import LoggedModel, ModelMetric, Readiness
from loopline.usecases.tracking.logged_models import MOST_FOUND, WORDS, Dataset, Ordering, location
from loopline.usecases.tracking.wire_mlflow.artifacts import page, sent

_STATUS: dict[Any, Readiness] = {"LOGGED_MODEL_PENDING": "pending", "LOGGED_MODEL_READY": "ready"}
_STATUS |= {"LOGGED_MODEL_UPLOAD_FAILED": "failed", 1: "pending", 2: "ready", 3: "failed"}
MOST_EXPERIMENTS = 10_000


def create(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """A new model of an experiment, pending."""
    try:
        made = tracking.create_model(
            experiment(read.required(fields, "experiment_id")),
            read.text(fields, "name", default=""),
            actor=caller.name,
            model_type=read.text(fields, "model_type", default=""),
            source_run_id=read.text(fields, "source_run_id", default=""),
            params=read.pairs(fields, "params"),
            tags=read.pairs(fields, "tags"),
        )
    except Conflict as error:
        raise Invalid(error.message, error.hint) from None
    return {"model": shown(made)}


def get(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """One model, also a deleted one when `allow_deleted` says so."""
    deleted = read.flag(fields, "allow_deleted")
    return {"model": shown(tracking.logged_model(read.required(fields, "model_id"), deleted))}


def finalize(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Say that a model is ready or failed."""
    sent_status = fields.get("status")
    if sent_status is None:
        raise read.missing("status")
    if isinstance(sent_status, str) and sent_status.isdecimal() and len(sent_status) < 3:
        sent_status = int(sent_status)
    status = _STATUS.get(sent_status) if isinstance(sent_status, (str, int)) else None
    if status is None:
        raise read.wrong("status", sent_status)
    return {"model": shown(tracking.finalize_model(read.required(fields, "model_id"), status, caller.name))}


def delete(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Put a model into the trash."""
    tracking.delete_model(read.required(fields, "model_id"), caller.name)
    return {}


def tag(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Set tags of a model."""
    tagged = tracking.tag_model(read.required(fields, "model_id"), read.pairs(fields, "tags"))
    return {"model": shown(tagged)}


def untag(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Take a tag off a model."""
    tracking.untag_model(read.required(fields, "model_id"), read.required(fields, "tag_key"))
    return {}


def add_params(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """More params of a model, as clients send those beyond the first hundred."""
    try:
        tracking.add_model_params(read.required(fields, "model_id"), read.pairs(fields, "params"))
    except Conflict as error:
        raise Invalid(error.message, error.hint) from None
    return {}


def search(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Models of experiments, in pages."""
    experiments = [experiment(one) for one in read.texts(fields, "experiment_ids")]
    if read.given(fields, "experiment_ids") is None:
        raise read.missing("experiment_ids")
    if len(experiments) > MOST_EXPERIMENTS:
        raise Invalid(f"{len(experiments)} experiments are too many.", f"Ask for at most {MOST_EXPERIMENTS}.")
    where = read.text(fields, "filter", default="")
    order_by = [ordering(one) for one in read.listed(fields, "order_by")]
    datasets = [dataset(one) for one in read.listed(fields, "datasets")]
    limit = read.whole(fields, "max_results", 100, 0, MOST_FOUND) or 100
    query = (experiments, where, order_by, datasets)
    offset = read.offset_of(read.text(fields, "page_token", default=""), *query)
    found, more = tracking.search_models(
        experiments, where, datasets=datasets, order_by=order_by, limit=limit, offset=offset
    )
    answer: dict[str, Any] = {"models": [shown(one) for one in found]}
    return answer | ({"next_page_token": read.token_of(offset + limit, *query)} if more else {})


def ordering(sent_one: Any) -> Ordering:
    """One of the objects that say by what to order."""
    if not isinstance(sent_one, dict):
        raise read.wrong("order_by", sent_one)
    digest, name = read.text(sent_one, "dataset_digest", default=""), read.text(sent_one, "dataset_name", default="")
    if digest and not name:
        raise Invalid(
            "`dataset_digest` can only be specified if `dataset_name` is also specified.", "Name the dataset."
        )
    return Ordering(read.required(sent_one, "field_name"), read.flag(sent_one, "ascending", True), name, digest)


def dataset(sent_one: Any) -> Dataset:
    """One of the objects that name a dataset."""
    if not isinstance(sent_one, dict):
        raise read.wrong("datasets", sent_one)
    return Dataset(read.required(sent_one, "dataset_name"), read.text(sent_one, "dataset_digest", default=""))


def folders(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """What lies in a folder of a model, in pages."""
    model_id = read.required(fields, "model_id")
    root = tracking.model_root(model_id)
    return {
        "root_uri": root,
        **page(tracking, model_id, read.text(fields, "artifact_directory_path", default=""), fields),
    }


def content(tracking: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """A model's file."""
    model_id = read.required(fields, "model_id")
    tracking.model_root(model_id)
    return sent(tracking, model_id, read.required(fields, "artifact_file_path"))


def experiment(text: str) -> int:
    """An experiment's number."""
    if text.isdecimal() and text.isascii() and len(text) < 19:
        return int(text)
    raise Invalid(f"Invalid experiment ID: {text[:80]!r}.", "It is a whole number.")


def shown(found: LoggedModel) -> dict[str, Any]:
    """A model as the protocol tells it; absent is what it does not have."""
    info = {
        "model_id": found.id,
        "experiment_id": str(found.experiment_id),
        "name": found.name,
        "creation_timestamp_ms": to_ms(found.created_at),
        "last_updated_timestamp_ms": to_ms(found.updated_at),
        "artifact_uri": location(found.experiment_id, found.id, found.location),
        "status": WORDS[found.status],
        "model_type": found.type,
        "source_run_id": found.source_run_id,
        "status_message": found.status_message,
        "tags": pairs(found.tags),
    }
    data = {"params": pairs(found.params), "metrics": [measured(one, found.id) for one in found.metrics]}
    return {"info": {key: value for key, value in info.items() if value != ""}, "data": data}


def pairs(texts: dict[str, str]) -> list[dict[str, str]]:
    """Params or tags as the protocol tells them."""
    return [{"key": key, "value": value} for key, value in texts.items()]


def measured(one: ModelMetric, model_id: str) -> dict[str, Any]:
    """A point as the protocol tells it."""
    told = {"key": one.key, "value": one.value, "timestamp": one.at_ms, "step": one.step, "model_id": model_id}
    beside = {"run_id": one.run_id, "dataset_name": one.dataset_name, "dataset_digest": one.dataset_digest}
    return told | {key: value for key, value in beside.items() if value}


_ONE = "logged-models/{model_id}"
ROUTES = (
    Route("POST", "logged-models", Role.EDITOR, create),
    Route("POST", "logged-models/search", Role.VIEWER, search),
    Route("GET", _ONE, Role.VIEWER, get),
    Route("PATCH", _ONE, Role.EDITOR, finalize),
    Route("DELETE", _ONE, Role.EDITOR, delete),
    Route("PATCH", f"{_ONE}/tags", Role.EDITOR, tag),
    Route("DELETE", f"{_ONE}/tags/{{tag_key:path}}", Role.EDITOR, untag),
    Route("POST", f"{_ONE}/params", Role.EDITOR, add_params),
    Route("GET", f"{_ONE}/artifacts/directories", Role.VIEWER, folders),
    Route("GET", f"{_ONE}/artifacts/files", Role.VIEWER, content, large=True),
)
