"""Executing one firing: the release that stands, gate, promotion. Every step may be done again after a crash:
what was finished is found and not repeated."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from loopline.core.errors import CheckFailed, Conflict, Invalid, LooplineError, NotFound, Refused
from loopline.core.facts import Fact
from loopline.usecases.automation import model
from loopline.usecases.automation.leases import BEAT_S, Lost, beating
from loopline.usecases.automation.model import Firing
from loopline.usecases.automation.needs import (
    Environment,
    PipelineRun,
    Projects,
    Promotion,
    Release,
    Releases,
    Tracking,
)
from loopline.usecases.automation.service import Automation

Say = Callable[[str], None]
Act = Callable[[Firing, Fact | None], str]
MOST_GATES = 3


class Execution:
    """Does what a firing asks for, in this process. `say` gets a line for each step; `lost` is called, in a thread of
    its own, when another process took the firing over. `act` does what is no run (see `acting`)."""

    def __init__(
        self,
        automation: Automation,
        projects: Projects,
        releases: Callable[[], Releases],
        promotion: Promotion,
        tracking: Tracking,
        say: Say,
        lost: Callable[[], None] = lambda: None,
        beat_s: float = BEAT_S,
        act: Act | None = None,
    ) -> None:
        self._automation = automation
        self._projects = projects
        self._releases = releases
        self._promotion = promotion
        self._tracking = tracking
        self._say = say
        self._lost = lost
        self._beat_s = beat_s
        self._act = act

    def execute(self, firing_id: str, fence: int = 0) -> bool:
        """Execute a firing from wherever it stands; False when it was not to be had, failed or was taken over. Never
        raises for what the project's code does. With `fence` it was claimed for this process."""
        firing = self._automation.begin(firing_id, fence)
        if firing is None:
            return False
        self._say(f"policy {firing.policy}: {firing.cause} (attempt {firing.attempts})")
        try:
            with beating(lambda: self._automation.renew(firing), self._lost, self._beat_s):
                return self._ended(firing)
        except Lost as error:
            self._say(str(error))
            return False

    def _ended(self, firing: Firing) -> bool:
        try:
            reason, promoted = self._done(firing)
        except Lost:
            raise
        except LooplineError as error:
            return self._failed(firing, str(error))
        except Exception as error:
            self._say(traceback.format_exc())
            return self._failed(firing, f"{type(error).__name__}: {error}")
        self._say(reason)
        self._automation.ended(firing, model.DONE, reason, promoted)
        return True

    def _failed(self, firing: Firing, reason: str) -> bool:
        self._say(f"failed: {reason}")
        self._automation.ended(firing, model.FAILED_STATE, reason)
        return False

    def _done(self, firing: Firing) -> tuple[str, bool]:
        if firing.rules.do != "run":
            self._automation.hold(firing)
            if self._act is None:
                raise Conflict(f"Nothing here can {firing.rules.do.replace('_', ' ')}.", "Have a worker do it.")
            return self._act(firing, self._automation.why(firing.id).because), False
        candidate = self._candidate(firing)
        if candidate is None:
            return f"ran {firing.rules.run}" if firing.rules.run else "noted", False
        name, version = candidate
        if not firing.rules.promote_to:
            return f"made {name}:{version}", False
        return self._promoted(firing, name, version)

    def _candidate(self, firing: Firing) -> tuple[str, int] | None:
        """The version that this firing is about: made by its pipeline, else named by its cause."""
        if firing.version is not None and firing.model is not None:
            return firing.model, firing.version
        if not firing.rules.run:
            return self._named_by_cause(firing)
        earlier = self._automation.version_made(firing, lambda run_id: self._is_mine(run_id, firing))
        if earlier is not None:
            self._say(f"an earlier attempt made {earlier[1]}:{earlier[2]}")
            self._automation.made(firing, *earlier)
            return earlier[1], earlier[2]
        return self._run(firing)

    def _is_mine(self, run_id: str, firing: Firing) -> bool:
        try:
            return self._tracking.get(run_id).tags.get("firing") == firing.id
        except NotFound:
            return False

    def _named_by_cause(self, firing: Firing) -> tuple[str, int] | None:
        because = self._automation.why(firing.id).because
        if because is None or "version" not in because.body:
            return None
        name, version = str(because.body.get("model") or firing.rules.model), int(because.body["version"])
        self._automation.made(firing, because.body.get("run_id"), name, version)
        return name, version

    def _run(self, firing: Firing) -> tuple[str, int] | None:
        environment = self._projects.environment(firing.project, firing.rules.environment)
        releases = self._releases()
        release = self._standing(releases, firing, environment)
        self._automation.ran(firing, environment.name, release.digest)
        self._say(f"running {firing.rules.run}, release {release.digest[:12]} {environment.name}".rstrip())
        run = releases.run(
            release.digest,
            environment=environment.name,
            params=dict(firing.rules.params),
            actor=firing.rules.actor,
            tags={"firing": firing.id, "policy": firing.policy},
            tell=self._say,
        )
        return self._ran(firing, run)

    def _ran(self, firing: Firing, run: PipelineRun) -> tuple[str, int] | None:
        self._automation.made(firing, run.run_id, run.model, run.version)
        if run.status != "finished":
            raise CheckFailed(f"The run {run.run_id} of {firing.rules.run!r} {run.status}: {run.error}")
        if run.model is None or run.version is None:
            return None
        self._say(f"run {run.run_id} made {run.model}:{run.version}")
        return run.model, run.version

    def _standing(self, releases: Releases, firing: Firing, environment: Environment) -> Release:
        """The release that a firing runs; Conflict with the way out when nothing stands in its environment."""
        pipeline = firing.rules.run
        found = releases.standing(firing.project, pipeline, environment.name)
        if found is None and not environment.name:
            raise Conflict(
                f"The policy {firing.policy!r} does not say in which environment it runs {pipeline!r}.",
                "Write `environment: NAME` beside its `run:` in loopline.yaml, and run `loopline apply`.",
            )
        if found is None:
            raise Conflict(
                f"No release of the pipeline {pipeline!r} stands in {environment.name!r} of {firing.project!r}.",
                f"Run `loopline release {pipeline}`, then `loopline promote {pipeline} --env {environment.name}`.",
            )
        return found

    def _promoted(self, firing: Firing, name: str, version: int) -> tuple[str, bool]:
        """Gate and promotion. A gate that decided already is not asked again, unless the alias moved since."""
        gate = self._promotion.standing(name, version, firing.rules.promote_to).gate
        for _ in range(MOST_GATES):
            self._automation.hold(firing)
            gate = gate or self._promotion.gate(name, version, firing.rules.promote_to, firing.rules.actor)
            try:
                return self._after_gate(firing, gate, name, version)
            except Conflict as error:
                self._say(str(error))
                conflict, gate = error, None
        return f"{name}:{version} passed but did not become {firing.rules.promote_to}: {conflict.message}", False

    def _after_gate(self, firing: Firing, gate: Any, name: str, version: int) -> tuple[str, bool]:
        alias, verdict = firing.rules.promote_to, str(getattr(gate.verdict, "value", gate.verdict))
        self._automation.judged(firing, gate.id, verdict, alias)
        standing = self._promotion.standing(name, version, alias)
        if standing.promoted:
            return f"{name}:{version} is {alias}", True
        if verdict != "passed":
            return f"{name}:{version} did not become {alias}: {standing.missing}", False
        if standing.missing or firing.rules.deploy != "automatic":
            lacking = standing.missing or "the policy leaves it to people"
            return f"{name}:{version} passed and waits to become {alias}: {lacking}", False
        self._automation.hold(firing)
        try:
            self._promotion.promote(name, version, alias, firing.rules.actor)
        except (CheckFailed, Invalid, NotFound, Refused) as error:
            return f"{name}:{version} passed but did not become {alias}: {error.message}", False
        return f"{name}:{version} passed and is {alias}", True
