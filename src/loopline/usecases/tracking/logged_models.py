"""Logged models: what a run left to be loaded again, with params, tags and the metrics measured of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.comparisons import Comparison, comparisons, holds
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.ids import new_id
from loopline.core.times import to_ms
from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking import logged_model_rows as store
from loopline.usecases.tracking import model, names
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.experiments_store import bare as experiment_row
from loopline.usecases.tracking.logged_model_rows import LoggedModel, Readiness

CREATED, FINALIZED, DELETED = "logged_model.created", "logged_model.finalized", "logged_model.deleted"
LONGEST_NAME, LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG = 500, 250, 6_000, 8_000
MOST_FOUND = 50_000
_ID = re.compile(r"m-[0-9a-f]{32}\Z")
_BAD_NAME = "/:.%\"'"
_COMPARED = ("=", "!=", "<", "<=", ">", ">=")
_TEXTS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
_ATTRIBUTES = {
    "name": "name",
    "model_id": "id",
    "model_type": "type",
    "status": "status",
    "source_run_id": "source_run_id",
    "experiment_id": "experiment_id",
    "creation_timestamp": "created_at",
    "creation_time": "created_at",
    "creation_timestamp_ms": "created_at",
    "last_updated_timestamp": "updated_at",
    "last_updated_time": "updated_at",
    "last_updated_timestamp_ms": "updated_at",
}
_TIMES = ("created_at", "updated_at")
_ENTITIES = {"": "", "attributes": "", "attribute": "", "metrics": "metrics", "metric": "metrics", "params": "params"}
_ENTITIES |= {"param": "params", "tags": "tags", "tag": "tags"}
Value = Callable[[Row], Any]


class Ordering(msgspec.Struct, frozen=True):
    """`field_name` is an attribute, or `metrics.KEY`, measured on one dataset when that is named."""

    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class Dataset(msgspec.Struct, frozen=True):
    """A dataset on which a model was measured; without a digest any of that name."""

    dataset_name: str
    dataset_digest: str = ""


class LoggedModels(Base):
    """A model's making, finishing and end are facts; its params, tags and metrics are measurements."""

    def create_model(
        self,
        experiment_id: int,
        name: str = "",
        *,
        actor: str,
        model_type: str = "",
        source_run_id: str = "",
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """A new model, pending until it is finalized. NotFound for an unknown experiment, Conflict for one in the
        trash, Invalid for a bad name."""
        model_id = "m-" + new_id()
        row = {
            "id": model_id,
            "experiment_id": experiment_id,
            "name": checked_model_name(name or names.random_name()),
            "type": model_type[:LONGEST_NAME],
            "status": "pending",
            "source_run_id": source_run_id[:64],
            "at": self._clock.text(),
        }
        texts = {"params": checked(params or {}, LONGEST_PARAM), "tags": checked(tags or {}, LONGEST_TAG)}

        def work(tx: Transaction) -> LoggedModel:
            store.add(tx, {**row, "location": self._room(tx, experiment_id, model_id)})
            for table, given in texts.items():
                store.put_texts(tx, table, model_id, given)
            body = {"name": row["name"], "experiment_id": experiment_id, "run_id": row["source_run_id"]}
            self._ledger.append(tx, CREATED, model_id, actor, body)
            return self._whole(tx, model_id)

        return self._database.write(work)

    def logged_model(self, model_id: str, deleted: bool = False) -> LoggedModel:
        """One model; NotFound when there is none, or when it is deleted (unless `deleted`)."""
        return self._database.read(lambda tx: self._whole(tx, model_id, deleted))

    def model_root(self, model_id: str) -> str:
        """The address under which MLflow's clients find a model's files; NotFound."""
        found = self._database.read(lambda tx: self._model(tx, model_id))
        return location(found["experiment_id"], model_id, found["location"])

    def finalize_model(self, model_id: str, status: Readiness, actor: str) -> LoggedModel:
        """Say that a model is ready, or that making it failed; saying it again changes nothing."""

        def work(tx: Transaction) -> LoggedModel:
            row = self._model(tx, model_id)
            if row["status"] != status:
                store.change(tx, model_id, self._clock.text(), status=status)
                self._ledger.append(tx, FINALIZED, model_id, actor, {"status": status, "name": row["name"]})
            return self._whole(tx, model_id)

        return self._database.write(work)

    def delete_model(self, model_id: str, actor: str) -> None:
        """Put a model into the trash; one that is there already stays there."""

        def work(tx: Transaction) -> None:
            row, at = self._model(tx, model_id, deleted=True), self._clock.text()
            if row["state"] == "deleted":
                return
            store.change(tx, model_id, at, state="deleted", deleted_at=at)
            self._ledger.append(tx, DELETED, model_id, actor, {"name": row["name"]})

        self._database.write(work)

    def add_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """More params. Conflict when one has another value already."""
        given = checked(params, LONGEST_PARAM)

        def work(tx: Transaction) -> None:
            self._model(tx, model_id)
            known = store.texts(tx, "params", [model_id]).get(model_id, {})
            for key, value in given.items():
                if known.get(key, value) != value:
                    raise Conflict(
                        f"The param {key!r} of the model {model_id} is {known[key][:80]!r} already.",
                        "A param is written once; use a tag.",
                    )
            store.put_texts(tx, "params", model_id, given)

        self._database.write(work)

    def tag_model(self, model_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """Set tags."""
        given = checked(tags, LONGEST_TAG)

        def work(tx: Transaction) -> LoggedModel:
            self.tag_model_in(tx, model_id, given)
            return self._whole(tx, model_id)

        return self._database.write(work)

    def tag_model_in(self, tx: Transaction, model_id: str, tags: Mapping[str, str]) -> None:
        """`tag_model` in a transaction that changes more."""
        self._model(tx, model_id)
        store.put_texts(tx, "tags", model_id, tags)

    def model_tags_in(self, tx: Transaction, model_id: str) -> dict[str, str]:
        """The tags of a model; NotFound."""
        self._model(tx, model_id)
        return store.texts(tx, "tags", [model_id]).get(model_id, {})

    def untag_model(self, model_id: str, key: str) -> None:
        """Take a tag off; NotFound when it is not there."""

        def work(tx: Transaction) -> None:
            self._model(tx, model_id)
            if not store.drop_tag(tx, model_id, key):
                raise NotFound(
                    f"No tag with key {key[:100]!r} found for model with ID {model_id!r}.", "Its tags stand with it."
                )

        self._database.write(work)

    def add_metrics_in(self, tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
        """Points of models (model_id, key, at_ms, step, value, is_nan, run_id, dataset_name, dataset_digest), each kept
        once, in the transaction that keeps them with their run. NotFound for an unknown model."""
        given = list(rows)
        for model_id in {row["model_id"] for row in given}:
            self._model(tx, model_id)
        store.add_metrics(tx, given)

    def search_models(
        self,
        experiments: Sequence[int],
        where: str = "",
        *,
        datasets: Sequence[Dataset] = (),
        order_by: Sequence[Ordering] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[LoggedModel], bool]:
        """Models of experiments, newest first unless `order_by` says otherwise, and whether more follow.

        `where` joins comparisons of attributes, `metrics.KEY`, `params.KEY` and `tags.KEY` by AND; metrics are those on
        `datasets` when any are named, and any point of a metric counts. Missing values come last in both directions.
        """
        asked = [checked_comparison(one) for one in comparisons(where)]

        def work(tx: Transaction) -> tuple[list[LoggedModel], bool]:
            rows = store.of_experiments(tx, experiments)
            for one in asked:
                rows = kept(tx, rows, one, datasets)
            if datasets and not any(one.entity == "metrics" for one in asked):
                measured = {row["model_id"] for row in store.metrics_named(tx, "") if on(row, datasets)}
                rows = [row for row in rows if row["id"] in measured]
            rows = sorted_rows(tx, rows, order_by)
            return store.whole(tx, rows[offset : offset + limit]), len(rows) > offset + limit

        return self._database.read(work)

    def _model(self, tx: Transaction, model_id: str, deleted: bool = False) -> Row:
        row = store.bare(tx, model_id) if _ID.match(model_id) else None
        if row is None or (row["state"] == "deleted" and not deleted):
            raise NotFound(f"Logged model with ID '{model_id[:80]}' not found.", "Search the experiment's models.")
        return row

    def _whole(self, tx: Transaction, model_id: str, deleted: bool = False) -> LoggedModel:
        return store.whole(tx, [self._model(tx, model_id, deleted)])[0]

    def _room(self, tx: Transaction, experiment_id: int, model_id: str) -> str:
        """Where the files of a new model will lie, when its experiment has a place of its own for files."""
        row = experiment_row(tx, experiment_id) if 0 <= experiment_id < 2**63 else None
        if row is None:
            raise NotFound(f"No Experiment with id={experiment_id} exists.", "Create it first.")
        if row["state"] != "active":
            raise Conflict(
                f"The experiment {experiment_id} must be in the 'active' state. Current state is {row['state']}.",
                "Restore it first, or use another one.",
            )
        return f"{row['location'].rstrip('/')}/models/{model_id}/artifacts" if row["location"] else ""


def location(experiment_id: int, model_id: str, own: str) -> str:
    """The address of a model's files."""
    return own or f"mlflow-artifacts:/{experiment_id}/models/{model_id}/artifacts"


def checked_model_name(name: str) -> str:
    """The name of a logged model, or Invalid."""
    if 0 < len(name) <= LONGEST_NAME and name.isprintable() and not set(_BAD_NAME) & set(name):
        return name
    raise Invalid(
        f"Invalid model name ({name[:100]!r}) provided. It must be a non-empty string without {' '.join(_BAD_NAME)}.",
        f"Use 1 to {LONGEST_NAME} visible characters.",
    )


def checked(texts: Mapping[str, str], longest: int) -> dict[str, str]:
    """Params or tags, cut to the longest value that is kept; Invalid for a bad key."""
    return {
        checked_key(model.checked_unicode(key)): model.checked_unicode(value)[:longest] for key, value in texts.items()
    }


def checked_key(key: str) -> str:
    """The key of a param or tag, or Invalid."""
    if 0 < len(key) <= LONGEST_KEY:
        return key
    raise Invalid(f"A key of {len(key)} characters cannot be kept.", f"Use 1 to {LONGEST_KEY}.")


def checked_comparison(one: Comparison) -> Comparison:
    """A comparison with its entity by its usual name, or Invalid for one that says nothing of models."""
    entity = _ENTITIES.get(one.entity)
    if entity is None or (entity == "" and one.key not in _ATTRIBUTES):
        name = f"{one.entity}.{one.key}" if one.entity else one.key
        raise Invalid(f"Invalid filter key {name[:100]!r} at character {one.at + 1}.", _KEYS)
    numeric = entity == "metrics" or (_ATTRIBUTES.get(one.key) in _TIMES and entity == "")
    if one.op not in (_COMPARED if numeric else _TEXTS):
        raise Invalid(
            f"Invalid comparison operator for {one.key[:100]!r}: {one.op!r}.",
            f"Use one of {_COMPARED if numeric else _TEXTS}.",
        )
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    if any(isinstance(value, str) == numeric for value in values):
        raise Invalid(
            f"{one.key[:100]!r} cannot be compared with {str(one.value)[:100]!r}.",
            "Give a number for metrics and times, else a text.",
        )
    return one._replace(entity=entity, key=one.key if entity else _ATTRIBUTES[one.key])


_KEYS = (
    "Use name, model_id, model_type, status, source_run_id, creation_timestamp, metrics.KEY, params.KEY or tags.KEY."
)


def kept(tx: Transaction, rows: list[Row], one: Comparison, datasets: Sequence[Dataset]) -> list[Row]:
    """The models for which a comparison holds."""
    if one.entity == "metrics":
        met = {
            row["model_id"]
            for row in store.metrics_named(tx, one.key)
            if (not datasets or on(row, datasets)) and not row["is_nan"] and holds(one.op, row["value"], one.value)
        }
        return [row for row in rows if row["id"] in met]
    if one.entity:
        values = store.values(tx, one.entity, one.key)
        return [row for row in rows if holds(one.op, values.get(row["id"]), one.value)]
    return [row for row in rows if holds(one.op, attribute(row, one.key, one.value), one.value)]


def attribute(row: Row, column: str, wanted: Any = "") -> Any:
    """An attribute as it is compared: times in milliseconds since 1970; a status by MLflow's word or ours."""
    if column in _TIMES:
        return to_ms(row[column])
    if column == "status" and isinstance(wanted, str) and wanted.startswith("LOGGED_MODEL_"):
        return WORDS[row["status"]]
    if column == "status" and isinstance(wanted, str) and wanted.isupper():
        return row["status"].upper()
    return row[column] if row[column] != "" else None


WORDS: dict[str, str] = {
    "pending": "LOGGED_MODEL_PENDING",
    "ready": "LOGGED_MODEL_READY",
    "failed": "LOGGED_MODEL_UPLOAD_FAILED",
}


def on(row: Row, datasets: Sequence[Dataset]) -> bool:
    """Whether a point was measured on one of some datasets."""
    return any(
        row["dataset_name"] == one.dataset_name and one.dataset_digest in ("", row["dataset_digest"])
        for one in datasets
    )


def sorted_rows(tx: Transaction, rows: list[Row], order_by: Sequence[Ordering]) -> list[Row]:
    """Rows in the order asked for, then newest first, then by id."""
    rows = sorted(sorted(rows, key=lambda row: row["id"]), key=lambda row: row["created_at"], reverse=True)
    for one in reversed(order_by):
        value = ordering_value(tx, one)
        there = [row for row in rows if value(row) is not None]
        there.sort(key=value, reverse=not one.ascending)
        rows = there + [row for row in rows if value(row) is None]
    return rows


def ordering_value(tx: Transaction, one: Ordering) -> Value:
    """What models are ordered by; Invalid for a field that they do not have."""
    entity, dot, key = one.field_name.partition(".")
    if dot and entity in ("metrics", "metric"):
        return functools.partial(latest_value, latest(store.metrics_named(tx, key.strip('`"')), one))
    name = key if dot and entity in ("attributes", "attribute") else one.field_name
    if name not in _ATTRIBUTES:
        raise Invalid(
            f"Invalid order by field name: {one.field_name[:100]}",
            f"Use metrics.KEY or one of {', '.join(_ATTRIBUTES)}.",
        )
    return lambda row: attribute(row, _ATTRIBUTES[name])


def latest_value(found: Mapping[str, float], row: Row) -> float | None:
    """The number that stands for a model."""
    return found.get(row["id"])


def latest(rows: Iterable[Row], one: Ordering) -> dict[str, float]:
    """The newest number of each model (by time, then step), on the dataset asked for."""
    found: dict[str, float] = {}
    for row in rows:
        named = one.dataset_name in ("", row["dataset_name"]) and one.dataset_digest in ("", row["dataset_digest"])
        if named and not row["is_nan"]:
            found[row["model_id"]] = row["value"]
    return found
