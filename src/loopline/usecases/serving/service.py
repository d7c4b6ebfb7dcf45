"""The verbs of serving: endpoints, deployments and their history, and the logs of predictions and truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from loopline.core.facts import Fact
from loopline.core.ids import checked_name
from loopline.core.times import from_text, to_text
from loopline.core.verbs import Caller
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.ports.runtime import LoadedModel
from loopline.usecases.serving import model, store
from loopline.usecases.serving.model import FAILED, REQUESTED, Desired, Endpoint, Revision, Served, subject
from loopline.usecases.serving.needs import Facts, Tokens, Versions

if TYPE_CHECKING:
    import pyarrow as pa


class Serving:
    """The endpoints of an installation. It says what shall be served; the data plane does it and tells when it did."""

    def __init__(
        self, database: Database, clock: Clock, home: Path, ledger: Facts, registry: Versions, access: Tokens
    ) -> None:
        self._database = database
        self._clock = clock
        self._home = home
        self._ledger = ledger
        self._registry = registry
        self._access = access

    # Endpoints and deployments

    def put(
        self, name: str, model_name: str, actor: str, alias: str | None = None, key: str | None = None,
        event_time: str | None = None,
    ) -> Endpoint:  # fmt: skip
        """Make an endpoint or change its fields; the answer is the endpoint. Changing nothing writes nothing."""
        return self._database.write(lambda tx: self.put_in(tx, name, model_name, actor, alias, key, event_time))

    def put_in(
        self, tx: Transaction, name: str, model_name: str, actor: str, alias: str | None = None,
        key: str | None = None, event_time: str | None = None,
    ) -> Endpoint:  # fmt: skip
        """`put` as part of a greater change; one that was retired is there again, and waits for its next deployment."""
        checked_name("endpoint", name)
        checked_name("model", model_name)
        if alias is not None:
            checked_name("alias", alias)
        model.checked_fields(key, event_time)
        wish = {"name": name, "model": model_name, "alias": alias, "key": key, "event_time": event_time}
        old = store.endpoint(tx, name)
        if old is None or any(getattr(old, field) != value for field, value in wish.items()):
            if old is not None and old.model != model_name and old.wanted is not None:
                raise Conflict(f"Endpoint {name!r} serves the model {old.model!r}.", "Make another endpoint.")
            store.put_endpoint(tx, {**wish, "created_at": self._clock.text(), "created_by": actor})
            self._ledger.append(tx, "endpoint.changed", subject(name), actor, {"endpoint": name, **wish})
        return self._endpoint(tx, name)

    def standing_in(self, tx: Transaction, name: str) -> dict[str, Any] | None:
        """What an endpoint is declared to be (model, alias, key, event_time); None when there is none."""
        found = store.endpoint(tx, name)
        return None if found is None else {each: getattr(found, each) for each in model.WISH}

    def by_hand_in(self, tx: Transaction, name: str) -> Revision | None:
        """The live revision of an endpoint that follows an alias, when it is not what the alias pointed to: somebody
        deployed or rolled back. None while a deployment is under way."""
        row = store.by_hand(tx, name)
        return None if row is None else store.revision(tx, name, row["live_revision"])

    def retire_in(self, tx: Transaction, name: str, actor: str) -> bool:
        """Take an endpoint off: it answers no more. Its revisions, history and logs stay."""
        endpoint = store.endpoint(tx, name)
        if endpoint is None:
            return False
        at = self._clock.text()
        if endpoint.live is not None:
            store.set_retired(tx, name, endpoint.live, at)
            self._tell(tx, "deployment.retired", self._revision(tx, name, endpoint.live), actor)
        store.retire_endpoint(tx, name, at)
        self._ledger.append(tx, model.ENDPOINT_RETIRED, subject(name), actor, {"endpoint": name})
        return True

    def deploy(self, name: str, version: int | str, actor: str, model_name: str | None = None) -> Revision:
        """Ask for a model version (number, or alias of the model) to be served; answers the revision requested.

        The endpoint is made when it is not there and `model_name` says of which model. Asking again for a version
        whose deployment is under way answers that revision; for one that is live it makes another.
        """
        if model_name is not None and self._find(name) is None:
            self.put(name, model_name, actor)
        endpoint = self.endpoint(name)
        if model_name not in (None, endpoint.model):
            raise Conflict(
                f"Endpoint {name!r} serves the model {endpoint.model!r}.", "Make another endpoint for this one."
            )
        found = self._version(endpoint.model, version)
        return self._database.write(lambda tx: self._request(tx, name, found, actor))

    def route(self, name: str, number: int, actor: str) -> Revision:
        """Send all traffic of an endpoint to one of its revisions."""
        return self._database.write(lambda tx: self._move(tx, self._endpoint(tx, name), number, actor, "route"))

    def rollback(self, name: str, actor: str) -> Revision:
        """Go back to what was live before: a deployment under way is called off, else the previous live revision
        returns. A revision once rolled back is skipped by later rollbacks."""
        return self._database.write(lambda tx: self._roll_back(tx, self._endpoint(tx, name), actor))

    def endpoints(self) -> list[Endpoint]:
        """All endpoints by name."""
        return self._database.read(store.endpoints)

    def endpoint(self, name: str) -> Endpoint:
        """One endpoint, or NotFound."""
        return self._database.read(lambda tx: self._endpoint(tx, name))

    def revisions(self, name: str) -> list[Revision]:
        """All deployments of an endpoint, newest first."""
        self.endpoint(name)
        return self._database.read(lambda tx: store.revisions(tx, name))

    def revision(self, name: str, number: int) -> Revision:
        """One deployment of an endpoint, or NotFound."""
        found = self._database.read(lambda tx: store.revision(tx, name, number))
        if found is None:
            raise NotFound(f"Endpoint {name!r} has no revision {number}.", "`loopline endpoints NAME` lists them.")
        return found

    def history(self, name: str) -> list[Served]:
        """What was live from when until when, newest first."""
        self.endpoint(name)
        return self._database.read(lambda tx: store.history(tx, name))

    def live_at(self, name: str, at: str) -> Served | None:
        """What was live at a moment (ISO 8601 text), or None."""
        moment = to_text(from_text(at))
        return self._database.read(lambda tx: store.live_at(tx, name, moment))

    def wait(self, name: str, number: int | None = None, timeout_s: float = 60.0) -> Revision:
        """Wait until a revision (default: the one wanted) is live. CheckFailed when it failed, Unavailable after the
        time. `timeout_s` in seconds."""
        from loopline.usecases.serving.waiting import wait

        return wait(self, name, number, timeout_s)

    # What the data plane asks and tells

    def changed(self) -> int:
        """A number that differs when the database may have changed."""
        return self._database.changed()

    def verify(self, secret: str) -> Caller | None:
        """Who presents a bearer token, or None."""
        return self._access.verify(secret)

    def desired(self) -> list[Desired]:
        """What shall be served now."""

        def work(tx: Transaction) -> list[Desired]:
            def found(endpoint: Endpoint, number: int | None) -> Revision | None:
                return None if number is None else store.revision(tx, endpoint.name, number)

            return [Desired(each, found(each, each.live), found(each, each.wanted)) for each in store.endpoints(tx)]

        return self._database.read(work)

    def follow(self) -> int:
        """Request a deployment for each endpoint whose alias has moved since it was last followed; answers how many.

        A rollback is not undone: only a further move of the alias deploys again. An alias that points to a version
        that is never loaded is followed once and changes nothing.
        """
        followed = 0
        for row in self._database.read(store.followers):
            version = self._registry.alias(row["model"], row["alias"])
            if version is not None and version != row["followed_version"]:
                followed += self._follow(row["name"], row["model"], row["alias"], version)
        return followed

    def went_live(self, name: str, number: int, at: str, actor: str) -> bool:
        """The data plane has put a revision in place at `at`. False when something else is wanted by now."""
        return self._database.write(lambda tx: self._went_live(tx, name, number, at, actor))

    def went_wrong(self, name: str, number: int, reason: str, actor: str) -> None:
        """A revision could not be loaded or warmed: what is live stays live."""

        def work(tx: Transaction) -> None:
            endpoint = self._endpoint(tx, name)
            if endpoint.wanted != number or endpoint.live == number:
                return
            store.set_failed(tx, name, number, self._clock.text(), reason)
            store.want(tx, name, endpoint.live)
            self._tell(tx, "deployment.failed", self._revision(tx, name, number), actor, reason=reason)

        self._database.write(work)

    def load(self, model_name: str, version: int) -> LoadedModel:
        """A registered model in memory."""
        return self._registry.load(model_name, version)

    def examples(self, model_name: str, version: int, rows: int) -> pa.Table | None:
        """The first held-out rows of a version, to warm it with; None when it has none."""
        try:
            return self._registry.evaluation(model_name, version).slice(0, rows)
        except (NotFound, Unavailable):
            return None

    # The logs

    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at"
    ) -> pa.Table:
        """Logged predictions of an endpoint with since <= `by` < until, in the order in which they were logged.

        `by` is "at" (wall clock of the server) or "event_time". Columns: id, endpoint, revision, model, version, at,
        event_time, key, the inputs, prediction, latency_us; an input that has one of these names is `input.<name>`.
        """
        from loopline.usecases.serving.records.reading import read_predictions

        return read_predictions(self._home, endpoint, since, until, by)

    def read_truth(self, endpoint: str) -> pa.Table:
        """All ground truth received for an endpoint, in the order of receipt (`seq`).

        Columns: prediction_id, key, event_time, value, observed_at, received_at, seq.
        """
        from loopline.usecases.serving.records.reading import read_truth

        return read_truth(self._home, endpoint)

    def log_mark(self, endpoint: str) -> str:
        """A text that differs once more predictions or truth of an endpoint are on disk; cheap to ask."""
        from loopline.usecases.serving.records.segments import mark

        checked_name("endpoint", endpoint)
        return mark(self._home / "predictions" / endpoint, self._home / "truth" / endpoint)

    def find_prediction(self, prediction_id: str) -> dict[str, Any]:
        """The logged record of one prediction, or NotFound."""
        from loopline.usecases.serving.records.finding import find

        return find(self._home, prediction_id)

    def recent(self, endpoint: str, limit: int) -> list[dict[str, Any]]:
        """The newest logged predictions, newest first."""
        from loopline.usecases.serving.records.summaries import recent

        return recent(self._home, endpoint, limit)

    def traffic(self, endpoint: str) -> list[dict[str, Any]]:
        """Predictions by day and revision, with p50 and p99 latency in milliseconds."""
        from loopline.usecases.serving.records.summaries import traffic

        return traffic(self._home, endpoint)

    def seal(self, actor: str = "loopline") -> int:
        """Turn closed log segments into Parquet files, with a fact for each; answers how many files were sealed."""
        from loopline.usecases.serving.sealing import seal

        return seal(self._database, self._ledger, self._clock, self._home, actor)

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

    # What an audit compares

    def replayed(self, facts: Iterable[Fact]) -> dict[str, Any]:
        """Endpoint to live revision and version, as the facts add up."""
        return model.replayed(facts)

    def current(self, tx: Transaction) -> dict[str, Any]:
        """Endpoint to live revision and version, as the tables have it."""
        return store.live(tx)

    def _find(self, name: str) -> Endpoint | None:
        return self._database.read(lambda tx: store.endpoint(tx, name))

    def _endpoint(self, tx: Transaction, name: str) -> Endpoint:
        found = store.endpoint(tx, name)
        if found is None:
            raise NotFound(
                f"There is no endpoint {name!r}.", "`loopline endpoints` lists them; `loopline deploy` makes one."
            )
        return found

    def _revision(self, tx: Transaction, name: str, number: int) -> Revision:
        found = store.revision(tx, name, number)
        if found is None:
            raise NotFound(f"Endpoint {name!r} has no revision {number}.", "`loopline endpoints NAME` lists them.")
        return found

    def _version(self, model_name: str, version: int | str) -> Any:
        if isinstance(version, str) and not version.isdecimal():
            found: Any = self._registry.find(f"{model_name}@{version}")
        else:
            found = self._registry.version(model_name, int(version))
        if not found.servable:
            raise Refused(
                f"Version {found.version} of {model_name!r} is stored as {found.format!r} and is never loaded.",
                "Save the model in a safe format and register it again.",
            )
        return found

    def _request(self, tx: Transaction, name: str, found: Any, actor: str, only_new: bool = False) -> Revision:
        endpoint = self._endpoint(tx, name)
        if endpoint.wanted is not None:
            wanted = self._revision(tx, name, endpoint.wanted)
            under_way = endpoint.wanted != endpoint.live
            if (wanted.model, wanted.version) == (found.model, found.version) and (under_way or only_new):
                return wanted
        made = Revision(
            endpoint=name, revision=store.next_revision(tx, name), model=found.model, version=found.version,
            digest=found.digest, signature=found.signature, status=REQUESTED, reason="",
            requested_at=self._clock.text(), requested_by=actor, live_at=None, ended_at=None,
        )  # fmt: skip
        store.insert_revision(tx, made)
        store.want(tx, name, made.revision)
        self._tell(tx, "deployment.requested", made, actor, how="deploy")
        return made

    def _move(self, tx: Transaction, endpoint: Endpoint, number: int, actor: str, how: str) -> Revision:
        target = self._revision(tx, endpoint.name, number)
        if target.status == FAILED and target.live_at is None:
            raise Conflict(
                f"Revision {number} of {endpoint.name!r} failed to load: {target.reason}", "Choose one that was live."
            )
        if endpoint.wanted != number:
            store.set_requested(tx, endpoint.name, number)
            store.want(tx, endpoint.name, number)
            self._tell(tx, "deployment.requested", target, actor, how=how)
        return target

    def _roll_back(self, tx: Transaction, endpoint: Endpoint, actor: str) -> Revision:
        if endpoint.live is None:
            raise Conflict(f"Endpoint {endpoint.name!r} has nothing live to roll back.", "Deploy a version first.")
        if endpoint.wanted != endpoint.live:
            return self._move(tx, endpoint, endpoint.live, actor, "rollback")
        previous = store.before(tx, endpoint.name, endpoint.live)
        if previous is None:
            raise Conflict(
                f"Revision {endpoint.live} is the first that {endpoint.name!r} ever had live.",
                "Deploy another version.",
            )
        store.set_rolled_back(tx, endpoint.name, endpoint.live, self._clock.text())
        return self._move(tx, endpoint, previous.revision, actor, "rollback")

    def _went_live(self, tx: Transaction, name: str, number: int, at: str, actor: str) -> bool:
        endpoint = self._endpoint(tx, name)
        if endpoint.wanted != number or endpoint.live == number:
            return endpoint.live == number
        if endpoint.live is not None:
            old = self._revision(tx, name, endpoint.live)
            store.set_retired(tx, name, endpoint.live, at)
            self._tell(tx, "deployment.retired", old, actor)
        given = self._revision(tx, name, number)
        store.set_live(tx, given, at, actor)
        self._tell(tx, "deployment.live", given, actor, from_revision=endpoint.live)
        return True

    def _follow(self, name: str, model_name: str, alias: str, version: int) -> int:
        try:
            found = self._version(model_name, version)
        except (Invalid, NotFound, Refused):
            found = None

        def work(tx: Transaction) -> None:
            store.follow(tx, name, version)
            if found is not None:
                self._request(tx, name, found, f"alias:{alias}", only_new=True)

        self._database.write(work)
        return int(found is not None)

    def _tell(self, tx: Transaction, kind: str, about: Revision, actor: str, **more: Any) -> None:
        body: Mapping[str, Any] = {
            "endpoint": about.endpoint,
            "revision": about.revision,
            "model": about.model,
            "version": about.version,
            "digest": about.digest,
        }
        self._ledger.append(tx, kind, subject(about.endpoint), actor, {**body, **more})
