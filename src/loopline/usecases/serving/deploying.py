"""Endpoints and their deployments: what shall be served, and what was."""

from __future__ import annotations

from typing import Any

from loopline.core.errors import Conflict, NotFound
from loopline.core.ids import checked_name
from loopline.ports.database import Transaction
from loopline.usecases.serving import model, splits, store
from loopline.usecases.serving.base import Base
from loopline.usecases.serving.model import BESIDE, FAILED, REQUESTED, RETIRED, Endpoint, Revision, Served, subject
from loopline.usecases.serving.options import as_declared


class Deploying(Base):
    """Say what an endpoint shall serve."""

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
        """What an endpoint is declared to be (model, alias, key, event_time, options); None when there is none."""
        found = store.endpoint(tx, name)
        if found is None:
            return None
        return {each: getattr(found, each) for each in model.WISH} | {"options": as_declared(found.options)}

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
        if endpoint.traffic is not None:
            splits.put(tx, name, None, at, actor, "")
        store.retire_endpoint(tx, name, at)
        self._ledger.append(tx, model.ENDPOINT_RETIRED, subject(name), actor, {"endpoint": name})
        return True

    def deploy(self, name: str, version: int | str, actor: str, model_name: str | None = None) -> Revision:
        """Ask for a model version (number, or alias of the model) to be served; answers the revision requested.

        The endpoint is made when it is not there and `model_name` says of which model. Asking again for a version
        whose deployment is under way answers that revision; for one that is live it makes another.
        """
        if model_name is not None and self._find(name) is None:
            self._version(model_name, version)  # no endpoint is made for what cannot be deployed
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

    def wait(self, name: str, number: int | None = None, timeout_s: float = 60.0) -> Revision:
        """Wait until a revision (default: the one wanted) is live. CheckFailed when it failed, Unavailable after the
        time. `timeout_s` in seconds."""
        from loopline.usecases.serving.waiting import wait

        return wait(self, name, number, timeout_s)

    def _request(self, tx: Transaction, name: str, found: Any, actor: str, only_new: bool = False) -> Revision:
        endpoint = self._endpoint(tx, name)
        if endpoint.wanted is not None:
            wanted = self._revision(tx, name, endpoint.wanted)
            under_way = endpoint.wanted != endpoint.live
            if (wanted.model, wanted.version) == (found.model, found.version) and (under_way or only_new):
                return wanted
        made = self._made(tx, endpoint, found, actor)
        self._call_off(tx, endpoint, actor)
        store.want(tx, name, made.revision)
        self._tell(tx, "deployment.requested", made, actor, how="deploy")
        return made

    def _made(self, tx: Transaction, endpoint: Endpoint, found: Any, actor: str) -> Revision:
        made = Revision(
            endpoint=endpoint.name, revision=store.next_revision(tx, endpoint.name), model=found.model,
            version=found.version, digest=found.digest, signature=found.signature, status=REQUESTED, reason="",
            requested_at=self._clock.text(), requested_by=actor, live_at=None, ended_at=None,
            rules=endpoint.options.rules,
        )  # fmt: skip
        store.insert_revision(tx, made)
        return self._revision(tx, endpoint.name, made.revision)  # with the signature that its rules make

    def _move(self, tx: Transaction, endpoint: Endpoint, number: int, actor: str, how: str) -> Revision:
        target = self._revision(tx, endpoint.name, number)
        if target.status == FAILED and target.live_at is None:
            raise Conflict(
                f"Revision {number} of {endpoint.name!r} failed to load: {target.reason}", "Choose one that was live."
            )
        if endpoint.wanted != number:
            self._call_off(tx, endpoint, actor)
            store.set_requested(tx, endpoint.name, number)
            store.want(tx, endpoint.name, number)
            self._tell(tx, "deployment.requested", target, actor, how=how)
        return target

    def _call_off(self, tx: Transaction, endpoint: Endpoint, actor: str) -> None:
        """The deployment that is under way, if any, is not wanted any more."""
        if endpoint.wanted is None or endpoint.wanted == endpoint.live:
            return
        given = self._revision(tx, endpoint.name, endpoint.wanted)
        if given.status != REQUESTED:
            return
        stays = endpoint.traffic is not None and given.revision in endpoint.traffic.revisions()
        at = None if stays else self._clock.text()
        splits.set_status(tx, endpoint.name, given.revision, BESIDE if stays else RETIRED, at)
        self._tell(tx, "deployment.beside" if stays else "deployment.retired", given, actor)

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
