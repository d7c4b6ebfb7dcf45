"""Which runs stay, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.belongings import Candidate
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.times import to_text
from loopline.usecases.retention.model import Rules, checked_rules, judged
from loopline.usecases.tracking.model import Point

pytestmark = pytest.mark.integration
NOW = datetime(2013, 5, 1, tzinfo=UTC)


def run(name: str, days: float, value: float | None = None, ended: bool = True, **tags: str) -> Candidate:
    return Candidate(name, name, to_text(NOW - timedelta(days=days)), ended, value, tags)


def reasons(rules: Rules, *runs: Candidate, used: dict[str, str] | None = None) -> dict[str, str]:
    return {one.run: one.reason for one in judged(rules, runs, used or {}, NOW)}


def test_the_best_stay_and_equal_ones_in_the_order_in_which_they_ended() -> None:
    runs = [run("a", 9, 0.7), run("b", 8, 0.9), run("c", 7, 0.7), run("d", 6, None), run("e", 5, 0.1)]
    best = reasons(Rules(keep_best=2, by="auc"), *runs)
    assert [name for name, why in best.items() if why] == ["a", "b"]
    lowest = reasons(Rules(keep_best=2, by="auc", lowest=True), *runs)
    assert [name for name, why in lowest.items() if why] == ["a", "e"]
    assert best["b"] == "it is among the best 2 by auc"


def test_a_metric_that_no_run_has_empties_no_experiment() -> None:
    runs = [run("a", 9, None), run("b", 8, None)]
    assert set(reasons(Rules(keep_best=2, by="acu"), *runs).values()) == {"no run has a value of acu, so none is worse"}
    assert reasons(Rules(keep_best=2, by="acu"), *runs, run("c", 7, 0.1))["a"] == ""


def test_the_young_the_tagged_the_used_and_the_unfinished_stay() -> None:
    runs = [run("old", 91), run("new", 89), run("now", 0.01), run("goes on", 200, ended=False), run("used", 200)]
    runs += [run("kept", 200, keep="yes"), run("other", 200, keep="no")]
    found = reasons(Rules(keep_days=90, keep_tagged=["keep=yes"]), *runs, used={"used": "it made late/1"})
    assert found == {
        "old": "",
        "new": "it ended within 90 days",
        "now": "it ended within 90 days",
        "goes on": "it has not ended",
        "used": "it made late/1",
        "kept": "it is tagged keep=yes",
        "other": "",
    }
    assert reasons(Rules(keep_tagged=["keep"]), *runs)["other"] == "it is tagged keep"
    assert reasons(Rules(keep_tagged=["keep"]), *runs)["now"] == "it ended within the hour"


@pytest.mark.parametrize(
    "rules",
    [
        Rules(),
        Rules(keep_best=1, by="params.depth"),
        Rules(keep_best=1),
        Rules(by="auc", keep_days=1),
        Rules(keep_days=-1),
        Rules(keep_best=-1, by="a"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rules: Rules) -> None:
    with pytest.raises(Invalid):
        checked_rules(rules)


def test_a_policy_puts_into_the_trash_what_no_rule_keeps(
    loopline: Loopline, make: Any, tmp_path: Path, count: Any
) -> None:
    runs = [make.run(loopline, name=f"try {n}", notes=b"%d" % n) for n in range(4)]
    make.version(loopline, tmp_path / "m", runs[0])
    loopline.tracking.log(runs[3], metrics=[Point("auc", 0.9, 2)])
    old = {"at": "2013-01-01T00:00:00.000Z"}
    loopline.database.write(lambda tx: tx.run("UPDATE tracking_runs SET started_at = :at, ended_at = :at", old))
    with pytest.raises(NotFound):
        loopline.retention.judge("tab")
    with pytest.raises(NotFound):
        loopline.retention.set_policy("unknown", Rules(keep_days=1), "ann")
    policy = loopline.retention.set_policy("tab", Rules(keep_best=1, by="metrics.auc"), "ann")
    assert policy.rules.by == "auc"
    told = loopline.retention.collect(dry_run=True)
    assert told.policies[0].removed == 2
    assert told.policies[0].kept == {"it made late/1": 1, "it is among the best 1 by auc": 1}
    assert len(loopline.tracking.search(experiment="tab").runs) == 4
    loopline.retention.collect()
    left = {run.id for run in loopline.tracking.search(experiment="tab").runs}
    assert left == {runs[0], runs[3]}
    gone = {one.name: one.removed_by for one in loopline.retention.trash()}
    assert set(gone) == set(runs) - left
    assert set(gone.values()) == {"loopline"}
    loopline.retention.restore("run", next(iter(gone)), "ann")
    assert len(loopline.tracking.search(experiment="tab").runs) == 3
    loopline.retention.drop_policy("tab", "ann")
    with pytest.raises(NotFound):
        loopline.retention.drop_policy("tab", "ann")
    loopline.retention.collect()
    assert len(loopline.tracking.search(experiment="tab").runs) == 3


def test_a_project_declares_which_runs_are_kept(loopline: Loopline, make: Any, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    text = "project: small\nretention:\n  tab: {keep_best: 1, by: metrics.auc}\n  not there yet: {keep_days: 3}\n"
    (folder / "loopline.yaml").write_text(text)
    loopline.projects.apply(folder, "ada")
    assert [(one.experiment, one.project, one.set_by) for one in loopline.retention.policies()] == [
        ("not there yet", "small", "ada"),
        ("tab", "small", "ada"),
    ]
    for _ in range(3):
        make.run(loopline)
    old = {"at": "2013-01-01T00:00:00.000Z"}
    loopline.database.write(lambda tx: tx.run("UPDATE tracking_runs SET started_at = :at, ended_at = :at", old))
    with pytest.raises(Conflict, match="'small' declares"):
        loopline.retention.set_policy("tab", Rules(keep_days=1), "ann")
    loopline.retention.collect()
    assert len(loopline.tracking.search(experiment="tab").runs) == 1
    (folder / "loopline.yaml").write_text("project: small\nretention: {tab: {keep_best: 1}}\n")
    with pytest.raises(Invalid, match="needs both keep_best and `by`"):
        loopline.projects.apply(folder, "ada")
    (folder / "loopline.yaml").write_text("project: small\n")
    assert [one.name for one in loopline.projects.plan(folder).changes if one.kind == "retention"] == [
        "not there yet",
        "tab",
    ]
    loopline.projects.apply(folder, "ada")
    assert loopline.retention.policies() == []
