from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused

pytestmark = pytest.mark.unit


def candidate(desk: Any, by_whom: str = "ada") -> int:
    return desk.shelf.add(desk.by("strong"), desk.flights(days=10), by=by_whom)


def promote(desk: Any, version: int, actor: str = "ada") -> None:
    desk.promotion.promote("late", version, "production", actor)


def test_nothing_is_promoted_without_a_gate(desk: Any) -> None:
    with pytest.raises(Refused, match="no gate has judged it"):
        promote(desk, candidate(desk))


def test_a_passed_gate_opens_its_alias_only(desk: Any) -> None:
    version = candidate(desk)
    desk.gate(version, "staging")
    with pytest.raises(Refused, match="no gate has judged it"):
        promote(desk, version)
    assert desk.promotion.promote("late", version, "staging", "ada").promoted


def test_a_failed_gate_keeps_it_shut_and_says_why(desk: Any) -> None:
    desk.rules["production"] = {"minimum": 0.99}
    version = candidate(desk)
    desk.gate(version)
    with pytest.raises(CheckFailed, match=r"its gate failed \(auc 0\.\d+ is below 0\.99\)"):
        promote(desk, version)
    assert desk.shelf.moves == []


def test_the_newest_gate_counts(desk: Any) -> None:
    version = candidate(desk)
    desk.gate(version)
    desk.rules["production"] = {"minimum": 0.99}
    desk.gate(version)
    with pytest.raises(CheckFailed):
        promote(desk, version)


def test_a_champion_that_changed_since_asks_for_a_new_gate(desk: Any) -> None:
    first, second = candidate(desk), candidate(desk)
    desk.gate(second)
    desk.shelf.point("late", "production", first, "bob", "meanwhile")
    with pytest.raises(Conflict, match="production moved to version 1 since"):
        promote(desk, second)


def test_approval_comes_from_someone_else(desk: Any) -> None:
    desk.rules["production"] = {"approvals": 1}
    version = candidate(desk)
    desk.gate(version)
    with pytest.raises(Refused, match="1 approval missing"):
        promote(desk, version)
    with pytest.raises(Refused, match="'ada' registered late:1 and cannot approve it"):
        desk.promotion.approve("late", version, "ada")
    desk.promotion.approve("late", version, "bob", note="seen")
    promote(desk, version)
    assert desk.shelf.alias("late", "production") == version
    assert desk.facts.kinds() == ["gate.decided", "approval.given"]


def test_own_approval_counts_where_the_rules_say_so(desk: Any) -> None:
    desk.rules["production"] = {"approvals": 1, "self_approval": True}
    version = candidate(desk)
    desk.gate(version)
    desk.promotion.approve("late", version, "ada")
    promote(desk, version)


def test_one_person_counts_once(desk: Any) -> None:
    desk.rules["production"] = {"approvals": 2}
    version = candidate(desk)
    desk.gate(version)
    for _ in range(2):
        desk.promotion.approve("late", version, "bob")
    assert desk.promotion.standing("late", version, "production").missing == "1 approval missing"
    assert desk.facts.kinds().count("approval.given") == 1


def test_an_approval_is_of_the_evidence_that_was_there(desk: Any) -> None:
    desk.rules["production"] = {"approvals": 1}
    version = candidate(desk)
    desk.gate(version)
    desk.promotion.approve("late", version, "bob")
    desk.gate(version)
    assert desk.promotion.standing("late", version, "production").missing == "1 approval missing"


def test_there_is_nothing_to_approve_before_a_gate(desk: Any) -> None:
    with pytest.raises(Conflict, match="No gate has passed late:1"):
        desk.promotion.approve("late", candidate(desk), "bob")


def test_automatic_promotion_moves_the_alias_at_once(desk: Any) -> None:
    desk.rules["production"] = {"auto_promote": True}
    version = candidate(desk)
    gate = desk.gate(version)
    assert desk.shelf.alias("late", "production") == version
    assert desk.shelf.moves[-1].reason == f"gate {gate.id} passed"


def test_automatic_promotion_waits_for_the_last_approval(desk: Any) -> None:
    desk.rules["production"] = {"auto_promote": True, "approvals": 1}
    version = candidate(desk)
    desk.gate(version)
    assert desk.shelf.moves == []
    desk.promotion.approve("late", version, "bob")
    assert desk.shelf.alias("late", "production") == version


def test_repeating_an_approval_does_not_bring_a_rolled_back_version_up_again(desk: Any) -> None:
    desk.rules["production"] = {"auto_promote": True, "approvals": 1}
    desk.shelf.point("late", "production", candidate(desk), "ada", "first")
    version = candidate(desk)
    desk.gate(version)
    desk.promotion.approve("late", version, "bob")
    desk.promotion.rollback("late", "production", "bob")
    desk.promotion.approve("late", version, "bob")
    assert desk.shelf.alias("late", "production") == 1


def test_rolling_back_goes_down_the_stack(desk: Any) -> None:
    for version in (1, 2, 3):
        desk.shelf.point("late", "production", version, "ada", "by hand")
    assert desk.promotion.rollback("late", "production", "bob", "errors") == 2
    assert desk.shelf.moves[-1].reason == "rollback: errors"
    assert desk.promotion.rollback("late", "production", "bob") == 1
    with pytest.raises(Conflict, match="no earlier version"):
        desk.promotion.rollback("late", "production", "bob")


def test_a_version_is_written_with_its_model_or_alone(desk: Any) -> None:
    assert desk.promotion.resolve("late:3") == ("late", 3)
    assert desk.promotion.resolve("late/3") == ("late", 3)
    assert desk.promotion.resolve("3") == ("late", 3)
    desk.shelf.others.append("price")
    with pytest.raises(Invalid, match="does not say which model"):
        desk.promotion.resolve("3")
    with pytest.raises(Invalid, match="names no version"):
        desk.promotion.resolve("newest")


def test_unknown_things_are_not_found(desk: Any) -> None:
    with pytest.raises(NotFound, match="no gate 'x'"):
        desk.promotion.verdict("x")
    with pytest.raises(NotFound):
        desk.promotion.approve("late", 4, "bob")


def test_nothing_is_promoted_while_releases_are_held(desk: Any) -> None:
    version, why = candidate(desk), ["alert a1 on late is open: auc is low"]
    desk.gate(version, "staging")
    desk.promotion._automation = SimpleNamespace(held=lambda model: why[0] if model == "late" else "")
    with pytest.raises(Refused, match="releases of late are held \\(alert a1 on late is open: auc is low\\)") as told:
        desk.promotion.promote("late", version, "staging", "ada")
    assert "loopline policies --lift late" in told.value.hint
    assert "held" in desk.promotion.standing("late", version, "staging").missing
    why[0] = ""
    assert desk.promotion.promote("late", version, "staging", "ada").promoted
