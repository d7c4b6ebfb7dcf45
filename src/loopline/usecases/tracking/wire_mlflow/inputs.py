"""MLflow's routes for what went into runs and came out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.tracking.inputs import Dataset
from loopline.usecases.tracking.wire_mlflow import limits
from loopline.usecases.tracking.wire_mlflow.messages import Field, Values, int64, missing, read, text

MOST = 1_000
LONGEST: Mapping[str, int] = {
    "name": 500,
    "digest": 36,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}
LONGEST_TAG_KEY, LONGEST_TAG_VALUE = 255, 500

ID = Field("run_id", text, True, other="run_uuid")
DATASET = (
    Field("name", text, True),
    Field("digest", text, True),
    Field("source_type", text),
    Field("source", text),
    Field("schema", text),
    Field("profile", text),
)
TAG = (Field("key", text, True), Field("value", text))
DATASET_INPUT = (Field("tags", TAG, many=True), Field("dataset", DATASET))
MODEL = (Field("model_id", text, True), Field("step", int64))
INPUTS = (ID, Field("datasets", DATASET_INPUT, many=True), Field("models", MODEL, many=True))
OUTPUTS = (ID, Field("models", MODEL, True, many=True))


def log_inputs(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Datasets and logged models that went into a run."""
    given = read(INPUTS, fields)
    few("datasets", given["datasets"])
    few("models", given["models"])
    datasets: dict[tuple[str, str], Dataset] = {}
    for place, one in enumerate(given["datasets"]):
        found = dataset(one, f"datasets[{place}]")
        datasets.setdefault((found.name, found.digest), found)
    models = dict.fromkeys(model_id(one) for one in given["models"])
    tracking.add_inputs(given["run_id"], [*datasets.values()], [*models])
    return {}


def log_outputs(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Logged models that came out of a run."""
    given = read(OUTPUTS, fields)
    few("models", given["models"])
    tracking.add_outputs(given["run_id"], {model_id(one): one["step"] or 0 for one in given["models"]})
    return {}


def dataset(given: Values, path: str) -> Dataset:
    """A dataset and its tags, none of them too long."""
    told = given["dataset"]
    if told is None:
        raise missing(f"{path}.dataset")
    for name, longest in LONGEST.items():
        limits.within(name, told[name] or "", longest)
    tags = {}
    for one in given["tags"]:
        key = limits.within("key", one["key"], LONGEST_TAG_KEY)
        tags[key] = limits.within("value", one["value"] or "", LONGEST_TAG_VALUE)
    return Dataset(**{name: value or "" for name, value in told.items()}, tags=tags)


def model_id(given: Values) -> str:
    """The id of a logged model."""
    return limits.within("model_id", given["model_id"], limits.LONGEST_KEY)


def few(what: str, sent: list[Any]) -> None:
    """Invalid when there are too many of something."""
    if len(sent) > MOST:
        raise Invalid(f"A request can tell at most {MOST} {what}. Got {len(sent)} {what}.", "Send them in parts.")


ROUTES = (
    Route("POST", "runs/log-inputs", Role.EDITOR, log_inputs),
    Route("POST", "runs/outputs", Role.EDITOR, log_outputs),
)
