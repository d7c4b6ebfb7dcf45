"""Questions about estimates: what was thought of each window before its truth, and how wrong that was."""

from __future__ import annotations

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import from_text, to_text
from loopline.ports.database import Database
from loopline.usecases.monitoring.model.estimates.values import METHODS, Estimate, EstimateErrors, errors_of
from loopline.usecases.monitoring.store import estimates as store

MOST_LISTED = 1000


class EstimateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How wrong estimates were: `errors` by metric and method, `windows` what was said of each window and came true."""

    endpoint: str
    errors: list[EstimateErrors]
    windows: list[Estimate]


class Estimates:
    """The part of the service that answers about estimates."""

    _database: Database

    def estimates(
        self, endpoint: str, metric: str = "", method: str = "mix", since: str = "", until: str = ""
    ) -> list[Estimate]:
        """Estimates by window, oldest first. `method`: "mix" is the one to show; "" for all. `since` and `until` bound
        the windows' starts."""
        if method not in ("", *METHODS):
            raise Invalid(f"{method!r} is no method of estimating.", f"Use one of {', '.join(METHODS)}.")
        bounds = [to_text(from_text(bound)) if bound else "" for bound in (since, until)]
        return self._database.read(lambda tx: store.estimates_of(tx, endpoint, metric, method, bounds[0], bounds[1]))

    def estimate_errors(self, endpoint: str, metric: str = "") -> EstimateRecord:
        """How wrong the estimates of the windows with mature truth were."""
        found = self._database.read(lambda tx: store.estimates_of(tx, endpoint, metric, "", "", ""))
        listed = [entry for entry in found if entry.method == "mix" and entry.mature][-MOST_LISTED:]
        return EstimateRecord(endpoint=endpoint, errors=errors_of(found), windows=listed)
