"""Reading runs."""

from __future__ import annotations

from collections.abc import Sequence

from loopline.ports.database import Transaction
from loopline.usecases.tracking import model, points, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.model import Compared, Experiment, Measured, Run


class Looking(Base):
    """What was tried and measured; reads see what was acknowledged."""

    def get(self, run_id: str) -> Run:
        """A run by its id or the beginning of it; NotFound when there is none."""
        return self._database.read(lambda tx: store.of_ids(tx, [self._resolved(tx, run_id)]))[0]

    def history(
        self, run_id: str, key: str, limit: int = 1_000_000, offset: int = 0, by_step: bool = True
    ) -> list[Measured]:
        """All points of a metric by (step, time, value), or by (time, step, value); empty for an unknown one."""
        model.checked_whole("number of points", limit, 1, 1_000_000)
        model.checked_whole("number of the first point", offset, 0)

        def work(tx: Transaction) -> list[Measured]:
            run = store.number_of(tx, self._resolved(tx, run_id))
            return points.history(tx, run, key, limit, offset, by_step)

        return self._database.read(work)

    def compare(self, run_ids: Sequence[str]) -> Compared:
        """Where the params, latest metrics and tags of runs differ."""
        return model.compared([self.get(run_id) for run_id in run_ids])

    def experiments(self) -> list[Experiment]:
        """All experiments that are not deleted, newest first."""
        return self._database.read(store.experiments)

    def runs_with(self, digest: str, direction: str = "input") -> list[str]:
        """Ids of the runs that the thing with this digest went into ("input") or came out of ("output")."""
        return self._database.read(lambda tx: store.runs_with(tx, digest, direction))

    def pack(self, run_id: str) -> int:
        """Put long histories of a run into blocks, one transaction a block; answers how many points were packed."""
        number = self._database.read(lambda tx: store.number_of(tx, self._resolved(tx, run_id)))
        done = 0
        for key in self._database.read(lambda tx: points.long_keys(tx, number)):
            while moved := self._database.write(lambda tx, key=key: points.pack(tx, number, key)):  # type: ignore[misc]
                done += moved
        return done

    def pack_ended(self, since: str) -> str:
        """`pack` the runs that ended after a time, and those that go on; answers the time to go on from."""
        now = self._clock.text()
        for run_id in self._database.read(lambda tx: store.ended_since(tx, since)):
            self.pack(run_id)
        return now

    def _series(self, run_id: str, key: str) -> points.Series:
        """All points of a metric as columns; empty for an unknown one."""

        def work(tx: Transaction) -> points.Series:
            return points.series(tx, store.number_of(tx, self._resolved(tx, run_id)), points.known_key(tx, key))

        return self._database.read(work)
