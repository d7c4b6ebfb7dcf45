"""Looking after the monitors themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.ports.clock import Clock
from loopline.ports.database import Database
from loopline.usecases.monitoring.beating import Beats, not_watched
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.model import Heartbeat, MonitorConfig
from loopline.usecases.monitoring.needs import Projects, Serving


class Tending:
    """The verbs of those who look after monitors; they need no arrays."""

    _database: Database
    _clock: Clock
    _incidents: Incidents
    _serving: Serving
    _projects: Projects
    _home: Path
    _automation: Any

    def watch_monitors(self, failing: Mapping[str, str] | None = None) -> int:
        """Look whether sources, truth, monitors, schedules, channels and the disk are well; opens and resolves alerts.
        Answers how many are not. `failing`: evaluations that failed several times in a row, by endpoint."""
        return self._beats.watch(failing)

    @cached_property
    def _beats(self) -> Beats:
        return Beats(self._database, self._clock, self._incidents, self._heartbeats, self._stuck, self._home)

    def not_watched(self) -> str:
        """A sentence when nobody has looked after the monitors for minutes, "" otherwise or where nobody ever did."""
        from loopline.usecases.monitoring.store.beats import watched_at

        return not_watched(self._database.read(watched_at), self._clock.text())

    def _heartbeats(self) -> dict[str, MonitorConfig]:
        """What is asked of each endpoint that serves; one that is written wrongly is asked nothing of its own."""
        written: dict[str, Any] = {}
        for project in self._projects.projects():
            for monitor in (project.config.get("monitors") or {}).values():
                with contextlib.suppress(msgspec.ValidationError):
                    written[monitor["endpoint"]] = msgspec.convert(monitor.get("heartbeat") or {}, Heartbeat)
        serving = [each.name for each in self._serving.endpoints() if getattr(each, "live", None) is not None]
        return {name: MonitorConfig(heartbeat=written.get(name, Heartbeat())) for name in serving}

    def _stuck(self) -> Sequence[str]:
        with contextlib.suppress(LooplineError):
            return list(self._automation.stuck()) if self._automation is not None else []
        return []
