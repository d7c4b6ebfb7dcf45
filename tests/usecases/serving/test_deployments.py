"""Endpoints and deployments: what is asked, what went live, and going back."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.app.wiring import audit
from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused, Unavailable

pytestmark = pytest.mark.integration


def up(serving: Any, version: int, at: str = "2026-01-01T00:00:00.000Z") -> Any:
    made = serving.deploy("late", version, "ann", "flights")
    assert serving.went_live("late", made.revision, at, "data plane")
    return made


def kinds(loopline: Any) -> list[str]:
    return [fact.kind for fact in loopline.ledger.about("endpoint:late")]


def test_a_deployment_is_requested_then_live(loopline: Any, serving: Any) -> None:
    made = serving.deploy("late", 1, "ann", "flights")
    assert (made.revision, made.status) == (1, "requested")
    assert serving.endpoint("late").live is None
    serving.went_live("late", 1, "2026-01-01T00:00:00.000Z", "data plane")
    assert (serving.endpoint("late").live, serving.revision("late", 1).status) == (1, "live")
    assert kinds(loopline) == ["endpoint.changed", "deployment.requested", "deployment.live"]


def test_the_same_version_again(serving: Any) -> None:
    first = serving.deploy("late", 1, "ann", "flights")
    assert serving.deploy("late", 1, "ann").revision == first.revision  # still under way
    serving.went_live("late", 1, "2026-01-01T00:00:00.000Z", "data plane")
    assert serving.deploy("late", 1, "ann").revision == 2  # asked for once more


def test_what_was_live_at_a_moment(serving: Any) -> None:
    up(serving, 1, "2026-05-01T00:00:00.000Z")
    up(serving, 2, "2026-05-03T14:00:00.000Z")
    assert serving.live_at("late", "2026-04-30T00:00:00Z") is None
    assert serving.live_at("late", "2026-05-03T13:59:59.999Z").version == 1
    assert serving.live_at("late", "2026-05-03T16:00:00+02:00").version == 2
    assert [(each.version, each.until_at) for each in serving.history("late")] == [
        (2, None), (1, "2026-05-03T14:00:00.000Z"),
    ]  # fmt: skip


def test_rollback_goes_back_and_further_back(serving: Any) -> None:
    for version in (1, 2, 3):
        up(serving, version)
    assert serving.rollback("late", "ann").revision == 2
    serving.went_live("late", 2, "2026-01-02T00:00:00.000Z", "data plane")
    assert serving.rollback("late", "ann").revision == 1
    serving.went_live("late", 1, "2026-01-03T00:00:00.000Z", "data plane")
    with pytest.raises(Conflict, match="first"):
        serving.rollback("late", "ann")
    up(serving, 4)
    assert serving.rollback("late", "ann").revision == 1  # 2 and 3 were rolled back before


def test_rollback_calls_off_what_is_under_way(serving: Any) -> None:
    up(serving, 1)
    serving.deploy("late", 2, "ann")
    assert serving.rollback("late", "ann").revision == 1
    assert serving.endpoint("late").wanted == 1
    assert not serving.went_live("late", 2, "2026-01-02T00:00:00.000Z", "data plane")
    assert serving.endpoint("late").live == 1


def test_a_failure_leaves_what_is_live(loopline: Any, serving: Any) -> None:
    up(serving, 1)
    serving.deploy("late", 2, "ann")
    serving.went_wrong("late", 2, "the file is damaged", "data plane")
    endpoint = serving.endpoint("late")
    assert (endpoint.live, endpoint.wanted, serving.revision("late", 2).reason) == (1, 1, "the file is damaged")
    assert kinds(loopline)[-1] == "deployment.failed"
    with pytest.raises(Conflict, match="failed to load"):
        serving.route("late", 2, "ann")


def test_an_alias_is_followed_once_for_each_move(loopline: Any, serving: Any) -> None:
    aliases = loopline.registry.aliases
    serving.put("late", "flights", "ann", alias="production")
    assert serving.follow() == 0
    aliases["production"] = 1
    assert (serving.follow(), serving.follow()) == (1, 0)
    serving.went_live("late", 1, "2026-01-01T00:00:00.000Z", "data plane")
    aliases["production"] = 2
    serving.follow()
    serving.went_live("late", 2, "2026-01-02T00:00:00.000Z", "data plane")
    serving.rollback("late", "ann")
    assert (serving.follow(), serving.endpoint("late").wanted) == (0, 1)
    aliases["production"] = 9  # never loaded
    assert (serving.follow(), serving.endpoint("late").wanted) == (0, 1)


def test_an_audit_sees_a_deployment_moved_by_hand(loopline: Any, serving: Any) -> None:
    up(serving, 1)
    up(serving, 2)
    assert not audit(loopline).problems
    loopline.database.write(lambda tx: tx.run("UPDATE serving_endpoints SET live_revision = 1"))
    assert audit(loopline).problems


def test_refusals_say_what_to_do(serving: Any) -> None:
    with pytest.raises(NotFound, match="no endpoint 'none'"):
        serving.deploy("none", 1, "ann")
    with pytest.raises(Invalid, match="cannot be the name"):
        serving.put("../etc", "flights", "ann")
    with pytest.raises(Invalid, match="both as key and as event time"):
        serving.put("late", "flights", "ann", key="id", event_time="id")
    serving.put("late", "flights", "ann")
    with pytest.raises(NotFound, match="no version 77"):
        serving.deploy("late", 77, "ann")
    with pytest.raises(Refused, match="never loaded"):
        serving.deploy("late", 9, "ann")
    with pytest.raises(Conflict, match="nothing live"):
        serving.rollback("late", "ann")
    with pytest.raises(Conflict, match="serves the model"):
        serving.deploy("late", 1, "ann", "other")
    with pytest.raises(Unavailable, match="does not run"):
        serving.address()


def test_changing_nothing_writes_nothing(loopline: Any, serving: Any) -> None:
    for _ in range(2):
        serving.put("late", "flights", "ann", key="flight")
    assert kinds(loopline) == ["endpoint.changed"]


@pytest.mark.parametrize("alias", ["", "../../x", "a\x00b", "a" * 5000])
def test_an_endpoint_follows_only_what_can_be_an_alias(serving: Any, alias: str) -> None:
    with pytest.raises(Invalid, match="alias"):
        serving.put("late", "flights", "ann", alias=alias)


@pytest.mark.parametrize("name", ["\x00", "../../x", "a" * 5000])
def test_only_an_endpoints_name_becomes_a_path(serving: Any, name: str) -> None:
    with pytest.raises(Invalid, match="endpoint"):
        serving.log_mark(name)


def test_no_endpoint_is_made_for_a_version_that_is_not_there(serving: Any) -> None:
    with pytest.raises(NotFound, match="no version 77"):
        serving.deploy("late", 77, "ann", "flights")
    assert serving.endpoints() == []


def test_a_deployment_that_another_one_overtakes_is_not_under_way_any_more(loopline: Any, serving: Any) -> None:
    serving.deploy("late", 1, "ann", "flights")
    serving.deploy("late", 2, "bob")
    assert [each.status for each in serving.revisions("late")] == ["requested", "retired"]
    serving.went_live("late", 2, "2026-01-01T00:00:00.000Z", "data plane")
    canary = serving.canary("late", 3, 0.5, "ann")
    serving.promote("late", "ann")
    serving.deploy("late", 4, "bob")
    assert [each.status for each in serving.revisions("late")] == ["requested", "beside", "live", "retired"]
    serving.rollback("late", "ann")
    assert [each.status for each in serving.revisions("late")] == ["retired", "beside", "live", "retired"]
    assert serving.route("late", canary.revision, "ann").revision == canary.revision
    assert not audit(loopline).problems


def test_who_waits_for_what_was_overtaken_is_told_so(serving: Any) -> None:
    serving.deploy("late", 1, "ann", "flights")
    serving.deploy("late", 2, "bob")
    with pytest.raises(CheckFailed, match="Revision 1 of 'late' was overtaken"):
        serving.wait("late", 1, 0.0)
    serving.route("late", 1, "ann")
    with pytest.raises(Unavailable, match="not live after"):
        serving.wait("late", 1, 0.0)
