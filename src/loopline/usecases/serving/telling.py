"""What the data plane asks, and what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, NotFound, Refused, Unavailable
from loopline.core.verbs import Caller
from loopline.ports.database import Transaction
from loopline.ports.runtime import LoadedModel
from loopline.usecases.serving import store
from loopline.usecases.serving.judging import Judging
from loopline.usecases.serving.model import Desired, Endpoint, Revision

if TYPE_CHECKING:
    import pyarrow as pa


class Telling(Judging):
    """What shall be served now, and what became of it."""

    def changed(self) -> int:
        """A number that differs when the database may have changed."""
        return self._database.changed()

    def verify(self, secret: str) -> Caller | None:
        """Who presents a bearer token, or None."""
        return self._access.verify(secret)

    def desired(self) -> list[Desired]:
        """What shall be served now."""

        return self._database.read(lambda tx: [_desired(tx, each) for each in store.endpoints(tx)])

    def changes(self, known: dict[str, Any]) -> tuple[list[Desired], set[str]]:
        """What shall be served otherwise than when `known` was last given, and the names of all endpoints. `known` starts
        empty and is brought up to date: with a thousand endpoints a look costs as much as reading their rows."""

        def work(tx: Transaction) -> tuple[list[Desired], set[str]]:
            rows = {row["name"]: tuple(row.values()) for row in store.rows_of_endpoints(tx)}
            names = [name for name, row in rows.items() if known.get(name) != row]
            found = [each for each in (store.endpoint(tx, name) for name in names) if each is not None]
            desired = [_desired(tx, each) for each in found]
            known.clear()
            known.update(rows)
            return desired, set(rows)

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
        """A revision could not be loaded or warmed: what is live stays live, and it has no share any more."""

        def work(tx: Transaction) -> None:
            endpoint = self._endpoint(tx, name)
            stood = endpoint.traffic is not None and number in endpoint.traffic.revisions()
            if endpoint.live == number or not (endpoint.wanted == number or stood):
                return
            store.set_failed(tx, name, number, self._clock.text(), reason)
            if endpoint.wanted == number:
                store.want(tx, name, endpoint.live)
            self._drop_arms_of(tx, name, number, actor, f"revision {number} failed")
            self._tell(tx, "deployment.failed", self._revision(tx, name, number), actor, reason=reason)

        self._database.write(work)

    def load(self, model_name: str, version: int) -> LoadedModel:
        """A registered model in memory."""
        return self._registry.load(model_name, version)

    def compiled(self, model_name: str, version: int) -> bool:
        """Whether it is settled which engine runs a version on this machine."""
        settled = self._registry.engine(model_name, version) is not None
        return settled or not self._registry.compilable(model_name, version)

    def examples(self, model_name: str, version: int, rows: int) -> pa.Table | None:
        """The first held-out rows of a version, to warm it with; None when it has none."""
        try:
            return self._registry.evaluation(model_name, version).slice(0, rows)
        except (NotFound, Unavailable):
            return None

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
        self._drop_arms_of(tx, name, number, actor, f"revision {number} is live")
        return True

    def _follow(self, name: str, model_name: str, alias: str, version: int) -> int:
        try:
            found = self._version(model_name, version)
        except (Invalid, NotFound, Refused):
            found = None

        def work(tx: Transaction) -> None:
            store.follow(tx, name, version)
            back = None if found is None else self._just_before(tx, self._endpoint(tx, name), found)
            if back is not None:
                self._move(tx, self._endpoint(tx, name), back.revision, f"alias:{alias}", "rollback")
            elif found is not None:
                self._request(tx, name, found, f"alias:{alias}", only_new=True)

        self._database.write(work)
        return int(found is not None)

    def _just_before(self, tx: Transaction, endpoint: Endpoint, found: Any) -> Revision | None:
        """The revision before the live one, when that one served this version: its processes are still warm."""
        if endpoint.live is None or endpoint.wanted != endpoint.live:
            return None
        before = store.before(tx, endpoint.name, endpoint.live)
        wish = (found.version, found.digest, endpoint.options.rules)
        same = before is not None and (before.version, before.digest, before.rules) == wish
        return before if same and self._revision(tx, endpoint.name, endpoint.live).version != found.version else None


def _desired(tx: Transaction, endpoint: Endpoint) -> Desired:
    def found(number: int | None) -> Revision | None:
        return None if number is None else store.revision(tx, endpoint.name, number)

    numbers = endpoint.traffic.revisions() if endpoint.traffic is not None else ()
    beside = tuple(each for each in (found(number) for number in numbers) if each is not None)
    return Desired(endpoint, found(endpoint.live), found(endpoint.wanted), beside)
