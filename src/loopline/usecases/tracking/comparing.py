"""Runs side by side, with what they ran and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.usecases.tracking import comparison, model, store
from loopline.usecases.tracking.comparison import Comparison
from loopline.usecases.tracking.looking import Looking

MOST_RUNS = 500
MOST_TEXT = 1 << 20


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What a run ran: `diff` are the changes since `commit` (secrets left out), `packages` versions by name."""

    commit: str = ""
    dirty: bool = False
    diff: str = ""
    packages: dict[str, str] = {}


class Comparing(Looking):
    """Any number of runs next to each other."""

    def comparison(self, runs: Sequence[str], target: str = "", base: str = "", against: str = "") -> Comparison:
        """Where runs differ in params, metrics, tags, code, data and packages, and which params go with `target`.

        `base` and `against` are two of the runs whose uncommitted changes are compared; without them the first run and
        the next with other changes. Raises NotFound for an unknown run, Invalid for less than one or too many.
        """
        found = self._several(runs)
        metrics = comparison.rows([run.metrics for run in found])
        params = comparison.rows([run.params for run in found])
        target = comparison.chosen_target(metrics, params, target)
        aim = next((one.values for one in metrics if one.name == target), [])
        texts: dict[str, str] = {}
        first, second = self._pair(found, base, against)
        return Comparison(
            runs=[comparison.brief(run) for run in found],
            params=params,
            metrics=metrics,
            tags=comparison.rows([run.tags for run in found]),
            code=comparison.rows([comparison.code(run) for run in found]),
            data=comparison.rows([comparison.inputs(run) for run in found]),
            environment=comparison.rows([self._environment(run, texts) for run in found]),
            target=target,
            importance=comparison.importance(params, aim) if target else [],
            base=first.id,
            against=second.id if second else "",
            difference=self._difference(first, second) if second else "",
        )

    def code(self, run_id: str) -> Code:
        """The code and the packages of a run, as far as they were recorded."""
        run = self.get(run_id)
        git = run.surroundings.get("git") or {}
        return Code(
            commit=comparison.code(run).get("commit", ""),
            dirty=bool(git.get("dirty")),
            diff=self._text(git.get("diff"))[:MOST_TEXT],
            packages=comparison.packages(self._text(run.surroundings.get("distributions"))),
        )

    def _several(self, runs: Sequence[str]) -> list[model.Run]:
        if not 1 <= len(runs) <= MOST_RUNS:
            raise Invalid(f"{len(runs)} runs cannot be compared.", f"Name 1 to {MOST_RUNS} runs.")
        ids = list(dict.fromkeys(self.resolved(run_id) for run_id in runs))
        return self._database.read(lambda tx: store.of_ids(tx, ids))

    def _environment(self, run: model.Run, texts: dict[str, str]) -> Mapping[str, str]:
        """Machine and packages; `texts` remembers what was read, as most runs share it."""
        named = run.surroundings.get("distributions")
        key = named if isinstance(named, str) else ""
        if key not in texts:
            texts[key] = self._text(named)
        return {**comparison.machine(run), **comparison.packages(texts[key])}

    def _pair(self, runs: list[model.Run], base: str, against: str) -> tuple[model.Run, model.Run | None]:
        by_id = {run.id: run for run in runs}
        first = by_id.get(base, runs[0])
        mine = comparison.code(first).get("changes")
        others = [run for run in runs if comparison.code(run).get("changes") != mine]
        return first, by_id.get(against) or (others[0] if others else None)

    def _difference(self, first: model.Run, second: model.Run) -> str:
        texts = [self._text((run.surroundings.get("git") or {}).get("diff"))[:MOST_TEXT] for run in (first, second)]
        return comparison.difference(texts[0], texts[1], (f"changes of {first.id[:8]}", f"changes of {second.id[:8]}"))

    def _text(self, named: Any) -> str:
        """A text of a run's surroundings, which keep long ones by digest; nothing when it is gone."""
        if not isinstance(named, str) or len(named) != 64:
            return named if isinstance(named, str) else ""
        try:
            return self._blobs.get(named).decode(errors="replace")
        except NotFound:
            return ""
