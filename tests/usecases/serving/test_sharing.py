"""Splits in the ledger: who asked for them, what stood when, how they end, and what an audit makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.app.wiring import audit
from loopline.core.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.integration


@pytest.fixture
def late(serving: Any) -> Any:
    """Version 1 is live at the endpoint `late`, which has a key."""
    serving.put("late", "flights", "ann", key="flight")
    made = serving.deploy("late", 1, "ann")
    serving.went_live("late", made.revision, "2026-01-01T00:00:00.000Z", "data plane")
    return serving


def kinds(loopline: Any) -> list[str]:
    return [fact.kind for fact in loopline.ledger.about("endpoint:late")]


def sound(loopline: Any) -> bool:
    return not audit(loopline).problems


def test_a_canary_from_its_start_to_its_promotion(loopline: Any, late: Any) -> None:
    made = late.canary("late", 2, 0.1, "ann")
    late.went_beside("late", made.revision, "data plane")
    assert (late.revision("late", 2).status, late.endpoint("late").live) == ("beside", 1)
    (desired,) = late.desired()
    assert [each.revision for each in desired.beside] == [2]
    assert late.share("late", {"canary": 0.25}, "bob").arms[0].share == 0.25
    assert sound(loopline)
    assert late.promote("late", "ann").revision == 2
    late.went_live("late", 2, "2026-01-02T00:00:00.000Z", "data plane")
    assert (late.split("late"), late.revision("late", 2).status) == (None, "live")
    assert kinds(loopline)[3:] == [
        "deployment.requested", "traffic.changed", "deployment.beside", "traffic.changed", "deployment.requested",
        "deployment.retired", "deployment.live", "traffic.changed",
    ]  # fmt: skip
    assert sound(loopline)


def test_an_audit_sees_shares_moved_by_hand(loopline: Any, late: Any) -> None:
    late.canary("late", 2, 0.1, "ann")
    assert sound(loopline)
    loopline.database.write(lambda tx: tx.run("UPDATE serving_endpoints SET traffic = replace(traffic, '0.1', '0.9')"))
    assert not sound(loopline)


def test_a_canary_is_the_first_that_a_rollback_takes_off(late: Any) -> None:
    made = late.canary("late", 2, 0.1, "ann")
    assert late.rollback("late", "ann").revision == 1
    assert (late.split("late"), late.revision("late", made.revision).status) == (None, "retired")


def test_a_canary_that_does_not_load_leaves_no_share(loopline: Any, late: Any) -> None:
    made = late.canary("late", 2, 0.1, "ann")
    late.went_wrong("late", made.revision, "the file is damaged", "data plane")
    assert (late.split("late"), late.revision("late", made.revision).status) == (None, "failed")
    assert (late.endpoint("late").live, late.endpoint("late").wanted) == (1, 1)
    assert sound(loopline)


def test_a_verdict_puts_the_one_before_back(loopline: Any, late: Any) -> None:
    made = late.deploy("late", 2, "ann")
    late.went_live("late", made.revision, "2026-01-02T00:00:00.000Z", "data plane")
    at = "2026-01-02T00:01:00.000Z"
    assert late.was_rolled_back("late", 2, 1, "9 of 9 requests failed", {"failed": 9}, at, "data plane")
    endpoint, verdict = late.endpoint("late"), late.verdicts("late")[0]
    assert (endpoint.live, endpoint.wanted) == (1, 1)
    assert (verdict.verdict, verdict.evidence, verdict.at) == ("rolled back", {"failed": 9}, at)
    assert late.live_at("late", "2026-01-02T00:02:00Z").version == 1
    fact = next(each for each in loopline.ledger.about("endpoint:late") if each.kind == "deployment.rolled_back")
    assert (fact.body["to_revision"], fact.body["evidence"]) == (1, {"failed": 9})
    assert not late.was_rolled_back("late", 2, 1, "again", {}, at, "data plane")
    assert sound(loopline)


def test_a_canary_takes_its_steps(loopline: Any, late: Any) -> None:
    made = late.canary("late", 2, 0.0, "ann", steps=(0.05, 0.5, 1.0), every_s=600)
    for share in (0.05, 0.5):
        assert late.split("late").arms[0].share == share
        late.canary_went("late", made.revision, True, "", {"answered": 50}, "2026-01-02T00:00:00.000Z", "data plane")
    assert late.endpoint("late").wanted == made.revision
    assert [each.verdict for each in late.verdicts("late")] == ["promoted", "advanced"]
    assert sound(loopline)


def test_a_test_has_several_arms_and_sticks_to_the_key(late: Any) -> None:
    late.test_arm("late", 2, "b", 0.25, "ann")
    late.test_arm("late", 3, "c", 0.25, "ann")
    split = late.split("late")
    assert (split.kind, split.by, [arm.name for arm in split.arms]) == ("test", "key", ["b", "c"])
    left = late.stop("late", "ann", "b")
    assert [arm.name for arm in left.arms] == ["c"]
    assert left.arms[0].spans == split.arms[1].spans
    assert left.salt == split.salt


def test_shadows_stand_beside_anything(late: Any) -> None:
    first = late.shadow("late", 2, 1.0, "ann")
    second = late.shadow("late", 3, 0.5, "ann")
    late.canary("late", 4, 0.1, "ann")
    assert [(arm.name, arm.revision) for arm in late.split("late").shadows] == [
        ("shadow", first.revision),
        ("shadow-2", second.revision),
    ]
    assert late.stop("late", "ann") is None
    assert {late.revision("late", number).status for number in (2, 3, 4)} == {"retired"}


def test_what_answered_when_with_its_shares(late: Any) -> None:
    late.canary("late", 2, 0.1, "ann")
    late.share("late", {"canary": 0.5}, "bob")
    at = late.timeline("late")[0].from_at
    late.stop("late", "ann")
    found = late.timeline("late")[::-1]
    shares = [[arm.share for arm in each.traffic.arms] if each.traffic else [] for each in found]
    assert shares == [[], [0.1], [0.5], []]
    assert [each.until_at for each in found] == [each.from_at for each in found[1:]] + [None]
    assert [arm.share for arm in late.live_at("late", at).traffic.arms] == [0.5]


def test_the_alias_that_goes_back_reuses_the_revision_before(loopline: Any, serving: Any) -> None:
    aliases = loopline.registry.aliases
    serving.put("late", "flights", "ann", alias="production")
    for version in (1, 2):
        aliases["production"] = version
        serving.follow()
        serving.went_live("late", version, f"2026-01-0{version}T00:00:00.000Z", "data plane")
    aliases["production"] = 1
    serving.follow()
    assert serving.endpoint("late").wanted == 1


def test_refusals_say_what_to_do(late: Any) -> None:
    with pytest.raises(Conflict, match="All requests"):
        late.promote("late", "ann")
    with pytest.raises(Invalid, match="share of a canary"):
        late.canary("late", 2, 1.5, "ann")
    with pytest.raises(Invalid, match="ever larger"):
        late.canary("late", 2, 0.0, "ann", steps=(0.5, 0.2), every_s=60)
    with pytest.raises(Invalid, match="A step cannot last"):
        late.canary("late", 2, 0.0, "ann", steps=(0.5,))
    late.canary("late", 2, 0.1, "ann")
    with pytest.raises(Conflict, match="A canary is on already"):
        late.canary("late", 3, 0.1, "ann")
    with pytest.raises(Conflict, match="A canary is on already"):
        late.test_arm("late", 3, "b", 0.1, "ann")
    with pytest.raises(NotFound, match="no arm 'b'"):
        late.share("late", {"b": 0.1}, "ann")
    with pytest.raises(NotFound, match="no such shadow"):
        late.shadow_summary("late")
    late.put("early", "flights", "ann")
    with pytest.raises(Conflict, match="nothing live"):
        late.canary("early", 2, 0.1, "ann")


def test_a_retired_endpoint_shares_nothing_out(loopline: Any, late: Any) -> None:
    late.canary("late", 2, 0.1, "ann")
    loopline.database.write(lambda tx: late.retire_in(tx, "late", "ann"))
    assert sound(loopline)
    late.put("late", "flights", "ann")
    assert late.split("late") is None


def test_a_version_stays_while_it_runs_beside_another(loopline: Any, late: Any) -> None:
    late.canary("late", 2, 0.1, "ann")
    late.shadow("late", 3, 1.0, "ann")

    def blocked() -> list[str]:
        going = {"version": [f"flights/{number}" for number in range(1, 5)]}
        found = loopline.database.read(lambda tx: list(loopline.owners()["serving"].blocks(tx, going)))
        return [block.name for block in found]

    assert blocked() == ["flights/1", "flights/2", "flights/3"]
    late.stop("late", "ann")
    assert blocked() == ["flights/1"]


def test_counts_add_up(late: Any) -> None:
    from loopline.usecases.serving.model import Count

    late.canary("late", 2, 0.1, "ann")
    one = Count(endpoint="late", revision=2, arm="canary", answered=5, failed=1, dropped=0)
    late.counted([one])
    late.counted([one])
    assert [(each.answered, each.failed) for each in late.counts("late")] == [(10, 2)]
