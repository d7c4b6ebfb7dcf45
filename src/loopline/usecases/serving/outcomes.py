"""How requests are and were shared out, and what came of it: counts, verdicts, arms, shadows, a timeline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from loopline.core.errors import Conflict, NotFound
from loopline.core.times import from_text, to_text
from loopline.ports.database import Transaction
from loopline.usecases.serving import splits, store
from loopline.usecases.serving.deploying import Deploying
from loopline.usecases.serving.model import Count, Endpoint, Moment, Served, Split, Verdict, moments
from loopline.usecases.serving.traffic import LIVE, Arm, Traffic

if TYPE_CHECKING:
    from loopline.usecases.serving.arms import Outcome
    from loopline.usecases.serving.mirroring import ShadowSummary

DAY = timedelta(days=1)


class Outcomes(Deploying):
    """Tell about splits."""

    def now(self) -> datetime:
        """The present moment."""
        return self._clock.now()

    def split(self, name: str) -> Traffic | None:
        """How the requests of an endpoint are shared out; None when they all go to what is live."""
        return self.endpoint(name).traffic

    def splits(self, name: str) -> list[Split]:
        """How they were shared out when, newest first."""
        self.endpoint(name)
        return self._database.read(lambda tx: splits.history(tx, name))

    def counts(self, name: str) -> list[Count]:
        """Requests of the live revision and of those beside it, by arm, since they were last told (every 2 s)."""
        traffic, live = self.endpoint(name).traffic or Traffic(), self.endpoint(name).live
        numbers = [*traffic.revisions(), *([] if live is None else [live])]
        return self._database.read(lambda tx: splits.counts(tx, name, numbers))

    def arms(self, name: str, metric: str = "") -> Outcome:
        """What became of the arms of a split since its shares stand: outcome per arm once truth arrived, differences with
        intervals that hold at any time, and whether the arms got their shares. `metric`: accuracy, absolute_error,
        log_loss or truth (the value itself); by default accuracy where truth is yes or no, else absolute_error."""
        from loopline.usecases.serving import arms
        from loopline.usecases.serving.records.reading import read_predictions, read_truth

        endpoint = self.endpoint(name)
        traffic = self._traffic(endpoint)
        numbers = {LIVE: endpoint.live or 0} | {arm.name: arm.revision for arm in traffic.arms}
        versions = {arm: (number, self.revision(name, number).version) for arm, number in numbers.items()}
        predictions = read_predictions(self._home, name, traffic.since, None, "at", arms.COLUMNS)
        return arms.outcome(name, traffic, versions, predictions, read_truth(self._home, name), metric)

    def shadow_summary(self, name: str, number: int | None = None) -> ShadowSummary:
        """What a shadow (default: the newest) would have answered, beside what was answered, in its last day. NotFound
        where there was none."""
        from loopline.usecases.serving.mirroring import summary

        split, arm = self._shadowed(name, number)
        since = max(split.from_at, to_text(self._clock.now() - DAY))
        counts = [each for each in self.counts_of(name, arm.revision) if each.arm == arm.name]
        told = {each: sum(getattr(count, each) for count in counts) for each in ("answered", "failed", "dropped")}
        version = self.revision(name, arm.revision).version
        return summary(
            self._home, name, arm.revision, {**told, "arm": arm.name, "version": version, "share": arm.share}, since
        )

    def counts_of(self, name: str, number: int) -> list[Count]:
        """The counts of one revision, by arm."""
        return self._database.read(lambda tx: splits.counts(tx, name, [number]))

    def _shadowed(self, name: str, number: int | None) -> tuple[Split, Arm]:
        """The first split that a shadow had a part in, with the shadow as it was last."""
        known = [
            (split, arm)
            for split in self.splits(name)
            for arm in split.traffic.shadows
            if number in (None, arm.revision)
        ]
        if not known:
            raise NotFound(
                f"{name!r} has had no such shadow.", f"`loopline deploy {name} VERSION --shadow` starts one."
            )
        newest = max(arm.revision for _, arm in known)
        mine = [(split, arm) for split, arm in known if arm.revision == newest]
        return mine[-1][0], mine[0][1]

    def verdicts(self, name: str, most: int = 50) -> list[Verdict]:
        """What the data plane decided by itself, newest first."""
        self.endpoint(name)
        return self._database.read(lambda tx: splits.verdicts(tx, name, most))

    def live_at(self, name: str, at: str) -> Served | None:
        """What was live at a moment (ISO 8601 text), with how requests were shared out then; None for nothing."""
        moment = to_text(from_text(at))

        def work(tx: Transaction) -> Served | None:
            found, split = store.live_at(tx, name, moment), splits.split_at(tx, name, moment)
            if found is None or split is None:
                return found
            return msgspec.structs.replace(found, traffic=split.traffic)

        return self._database.read(work)

    def timeline(self, name: str) -> list[Moment]:
        """What answered when, with which shares: one entry for each time that anything of it changed, newest first."""
        self.endpoint(name)
        served, split = self._database.read(lambda tx: (store.history(tx, name), splits.history(tx, name)))
        return moments(served, split)

    def _traffic(self, endpoint: Endpoint) -> Traffic:
        if endpoint.traffic is None:
            raise Conflict(
                f"All requests of {endpoint.name!r} go to what is live.",
                f"`loopline deploy {endpoint.name} VERSION --canary 10%` starts a canary.",
            )
        return endpoint.traffic
