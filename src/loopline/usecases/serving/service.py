"""The verbs of serving: endpoints, deployments and their history, and the logs of predictions and truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopline.core.facts import Fact
from loopline.ports.database import Transaction
from loopline.usecases.serving import model, splits, store
from loopline.usecases.serving.ranging import Ranging
from loopline.usecases.serving.recording import Recording
from loopline.usecases.serving.rules import rows
from loopline.usecases.serving.rules.keeping import Ruling
from loopline.usecases.serving.telling import Telling
from loopline.usecases.serving.trying import Trying


class Serving(Trying, Telling, Ranging, Ruling, Recording):
    """The endpoints of an installation. It says what shall be served; the data plane does it and tells when it did."""

    # What an audit compares

    def replayed(self, facts: Iterable[Fact]) -> dict[str, Any]:
        """Endpoint to live revision and version, as the facts add up."""
        return model.replayed(facts)

    def current(self, tx: Transaction) -> dict[str, Any]:
        """Endpoint to live revision and version, as the tables have it."""
        return model.standing(store.live(tx), splits.shared(tx)) | rows.digests(tx)
