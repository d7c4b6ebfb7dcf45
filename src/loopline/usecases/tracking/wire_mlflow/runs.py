"""MLflow's routes for runs; what is logged to them while they go on comes in through `intake`."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import from_ms
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.tracking.model import RUN_NAME
from loopline.usecases.tracking.wire_mlflow import experiments, limits, telling
from loopline.usecases.tracking.wire_mlflow.messages import Field, Values, int64, one_of, read, text, wrong

EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999  # milliseconds of the years 1 and 9999
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
MODEL_FIELDS = ("artifact_path", "flavors", "utc_time_created", "run_id")
MODEL_TOLD = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
LONGEST_USER = 256

ID = Field("run_id", text, True, other="run_uuid")
TAG = (Field("key", text, True), Field("value", text))
CREATE = (
    Field("experiment_id", text),
    Field("user_id", text),
    Field("run_name", text),
    Field("start_time", int64),
    Field("tags", TAG, many=True),
)
UPDATE = (ID, Field("status", one_of(*STATUSES)), Field("end_time", int64), Field("run_name", text))
OF_ID = (ID,)
DELETE_TAG = (ID, Field("key", text, True))
LOG_MODEL = (ID, Field("model_json", text, True))


def create(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Begin a run."""
    given = read(CREATE, fields)
    tags = {limits.within("key", one["key"], limits.LONGEST_KEY): one["value"] or "" for one in given["tags"]}
    name, tag = given["run_name"] or "", tags.get(RUN_NAME, "")
    if name and tag and name != tag:
        raise Invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{name[:100]}', mlflow.runName='{tag[:100]}').",
            "Send one of them.",
        )
    run_id = tracking.new_run(
        experiments.number(given["experiment_id"] or "0"),
        actor=caller.name,
        name=name,
        tags={key: value[: limits.LONGEST_TAG] for key, value in tags.items()},
        user_id=(given["user_id"] or "")[:LONGEST_USER],
        started_at=moment("start_time", given["start_time"]),
    )
    return {"run": telling.run(tracking.record(run_id))}


def get(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """One run, also a deleted one."""
    return {"run": telling.run(tracking.record(read(OF_ID, fields, query=True)["run_id"]))}


def update(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Give a run another status, end or name; what is not sent stays."""
    given = read(UPDATE, fields)
    changed = tracking.update_run(
        given["run_id"],
        actor=caller.name,
        status=(given["status"] or "").lower(),
        ended_at=moment("end_time", given["end_time"] or None),
        name=given["run_name"] or "",
    )
    return {"run_info": telling.info(changed.run)}


def delete(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Put a run into the trash."""
    tracking.delete_run(read(OF_ID, fields)["run_id"], actor=caller.name)
    return {}


def restore(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Take a run out of the trash."""
    tracking.restore_run(read(OF_ID, fields)["run_id"], actor=caller.name)
    return {}


def delete_tag(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Take a tag off a run."""
    given = read(DELETE_TAG, fields)
    tracking.untag_run(given["run_id"], given["key"])
    return {}


def log_model(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Note that a model was logged, as clients before 3.0 do: in a tag of the run."""
    given = read(LOG_MODEL, fields)
    try:
        model = msgspec.json.decode(given["model_json"])
    except (msgspec.DecodeError, RecursionError):
        raise Invalid("Malformed model info: 'model_json' is not a valid JSON.", "Send the model as JSON.") from None
    if not isinstance(model, dict):
        raise wrong("model_json", model)
    if lacking := sorted({*MODEL_FIELDS} - model.keys()):
        raise Invalid(f"Model json is missing mandatory fields: {lacking}", "Send the whole MLmodel.")
    told = {name: model[name] for name in MODEL_TOLD if name in model} | {"flavors": flavors(model["flavors"])}
    tracking.note_model(given["run_id"], told)
    return {}


def flavors(sent: Any) -> Values:
    """A model's flavors without their long configurations."""
    if not isinstance(sent, dict):
        raise wrong("model_json.flavors", sent)
    return {
        name: {key: value for key, value in one.items() if key != "config"} if isinstance(one, dict) else one
        for name, one in sent.items()
    }


def moment(path: str, milliseconds: int | None) -> str:
    """A time as it is kept; nothing for none."""
    if milliseconds is None:
        return ""
    if not EARLIEST <= milliseconds <= LATEST:
        raise wrong(path, milliseconds, "It must be milliseconds since 1970, before the year 10000.")
    return from_ms(milliseconds)


ROUTES = (
    Route("POST", "runs/create", Role.EDITOR, create),
    Route("GET", "runs/get", Role.VIEWER, get),
    Route("POST", "runs/update", Role.EDITOR, update),
    Route("POST", "runs/delete", Role.EDITOR, delete),
    Route("POST", "runs/restore", Role.EDITOR, restore),
    Route("POST", "runs/delete-tag", Role.EDITOR, delete_tag),
    Route("POST", "runs/log-model", Role.EDITOR, log_model),
)
