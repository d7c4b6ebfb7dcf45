"""The logs of predictions and of ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.ids import checked_name
from loopline.ports.database import Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.keeping import Keeping

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from loopline.usecases.serving.records.units import LogUnit


class Recording(Keeping):
    """Read and seal what was predicted and what came true."""

    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at",
        columns: Sequence[str] | None = None, where: str = "",
    ) -> pa.Table:  # fmt: skip
        """Logged predictions of an endpoint with since <= `by` < until, in the order in which they were logged.

        `by` is "at" (wall clock of the server) or "event_time". Columns: id, endpoint, revision, model, version, arm,
        caller, rules, sample, at, event_time, key, the inputs, prediction, latency_us and, where predictions were
        explained, explanation and explanation_base; an input that has one of these names is `input.<name>`. With
        `columns` only those, and no more than they need is read from disk. `where` is a condition as in
        records/conditions.py: "carrier = 'UA' and dep_hour >= 6".
        """
        from loopline.usecases.serving.records.conditions import parsed
        from loopline.usecases.serving.records.reading import read_predictions

        return read_predictions(self._home, endpoint, since, until, by, columns, parsed(where))

    def read_truth(self, endpoint: str, after: int = 0, most: int | None = None) -> pa.Table:
        """All ground truth received for an endpoint, in the order of receipt (`seq`); with `most` only the first so many
        records with seq > `after`, without reading what was received before.

        Columns: prediction_id, key, event_time, value, observed_at, received_at, seq.
        """
        from loopline.usecases.serving.records.reading import read_truth, read_truth_after

        return read_truth(self._home, endpoint) if most is None else read_truth_after(self._home, endpoint, after, most)

    def truth_mark(self, endpoint: str) -> str:
        """A text that differs once truth that was received is no longer there: it was erased, or is not kept any longer."""
        from loopline.usecases.serving.records.reading import truth_mark

        return truth_mark(self._home, endpoint)

    def times_of_ids(self, ids: pa.ChunkedArray) -> np.ndarray[Any, Any]:
        """The millisecond at which each id's prediction was made, which the id holds; -1 for text that is no id."""
        from loopline.usecases.serving.records.ids import times_of

        return times_of(ids)

    def log_days(self, endpoint: str, known: Sequence[LogUnit] = ()) -> list[LogUnit]:
        """The units of time (days of `at`; hours of a day that has very many rows, or is not over) that hold predictions,
        each with a mark that changes when rows of it came, were erased or expired. `known`: what was answered before,
        so that only the files of days that changed are looked into."""
        from loopline.usecases.serving.records.units import units

        today = self._clock.now().astimezone(UTC).strftime("%Y-%m-%d")
        return units(self._home, endpoint, today, {unit.name: unit for unit in known})

    def standing(self, tx: Transaction, endpoint: str) -> bool:
        """Whether there is, or was until it was retired, such an endpoint: false once it is in the trash."""
        return store.ever(tx, endpoint) is not None

    def log_mark(self, endpoint: str) -> str:
        """A text that differs once more predictions or truth of an endpoint are on disk; cheap to ask."""
        from loopline.usecases.serving.records.layout import changed
        from loopline.usecases.serving.records.segments import mark

        checked_name("endpoint", endpoint)
        grown = mark(self._home / "predictions" / endpoint, self._home / "truth" / endpoint)
        return f"{grown} {changed(self._home, endpoint):x}"

    def find_prediction(self, prediction_id: str) -> dict[str, Any]:
        """The logged record of one prediction, or NotFound."""
        from loopline.usecases.serving.records.finding import find

        return find(self._home, prediction_id)

    def recent(self, endpoint: str, limit: int) -> list[dict[str, Any]]:
        """The newest logged predictions, newest first."""
        from loopline.usecases.serving.records.summaries import recent

        return recent(self._home, endpoint, limit)

    def newest(
        self, endpoint: str, limit: int, since: str | None = None, until: str | None = None, by: str = "at",
        where: str = "",
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest records that are meant (see `read_predictions`), newest first."""
        from loopline.usecases.serving.records.summaries import recent, shown_rows

        if not (since or until or where):
            return recent(self._home, endpoint, limit)
        return shown_rows(self.read_predictions(endpoint, since, until, by, where=where), limit)

    def export(
        self, endpoint: str, target: Path, since: str | None = None, until: str | None = None, by: str = "at",
        where: str = "",
    ) -> int:  # fmt: skip
        """Write the records that are meant to a Parquet or CSV file, by its ending; answers how many."""
        from loopline.usecases.serving.records.exporting import export

        return export(self.read_predictions(endpoint, since, until, by, where=where), target)

    def explain(self, prediction_id: str) -> dict[str, Any]:
        """What each input contributed to a prediction: as stored, else computed now by the version that made it.

        Answers prediction, value, model, version, base, contributions (by input), scale (what base and contributions add
        up to: the prediction, or its log-odds) and stored. Refused for a model whose contributions cannot be told, or
        where an input was not logged.
        """
        from loopline.usecases.serving.explaining import explain

        record = self.find_prediction(prediction_id)
        revision = self._database.read(lambda tx: self._revision(tx, record["endpoint"], record["revision"]))
        return explain(record, revision.signature, self._registry)

    def traffic(self, endpoint: str) -> list[dict[str, Any]]:
        """Predictions by day and revision, with p50 and p99 latency in milliseconds."""
        from loopline.usecases.serving.records.summaries import traffic

        return traffic(self._home, endpoint)

    def score(
        self,
        reference: str,
        source: Path,
        target: Path,
        key: str | None = None,
        event_time: str | None = None,
        chunk_rows: int = 65536,
    ) -> dict[str, Any]:
        """Score a Parquet or CSV file with `model/version` or `model@alias` into a Parquet file; answers a summary."""
        from loopline.usecases.serving.batch import score

        return score(self._registry, self._home, reference, source, target, key, event_time, chunk_rows)

    def address(self) -> dict[str, Any]:
        """Where the data plane of this installation answers; Unavailable when it does not run."""
        from loopline.usecases.serving.waiting import address

        return address(self._home)
