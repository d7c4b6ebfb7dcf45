"""What a release must show before it may stand in an environment: each check with what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.ports.database import Row
from loopline.usecases.releases.model import Check, Outcome, Outcomes, Release, canonical, sha256
from loopline.usecases.releases.needs import Datasets
from loopline.usecases.releases.shelf import Shelf

ALL = ("tests", "verify", "contract")


class Kept(msgspec.Struct, frozen=True):
    """What a contract said of a snapshot."""

    ok: bool
    rows: int
    text: str


class Gatekeeper:
    """Runs the checks that an environment asks for."""

    def __init__(self, shelf: Shelf, datasets: Datasets) -> None:
        self._shelf = shelf
        self._datasets = datasets

    def checks(
        self, row: Row, release: Release, asked: Mapping[str, Any], approvals: Sequence[str], self_approval: bool
    ) -> tuple[Check, ...]:
        """One check after the other; none raises, so that all reasons are seen at once."""
        made: dict[str, Callable[[], Check]] = {
            "tests": lambda: tests(release, self._shelf.outcomes(release.content)),
            "verify": lambda: self._verify(row, release),
            "contract": lambda: self._contract(release, asked.get("datasets") or {}),
        }
        wanted = asked.get("checks")
        found = [made[name]() for name in (ALL if wanted is None else wanted)]
        needed = int(asked.get("approvals") or 0)
        if needed:
            found.append(approved(release, needed, approvals, self_approval))
        return tuple(found)

    def _verify(self, row: Row, release: Release) -> Check:
        problems = list(self._shelf.problems(row, release))
        files = len(release.manifest.files)
        if problems:
            evidence = {"problems": msgspec.to_builtins(problems)}
            return Check("verify", "failed", f"{problems[0].where} {problems[0].what}", evidence)
        return Check("verify", "passed", f"signature and {files} files are as sealed", {"files": files})

    def _contract(self, release: Release, bound: Mapping[str, str]) -> Check:
        """Every batch of the newest snapshot, by the contract that was sealed; the worst dataset decides."""
        found = [
            self._kept(dataset, bound.get(dataset, dataset), contract)
            for dataset, contract in release.manifest.contracts.items()
        ]
        if not found:
            return Check("contract", "passed", "no dataset of the pipeline has a contract")
        worst: Outcome = "passed"
        for verdict, _, _ in found:
            worst = "failed" if "failed" in (verdict, worst) else "not_run" if "not_run" in (verdict, worst) else worst
        reasons = [reason for verdict, reason, _ in found if verdict == worst]
        return Check("contract", worst, "; ".join(reasons)[:1000], {"datasets": [one for _, _, one in found]})

    def _kept(self, dataset: str, read: str, contract: Mapping[str, Any]) -> tuple[Outcome, str, dict[str, Any]]:
        seen: dict[str, Any] = {"dataset": dataset, "read": read, "contract": sha256(canonical(contract))}
        try:
            seen["snapshot"] = self._datasets.latest(read).digest
            kept = self._remembered(str(seen["snapshot"]), contract)
        except LooplineError as error:
            return "not_run", f"{read}: {error}", seen
        seen |= {"rows": kept.rows, "said": kept.text}
        if not kept.ok:
            return "failed", f"{read} breaks the sealed contract of {dataset}: {kept.text}", seen
        return "passed", f"{read}: {kept.text}", seen

    def _remembered(self, snapshot: str, contract: Mapping[str, Any]) -> Kept:
        """The same contract says the same of the same snapshot, so it is asked once."""
        content = sha256(canonical({"contract": contract, "snapshot": snapshot}))
        known = self._shelf.remembered(content, "contract kept")
        if known is not None:
            return msgspec.json.decode(known, type=Kept)
        report = self._datasets.keeps(snapshot, contract)
        kept = Kept(report.ok, report.rows, report.text()[:2000])
        self._shelf.remember([(content, "contract kept", canonical(kept))])
        return kept


def tests(release: Release, outcomes: Outcomes | None) -> Check:
    """That the sealed tests passed, by the report that was kept of them."""
    if outcomes is None:
        return Check("tests", "failed", "the report of the tests is gone or was changed")
    summary = outcomes.summary()
    seen = {"passed": summary.passed, "skipped": summary.skipped, "at": outcomes.at, "seconds": outcomes.seconds}
    if summary != release.manifest.tests:
        return Check("tests", "failed", "the report of the tests is not the one that was sealed", seen)
    if outcomes.count("failed") or not summary.passed:
        return Check("tests", "failed", f"{outcomes.count('failed')} tests failed", seen)
    return Check("tests", "passed", f"{summary.passed} passed in the release's environment", seen)


def approved(release: Release, needed: int, given: Sequence[str], self_approval: bool) -> Check:
    """That enough people said yes; who published does not count for two."""
    people = [one for one in given if self_approval or one != release.created_by]
    seen = {"needed": needed, "given_by": people}
    lacking = needed - len(people)
    if lacking > 0:
        return Check("approvals", "not_run", f"{lacking} approval{'s' * (lacking > 1)} missing", seen)
    return Check("approvals", "passed", f"given by {', '.join(people)}", seen)


def verdict(checks: Sequence[Check]) -> Outcome:
    """Failed when one failed, not run when one could not, else passed."""
    found = {check.verdict for check in checks}
    return "failed" if "failed" in found else "not_run" if "not_run" in found else "passed"


def reasons(checks: Sequence[Check]) -> Iterator[str]:
    """What stands in the way, check by check."""
    for check in checks:
        if check.verdict != "passed":
            yield f"{check.name} {check.verdict.replace('_', ' ')} ({check.reason})"
