"""MLflow's routes for experiments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from loopline.core.errors import Invalid, NotFound
from loopline.core.fields import offset_of, token_of
from loopline.core.times import to_ms
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.tracking.experiments_store import Described
from loopline.usecases.tracking.wire_mlflow import limits
from loopline.usecases.tracking.wire_mlflow.messages import Field, Values, int64, one_of, read, text

ACTIVE, DELETED, ALL = "ACTIVE_ONLY", "DELETED_ONLY", "ALL"
VIEWS = {ACTIVE: ("active",), DELETED: ("deleted",), ALL: ("active", "archived", "deleted")}
VIEW = one_of(*VIEWS)
MOST_FOUND = 50_000
PAGE = 1_000
MOST_ASKED = 20
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,30}\s*\Z")

TAG = (Field("key", text, True), Field("value", text))
ID = Field("experiment_id", text, True)
OF_ID = (ID,)
CREATE = (Field("name", text, True), Field("artifact_location", text), Field("tags", TAG, many=True))
BY_NAME = (Field("experiment_name", text, True),)
UPDATE = (ID, Field("new_name", text, True))
SET_TAG = (ID, *TAG)
DELETE_TAG = (ID, Field("key", text, True))
SEARCH = (
    Field("view_type", VIEW),
    Field("max_results", int64),
    Field("order_by", text, many=True),
    Field("filter", text),
    Field("page_token", text),
)
DATASETS = (Field("experiment_ids", text, many=True),)


def create(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """A new experiment."""
    given = read(CREATE, fields)
    name = limits.within("name", given["name"], limits.LONGEST_EXPERIMENT)
    tags = {checked_tag(one["key"]): checked_value(one["value"] or "") for one in given["tags"]}
    location = checked_location(given["artifact_location"] or "")
    return {"experiment_id": str(tracking.create_experiment(name, actor=caller.name, location=location, tags=tags))}


def get(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """One experiment, also a deleted one."""
    return {"experiment": told(tracking.experiment(number(read(OF_ID, fields, query=True)["experiment_id"])))}


def get_by_name(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """The experiment of that name, also a deleted one."""
    name = read(BY_NAME, fields, query=True)["experiment_name"]
    found = tracking.experiment_named(name)
    if found is None:
        raise NotFound(f"Could not find experiment with name '{name[:500]}'", "Search experiments to see their names.")
    return {"experiment": told(found)}


def search(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Experiments by a filter, sent as JSON."""
    return searched(tracking, read(SEARCH, fields))


def search_by_query(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Experiments by a filter, sent in the address."""
    return searched(tracking, read(SEARCH, fields, query=True))


def searched(tracking: Any, given: Values) -> Values:
    """A page of experiments."""
    limit = checked_count(given["max_results"], PAGE)
    view, where, order_by = given["view_type"] or ACTIVE, given["filter"] or "", given["order_by"]
    asked = ("experiments", view, where, order_by)
    offset = offset_of(given["page_token"] or "", *asked)
    found, more = tracking.search_experiments(where, order_by, states=VIEWS[view], limit=limit, offset=offset)
    answer: Values = {"experiments": [told(one) for one in found]} if found else {}
    return answer | ({"next_page_token": token_of(offset + limit, *asked)} if more else {})


def delete(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Put an experiment and its runs into the trash."""
    tracking.delete_experiment(number(read(OF_ID, fields)["experiment_id"]), actor=caller.name)
    return {}


def restore(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Take an experiment and its runs out of the trash."""
    tracking.restore_experiment(number(read(OF_ID, fields)["experiment_id"]), actor=caller.name)
    return {}


def update(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Give an experiment another name."""
    given = read(UPDATE, fields)
    name = limits.within("name", given["new_name"], limits.LONGEST_EXPERIMENT)
    tracking.rename_experiment(number(given["experiment_id"]), name, actor=caller.name)
    return {}


def set_tag(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Set a tag of an experiment."""
    given = read(SET_TAG, fields)
    tags = {checked_tag(given["key"]): checked_value(given["value"] or "")}
    tracking.tag_experiment(number(given["experiment_id"]), tags, actor=caller.name)
    return {}


def delete_tag(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Take a tag off an experiment."""
    given = read(DELETE_TAG, fields)
    tracking.untag_experiment(number(given["experiment_id"]), given["key"], actor=caller.name)
    return {}


def search_datasets(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Which datasets went into the runs of some experiments."""
    ids = read(DATASETS, fields)["experiment_ids"]
    if not ids:
        raise Invalid("SearchDatasets request must specify at least one experiment_id.", "Name up to 20.")
    if len(ids) > MOST_ASKED:
        raise Invalid(
            f"SearchDatasets request cannot specify more than {MOST_ASKED} experiment_ids.",
            f"Received {len(ids)} experiment_ids.",
        )
    used = tracking.used_datasets([*dict.fromkeys(number(one) for one in ids)])
    found = [
        {"experiment_id": str(one.experiment), "name": one.name, "digest": one.digest}
        | ({"context": one.context} if one.context else {})
        for one in used
    ]
    return {"dataset_summaries": found} if found else {}


def told(one: Described) -> Values:
    """An experiment as the protocol tells it."""
    tags = [{"key": key, "value": value} for key, value in one.tags.items()]
    return {
        "experiment_id": str(one.id),
        "name": one.name,
        "artifact_location": one.location or f"mlflow-artifacts:/{one.id}",
        "lifecycle_stage": one.state,
        "last_update_time": to_ms(one.updated_at),
        "creation_time": to_ms(one.created_at),
        "workspace": "default",
    } | ({"tags": tags} if tags else {})


def number(sent: str) -> int:
    """An experiment's number; -1 for one that no experiment can have."""
    if not _NUMBER.match(sent):
        raise Invalid(
            f"Invalid experiment ID '{sent[:80]}'. Experiment ID must be a valid integer.", "Send it as text, as '12'."
        )
    found = int(sent)
    return found if 0 <= found < 2**63 else -1


def numbers(sent: Sequence[str]) -> list[int]:
    """Experiments' numbers."""
    return [number(one) for one in sent]


def checked_tag(key: str) -> str:
    """The key of a tag."""
    return limits.checked_key("key", key)


def checked_value(value: str) -> str:
    """The value of an experiment's tag, which is not cut."""
    return limits.within("value", value, limits.LONGEST_EXPERIMENT_TAG)


def checked_location(location: str) -> str:
    """Where an experiment's files shall lie: never read from here, so that only its form matters."""
    try:
        parsed = urlsplit(location)
    except ValueError:
        raise Invalid(f"'artifact_location' is no address: {location[:80]!r}.", "Send a URI or a path.") from None
    if parsed.fragment or ";" in parsed.path:
        raise Invalid("'artifact_location' URL can't include fragments or params.", "Send a plain URI.")
    if parsed.scheme == "runs" or ".." in parsed.query:
        what = "a runs:/ URI" if parsed.scheme == "runs" else "so"
        raise Invalid(f"Artifact location cannot be {what}. Given: {location[:200]!r}", "Send the URI of a folder.")
    return limits.within("artifact_location", location, limits.LONGEST_LOCATION)


def checked_count(sent: int | None, usual: int) -> int:
    """How many a page may hold."""
    if sent is None:
        return usual
    if sent < 1:
        raise Invalid(f"Invalid value {sent} for parameter 'max_results' supplied.", "It must be a positive integer.")
    if sent > MOST_FOUND:
        raise Invalid(
            f"Invalid value {sent} for parameter 'max_results' supplied.", f"It must be at most {MOST_FOUND}."
        )
    return sent


ROUTES = (
    Route("POST", "experiments/create", Role.EDITOR, create),
    Route("GET", "experiments/get", Role.VIEWER, get),
    Route("GET", "experiments/get-by-name", Role.VIEWER, get_by_name),
    Route("POST", "experiments/search", Role.VIEWER, search),
    Route("GET", "experiments/search", Role.VIEWER, search_by_query),
    Route("POST", "experiments/delete", Role.EDITOR, delete),
    Route("POST", "experiments/restore", Role.EDITOR, restore),
    Route("POST", "experiments/update", Role.EDITOR, update),
    Route("POST", "experiments/set-experiment-tag", Role.EDITOR, set_tag),
    Route("POST", "experiments/delete-experiment-tag", Role.EDITOR, delete_tag),
    Route("POST", "experiments/search-datasets", Role.VIEWER, search_datasets),
)
