"""Traces: what single requests did, span by span. They are measurements; only their deletion is a fact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.comparisons import Comparison, comparisons, holds, ordering
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.tracking import experiments_store
from loopline.usecases.tracking import trace_rows as store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.trace_rows import Span, Trace

DELETED = "traces.deleted"
LONGEST_KEY, LONGEST_VALUE, LONGEST_PREVIEW = 250, 8_000, 10_000
MOST_TEXTS, MOST_SEARCHED = 1_000, 100_000
LATEST_MS = 253_402_300_799_000  # the end of the year 9999
NAME_TAG, RUN_METADATA = "mlflow.traceName", "mlflow.sourceRun"
STATES = ("OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED")
LOCATION_TAG, PLACE_TAG, HERE = "mlflow.trace.spansLocation", "mlflow.artifactLocation", "TRACKING_STORE"
_ID = re.compile(r"[\w.:/-]{1,128}\Z")
_ENTITIES = {"": "", "attributes": "", "attribute": "", "attr": "", "trace": "", "tags": "tags", "tag": "tags"}
_ENTITIES |= {"metadata": "metadata", "request_metadata": "metadata", "trace_metadata": "metadata"}
_ATTRIBUTES = {
    "timestamp": "started_ms",
    "timestamp_ms": "started_ms",
    "request_time": "started_ms",
    "execution_time": "duration_ms",
    "execution_time_ms": "duration_ms",
    "execution_duration": "duration_ms",
    "status": "state",
    "state": "state",
    "name": "name",
    "trace_id": "id",
    "request_id": "id",
    "client_request_id": "client_request_id",
    "run_id": "run_id",
}


class Traces(Base):
    """Traces are found by experiment, time, state, name, tags and metadata."""

    def put_trace(self, trace: Trace) -> Trace:
        """Keep what a client tells of a trace; telling it again replaces it. NotFound for an unknown experiment,
        Conflict for one in the trash, Invalid for what cannot be kept."""
        checked = fitted(trace)

        def work(tx: Transaction) -> Trace:
            self._opened(tx, checked.experiment_id)
            here = {LOCATION_TAG: HERE} if store.span_count(tx, checked.id) else {}
            place = {PLACE_TAG: f"mlflow-artifacts:/{checked.experiment_id}/traces/{checked.id}/artifacts"}
            store.put(tx, msgspec.structs.replace(checked, tags={**checked.tags, **place, **here}))
            return store.of_ids(tx, [checked.id])[0]

        return self._database.write(work)

    def put_spans(self, experiment_id: int, spans: Sequence[Span]) -> None:
        """Keep spans; those of a trace that no client told of make one."""
        of_trace: dict[str, list[Span]] = {}
        for one in spans:
            of_trace.setdefault(checked_id(one.trace_id), []).append(one)

        def work(tx: Transaction) -> None:
            self._opened(tx, experiment_id)
            store.put_spans(tx, spans)
            for trace_id, some in of_trace.items():
                store.guess(tx, {"experiment_id": experiment_id, **guessed(trace_id, some)})
                store.grow(tx, guessed(trace_id, store.spans(tx, [trace_id])[trace_id]))
                store.put_texts(tx, "tags", trace_id, {LOCATION_TAG: HERE})

        self._database.write(work)

    def trace(self, trace_id: str) -> Trace:
        """One trace; NotFound."""
        return self._database.read(lambda tx: self._told_of(tx, trace_id))

    def traces_of(self, ids: Sequence[str]) -> list[Trace]:
        """The traces with these ids that exist, in this order."""
        return self._database.read(lambda tx: store.of_ids(tx, ids))

    def spans_of(self, ids: Sequence[str]) -> dict[str, list[Span]]:
        """The spans of traces, each by its start."""
        return self._database.read(lambda tx: store.spans(tx, ids))

    def search_traces(
        self,
        experiments: Sequence[int],
        where: str = "",
        order_by: Sequence[str] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Trace], bool]:
        """Traces of experiments, newest first unless `order_by` says otherwise, and whether more follow.

        `where` joins comparisons by AND: timestamp_ms, execution_time_ms, status, name, trace_id, run_id,
        client_request_id, tags.KEY, metadata.KEY. A filter looks at the newest 100,000 traces.
        """
        asked = [checked_comparison(one) for one in comparisons(where)]
        orders = [ordering(text, attribute) for text in order_by]

        def work(tx: Transaction) -> tuple[list[Trace], bool]:
            if not asked and not orders:
                rows = store.newest(tx, experiments, limit + 1, offset)
                return store.whole(tx, rows[:limit]), len(rows) > limit
            found = store.whole(tx, store.newest(tx, experiments, MOST_SEARCHED, 0))
            kept = [one for one in found if all(holds(c.op, value(one, c), c.value) for c in asked)]
            for key, ascending in reversed(orders):
                kept.sort(key=lambda one: told(one, key), reverse=not ascending)
            return kept[offset : offset + limit], len(kept) > offset + limit

        return self._database.read(work) if experiments else ([], False)

    def traces_named(
        self, experiment: str = "", where: str = "", order_by: Sequence[str] = (), limit: int = 100, offset: int = 0
    ) -> tuple[list[Trace], dict[str, str], bool]:
        """`search_traces` in the experiment of that name, or in all that are not in the trash; with the experiments'
        names by their numbers, as text, and whether more follow."""
        if not 0 < limit <= MOST_SEARCHED or not 0 <= offset < 2**53:
            raise Invalid(f"A page of {limit} traces from {offset} on cannot be made.", f"At most {MOST_SEARCHED}.")
        rows = self._database.read(experiments_store.rows)
        names = {int(row["id"]): str(row["name"]) for row in rows if row["state"] == "active"}
        asked = [number for number, name in names.items() if experiment in ("", name)]
        found, more = self.search_traces(asked, where, order_by, limit, offset)
        return found, {str(one.experiment_id): names[one.experiment_id] for one in found}, more

    def tag_trace(self, trace_id: str, key: str, value: str) -> None:
        """Set a tag."""
        given = texts_fitted({key: value})

        def work(tx: Transaction) -> None:
            self._told_of(tx, trace_id)
            store.put_texts(tx, "tags", trace_id, given)

        self._database.write(work)

    def untag_trace(self, trace_id: str, key: str) -> None:
        """Take a tag off; NotFound when it is not there."""

        def work(tx: Transaction) -> None:
            self._told_of(tx, trace_id)
            if not store.drop_tag(tx, trace_id, key):
                raise NotFound(f"No trace tag with key '{key[:100]}' for trace with ID '{trace_id}'", "See its tags.")

        self._database.write(work)

    def delete_traces(
        self,
        experiment_id: int,
        actor: str,
        ids: Sequence[str] = (),
        until_ms: int | None = None,
        most: int | None = None,
    ) -> int:
        """Delete traces of an experiment by id, or the oldest up to a time; answers how many."""

        def work(tx: Transaction) -> int:
            found = store.newest(tx, [experiment_id], MOST_SEARCHED, 0)
            wanted = set(ids)
            chosen = [one["id"] for one in found if one["id"] in wanted]
            if until_ms is not None:
                chosen = [one["id"] for one in reversed(found) if one["started_ms"] <= until_ms][:most]
            if chosen:
                store.forget(tx, chosen)
                body = {"traces": len(chosen), "first": chosen[0]}
                self._ledger.append(tx, DELETED, str(experiment_id), actor, body)
            return len(chosen)

        return self._database.write(work)

    def _told_of(self, tx: Transaction, trace_id: str) -> Trace:
        found = store.of_ids(tx, [trace_id])
        if not found:
            raise NotFound(f"Trace with ID '{trace_id[:128]}' not found.", "Search the experiment's traces.")
        return found[0]

    def _opened(self, tx: Transaction, experiment_id: int) -> None:
        row = experiments_store.bare(tx, experiment_id) if 0 <= experiment_id < 2**63 else None
        if row is None:
            raise NotFound(f"No Experiment with id={experiment_id} exists", "Create it first.")
        if row["state"] != "active":
            raise Conflict(f"The experiment {experiment_id} must be in the 'active' state.", "Restore it first.")


def guessed(trace_id: str, spans: Sequence[Span]) -> dict[str, Any]:
    """What its spans say of a trace."""
    started = min(one.start_ns for one in spans)
    ended = max(one.end_ns for one in spans)
    root = next((one for one in spans if not one.parent_id), None)
    return {
        "id": trace_id,
        "name": root.name if root else "",
        "state": "IN_PROGRESS" if root is None else "ERROR" if root.status == "ERROR" else "OK",
        "started_ms": started // 1_000_000,
        "duration_ms": max(ended - started, 0) // 1_000_000 if ended else None,
    }


def fitted(trace: Trace) -> Trace:
    """A trace with texts as long as may be kept; Invalid for a bad id, state or time."""
    checked_id(trace.id)
    if trace.state not in STATES:
        raise Invalid(f"{trace.state[:40]!r} is no state of a trace.", f"Use one of {', '.join(STATES)}.")
    for what in (trace.started_ms, trace.duration_ms or 0):
        if not 0 <= what <= LATEST_MS:
            raise Invalid(f"{what} cannot be a time of a trace.", "Give milliseconds since 1970.")
    return msgspec.structs.replace(
        trace,
        name=(trace.name or trace.tags.get(NAME_TAG, ""))[:LONGEST_KEY],
        client_request_id=trace.client_request_id[:LONGEST_KEY],
        request_preview=trace.request_preview[:LONGEST_PREVIEW],
        response_preview=trace.response_preview[:LONGEST_PREVIEW],
        tags=texts_fitted(trace.tags),
        metadata=texts_fitted(trace.metadata),
    )


def texts_fitted(texts: Mapping[str, str]) -> dict[str, str]:
    """Tags or metadata, cut to the longest value that is kept; Invalid for a bad key or too many."""
    if len(texts) > MOST_TEXTS:
        raise Invalid(f"{len(texts)} tags of one trace are too many.", f"Use at most {MOST_TEXTS}.")
    for key in texts:
        if not 0 < len(key) <= LONGEST_KEY:
            raise Invalid(f"A key of {len(key)} characters cannot be kept.", f"Use 1 to {LONGEST_KEY}.")
    return {key: value[:LONGEST_VALUE] for key, value in texts.items()}


def checked_id(trace_id: str) -> str:
    """The id of a trace, or Invalid."""
    if _ID.match(trace_id):
        return trace_id
    raise Invalid(f"{trace_id[:80]!r} is no id of a trace.", "It looks like tr-0123456789abcdef0123456789abcdef.")


def checked_comparison(one: Comparison) -> Comparison:
    """A comparison with its entity and key by their usual names; Invalid for one that says nothing of traces."""
    entity = _ENTITIES.get(one.entity)
    if entity is None:
        raise Invalid(f"Invalid filter key {one.entity[:100]!r} at character {one.at + 1}.", _KEYS)
    return one._replace(entity=entity, key=one.key if entity else attribute(one.key))


_KEYS = "Use timestamp_ms, execution_time_ms, status, name, trace_id, run_id, tags.KEY or metadata.KEY."


def attribute(word: str) -> str:
    """The attribute that a word stands for, or Invalid."""
    found = _ATTRIBUTES.get(word.removeprefix("attributes.").removeprefix("trace."))
    if found is None:
        raise Invalid(f"Invalid attribute key {word[:100]!r} of a trace.", _KEYS)
    return found


def value(trace: Trace, one: Comparison) -> Any:
    """What a comparison looks at."""
    if one.entity:
        texts: Mapping[str, str] = getattr(trace, one.entity)
        return texts.get(one.key)
    return told(trace, one.key)


def told(trace: Trace, key: str) -> Any:
    """An attribute by its usual name."""
    if key == "run_id":
        return trace.metadata.get(RUN_METADATA, "")
    found = getattr(trace, key)
    return 0 if found is None else found


def tree(spans: Iterable[Span]) -> list[tuple[int, Span]]:
    """Spans in the order of a tree, each with its depth; one whose parent did not come stands at the top."""
    found = list(spans)
    there = {one.span_id for one in found}
    children: dict[str, list[Span]] = {}
    for one in found:
        children.setdefault(one.parent_id if one.parent_id in there else "", []).append(one)
    waiting = [(0, one) for one in reversed(children.pop("", []))]
    placed: list[tuple[int, Span]] = []
    while waiting:
        depth, one = waiting.pop()
        placed.append((depth, one))
        waiting += [(depth + 1, child) for child in reversed(children.pop(one.span_id, []))]
    return placed + [(0, one) for some in children.values() for one in some]  # those that are each other's parents
