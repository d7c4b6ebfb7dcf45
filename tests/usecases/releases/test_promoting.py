"""What stands in an environment moves by a gate whose evidence is kept, and back; one fact a move."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused
from loopline.usecases.releases import model, store
from loopline.usecases.releases.model import APPROVED, PROMOTED, ROLLED_BACK

pytestmark = pytest.mark.unit


def sealed_twice(bench):
    first = bench.seal()
    (bench.folder / "notes.md").write_text("more")
    return first, bench.seal()


def kinds(bench):
    return [fact.kind for fact in bench.home.ledger.since(0) if fact.kind != "release.published"]


def test_a_promotion_is_one_fact_and_repeating_it_none(bench):
    release = bench.seal()
    done = bench.releases.promote(release.digest[:12], "prod", "bob")
    assert [check.verdict for check in done.gate.checks] == ["passed"] * 3
    assert [check.name for check in done.gate.checks] == ["tests", "verify", "contract"]
    assert bench.releases.promote(release.digest, "prod", "bob").gate is None
    assert kinds(bench) == [PROMOTED]
    assert bench.releases.standing("parcels", "totals", "prod") == release
    assert bench.releases.get("totals@prod") == bench.releases.get("parcels/totals@prod") == release
    assert bench.releases.standing("parcels", "totals", "dev") is None
    assert bench.releases.releases()[0].stands_in == ("prod",)


def test_history_and_rollback(bench):
    first, second = sealed_twice(bench)
    for release in (first, second):
        bench.releases.promote(release.digest, "prod", "bob")
    moves = bench.releases.history("parcels", "totals", "prod")
    assert [(move.from_release, move.release) for move in moves] == [("", first.digest), (first.digest, second.digest)]
    at = moves[0].moved_at
    assert bench.releases.standing("parcels", "totals", "prod", at).digest == first.digest
    assert bench.releases.standing("parcels", "totals", "prod", "2001-01-01T00:00:00Z") is None
    assert bench.releases.rollback("totals", "prod", "bob", reason="slow").release == first.digest
    assert kinds(bench) == [PROMOTED, PROMOTED, ROLLED_BACK]
    with pytest.raises(Conflict, match="no earlier release"):
        bench.releases.rollback("totals", "prod", "bob")
    with pytest.raises(NotFound):
        bench.releases.rollback("totals", "dev", "bob")


def test_a_release_that_was_changed_is_not_promoted_nor_rolled_back_to(bench):
    first, second = sealed_twice(bench)
    for release in (first, second):
        bench.releases.promote(release.digest, "prod", "bob")
    place = bench.home.blobs.path(first.manifest.files["pipeline.py"].blob)
    place.chmod(0o600)
    place.write_bytes(b"evil")
    with pytest.raises(CheckFailed, match=r"pipeline\.py"):
        bench.releases.rollback("totals", "prod", "bob")
    with pytest.raises(CheckFailed, match="verify failed"):
        bench.releases.promote(first.digest, "dev", "bob")
    assert bench.releases.gates(first.digest)[0].verdict == "failed"
    assert len(kinds(bench)) == 2


def test_what_came_to_stand_past_the_gate_is_not_run(bench):
    first, second = sealed_twice(bench)
    bench.releases.promote(first.digest, "prod", "bob")
    change = {"digest": second.digest}
    bench.home.database.write(lambda tx: tx.run("UPDATE releases_moves SET release = :digest", change))
    for asked in (
        lambda: bench.releases.run("totals@prod", actor="ada"),
        lambda: bench.releases.run(second.digest, environment="prod", actor="ada"),
        lambda: bench.releases.standing("parcels", "totals", "prod"),
    ):
        with pytest.raises(CheckFailed, match=r"The ledger does not say that .* came to stand in 'prod'"):
            asked()
    assert not bench.pipelines.runs
    assert bench.releases.promote(second.digest, "prod", "bob").gate.verdict == "passed"
    assert bench.releases.standing("parcels", "totals", "prod") == second


def test_a_contract_that_the_data_break_refuses(bench):
    bench.projects.declared["prod"] = {"datasets": {"weights": "weights.prod"}}
    bench.datasets.said = "grams: 1 of 2 rows are below 0"
    release = bench.seal()
    with pytest.raises(CheckFailed, match=r"contract failed \(weights\.prod breaks"):
        bench.releases.promote(release.digest, "prod", "bob")
    assert bench.releases.standing("parcels", "totals", "prod") is None
    seen = bench.releases.gates(release.digest)[0].checks[2].evidence["datasets"][0]
    assert seen["said"] == bench.datasets.said
    assert kinds(bench) == []


def test_a_contract_is_asked_once_for_a_snapshot(bench):
    first, second = sealed_twice(bench)
    for release in (first, second, first):
        bench.releases.promote(release.digest, "prod", "bob")
    assert bench.datasets.asked == 1


def test_a_dataset_without_a_snapshot_is_not_run_and_refuses(bench):
    bench.projects.declared["prod"] = {"datasets": {"weights": "nothing"}}
    with pytest.raises(CheckFailed, match=r"contract not run.*loopline snapshot nothing"):
        bench.releases.promote(bench.seal().digest, "prod", "bob")


def test_an_environment_says_which_checks_it_asks_for(bench):
    bench.datasets.said = "broken"
    bench.projects.declared["dev"] = {"checks": ["tests", "verify"]}
    gate = bench.releases.promote(bench.seal().digest, "dev", "bob").gate
    assert [check.name for check in gate.checks] == ["tests", "verify"]


def test_approvals_count_people_other_than_who_published(bench):
    bench.projects.declared["prod"] = {"approvals": 2}
    release = bench.seal()
    with pytest.raises(Refused, match="'ada' published"):
        bench.releases.approve(release.digest, "prod", "ada")
    bench.releases.approve(release.digest, "prod", "bob", "looks right")
    bench.releases.approve(release.digest, "prod", "bob")
    with pytest.raises(CheckFailed, match=r"approvals not run \(1 approval missing\)") as refused:
        bench.releases.promote(release.digest, "prod", "ada")
    assert "loopline approve" in refused.value.hint
    bench.releases.approve(release.digest, "dev", "cleo")
    with pytest.raises(CheckFailed):
        bench.releases.promote(release.digest, "prod", "ada")
    bench.releases.approve(release.digest, "prod", "cleo")
    assert bench.releases.promote(release.digest, "prod", "ada").gate.verdict == "passed"
    assert kinds(bench) == [APPROVED, APPROVED, APPROVED, PROMOTED]
    bench.projects.config["self_approval"] = True
    assert bench.releases.approve(release.digest, "dev", "ada").given_by == "ada"


def test_an_environment_that_is_not_declared_is_told(bench):
    with pytest.raises(NotFound, match="no environment 'staging'"):
        bench.releases.promote(bench.seal().digest, "staging", "bob")
    with pytest.raises(Invalid):
        bench.releases.promote(bench.seal().digest, "", "bob")


def test_the_audit_finds_a_release_put_somewhere_by_hand(bench):
    first, second = sealed_twice(bench)
    bench.releases.promote(first.digest, "prod", "bob")
    replay = {"releases": (bench.releases.replayed, bench.releases.current)}
    assert bench.home.ledger.verify(replay).sound
    change = {"digest": second.digest}
    bench.home.database.write(lambda tx: tx.run("UPDATE releases_moves SET release = :digest", change))
    assert [problem.where for problem in bench.home.ledger.verify(replay).problems] == ["releases parcels/totals@prod"]


def test_rollback_walks_back_and_a_promotion_starts_from_there():
    def move(release, gate="g"):
        fields = dict.fromkeys(("project", "pipeline", "environment", "from_release", "reason", "moved_at"), "")
        return model.Move(seq=1, release=release, gate=gate, moved_by="", **fields)

    a, b, c = move("a"), move("b"), move("c")
    assert model.previous([a, b, c]) == "b"
    assert model.previous([a, b, c, move("b", "")]) == "a"
    assert model.previous([a, b, move("a", ""), c]) == "a"
    assert model.previous([a, b, a]) == "b"
    assert model.previous([a]) is None


def test_an_approval_written_by_hand_counts_for_nothing_and_is_found(bench):
    bench.projects.declared["prod"] = {"approvals": 1}
    release = bench.seal()
    row = {"release": release.digest, "environment": "prod", "given_by": "grace", "note": "", "given_at": "2013"}
    bench.home.database.write(lambda tx: store.add_approval(tx, model.Approval(**row)))
    with pytest.raises(CheckFailed, match="1 approval missing"):
        bench.releases.promote(release.digest, "prod", "ada")
    replay = {"releases": (bench.releases.replayed, bench.releases.current)}
    (problem,) = bench.home.ledger.verify(replay).problems
    assert "approved by grace" in problem.where


def test_releases_of_a_model_that_an_alert_holds_stay_where_they_are(bench, monkeypatch):
    release = bench.seal()
    bench.projects.config = {"pipelines": {"totals": {"registers": "weights"}, "other": None}}
    held = SimpleNamespace(held=lambda name: "alert a1: data_quality" if name == "weights" else "")
    monkeypatch.setattr(bench.releases, "_automation", held)
    with pytest.raises(Refused, match=r"Releases of weights are held \(alert a1: data_quality\)"):
        bench.releases.promote(release.digest, "prod", "bob")
    assert kinds(bench) == []
    held.held = lambda name: ""
    assert bench.releases.promote(release.digest, "prod", "bob").gate.verdict == "passed"
