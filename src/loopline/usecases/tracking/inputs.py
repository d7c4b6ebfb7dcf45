"""What went into runs and came out of them, as clients tell it beside the run: datasets and logged models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.tracking import records_store, store
from loopline.usecases.tracking.base import Base

CONTEXT_TAG = "mlflow.data.context"
MOST_DATASETS = 1_000


class Dataset(NamedTuple):
    """A dataset that went into a run, and the tags under which it did. `digest` is whatever the client names it by."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: Mapping[str, str] = {}


class Used(NamedTuple):
    """A dataset of an experiment and the context that it went into runs under, None where none was told."""

    experiment: int
    name: str
    digest: str
    context: str | None


class Inputs(Base):
    """Each input and output is kept once, however often it is told."""

    def add_inputs(self, run_id: str, datasets: Sequence[Dataset] = (), models: Sequence[str] = ()) -> None:
        """Datasets and logged models that went into a run; a dataset told again keeps its first tags.

        Raises NotFound for an unknown run, Conflict for one in the trash.
        """

        def work(tx: Transaction) -> None:
            run = self._writable(tx, run_id)
            told = [
                {**dict(zip(Dataset._fields, one, strict=True)), "experiment_id": run["experiment_id"]}
                for one in datasets
            ]
            records_store.add_datasets(tx, [{k: v for k, v in row.items() if k != "tags"} for row in told])
            links = [link(run_id, "input", one.name, one.digest, "dataset", one.tags) for one in datasets]
            links += [link(run_id, "input", model, model, "model", {}) for model in models]
            records_store.add_links(tx, links, replacing=False)

        self._database.write(work)

    def add_outputs(self, run_id: str, models: Mapping[str, int]) -> None:
        """Logged models that came out of a run, each with the step that it was made at; the last step told counts."""

        def work(tx: Transaction) -> None:
            self._writable(tx, run_id)
            links = [link(run_id, "output", model, model, "model", {"step": step}) for model, step in models.items()]
            records_store.add_links(tx, links, replacing=True)

        self._database.write(work)

    def used_datasets(self, experiments: Sequence[int], limit: int = MOST_DATASETS) -> list[Used]:
        """Which datasets went into the runs of these experiments."""
        rows = self._database.read(lambda tx: records_store.used_datasets(tx, experiments))
        found = {
            Used(row["experiment_id"], row["name"], row["digest"], msgspec.json.decode(row["tags"]).get(CONTEXT_TAG))
            for row in rows
        }
        return sorted(found, key=lambda one: (*one[:3], one.context or ""))[:limit]


def link(run_id: str, direction: str, name: str, digest: str, kind: str, tags: Mapping[str, Any]) -> dict[str, Any]:
    """An input or output as a row."""
    return {
        "run_id": run_id,
        "direction": direction,
        "name": name,
        "digest": digest,
        "kind": kind,
        "tags": store.json_text(dict(tags)),
    }
