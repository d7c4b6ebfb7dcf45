"""Signed deliveries: the secret is the right, each delivery counts once, and wrong ones learn nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid, Refused
from loopline.usecases.automation import hooks

pytestmark = pytest.mark.integration

SECRET = b"a secret of some length"
HOOK = {"on": "webhook", "secret": {"env": "HOOK_SECRET"}, "run": "training", "params": {"days": 1},
        "params_from": {"days": "days"}}  # fmt: skip


@pytest.fixture
def hooked(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOOK_SECRET", SECRET.decode())
    world.apply(policies={"push": HOOK})
    return world


def signed(world: Any, body: bytes, secret: bytes = SECRET, age_s: int = 0, **more: str) -> dict[str, str]:
    timestamp = str(int(world.clock.now().timestamp()) - age_s)
    return {
        hooks.TIMESTAMP: timestamp,
        hooks.SIGNATURE: hooks.signature(secret, timestamp.encode() + b"." + body),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def body_of(**data: Any) -> bytes:
    return json.dumps(data).encode()


def deliver(world: Any, body: bytes, headers: dict[str, str], policy: str = "push", project: str = "flights") -> Any:
    return world.automation.deliver(project, policy, headers, body)


def test_a_signed_delivery_sets_its_policy_off_with_declared_values_only(hooked: Any) -> None:
    body = body_of(days=7, rate=0.5)
    firing = deliver(hooked, body, signed(hooked, body))
    assert (firing.state, firing.rules.params) == ("requested", {"days": 7})
    assert firing.cause.startswith("webhook, delivery sha256=")
    assert hooked.execute()
    assert "days" not in json.dumps(next(fact.body for fact in hooked.loopline.ledger.since(0, kind="policy.fired")))


def test_a_delivery_counts_once(hooked: Any) -> None:
    body = body_of(days=7)
    headers = signed(hooked, body, x_loopline_delivery="d1")
    first = deliver(hooked, body, headers)
    assert deliver(hooked, body, headers).id == first.id
    assert deliver(hooked, body, {**headers, hooks.DELIVERY: "d2"}).id == first.id  # the id is not signed
    hooked.clock.move(seconds=5)
    assert deliver(hooked, body, signed(hooked, body, x_loopline_delivery="d1")).id == first.id  # sent again
    hooked.clock.move(seconds=1)
    assert deliver(hooked, body, signed(hooked, body, x_loopline_delivery="d3")).id != first.id
    assert len(hooked.automation.firings()) == 2


def test_the_window_is_five_minutes_both_ways(hooked: Any) -> None:
    body = body_of()
    for age in (301, -301):
        with pytest.raises(Refused):
            deliver(hooked, body, signed(hooked, body, age_s=age))
    for age in (300, -300):
        assert deliver(hooked, body, signed(hooked, body, age_s=age))


def wrong(world: Any) -> dict[str, dict[str, str]]:
    body = body_of(days=7)
    right = signed(world, body)
    return {
        "nothing": {},
        "another secret": signed(world, body, b"guessed"),
        "another body": signed(world, b"{}"),
        "another time": {**right, hooks.TIMESTAMP: "0"},
        "no time": {hooks.SIGNATURE: right[hooks.SIGNATURE]},
        "no number": {**right, hooks.TIMESTAMP: "²"},
        "without sha256=": {**right, hooks.SIGNATURE: right[hooks.SIGNATURE][7:]},
        "not ascii": {**right, hooks.SIGNATURE: "sha256=é"},
        "ours sent as GitHub's": {hooks.GITHUB_SIGNATURE: right[hooks.SIGNATURE]},
    }


def test_every_wrong_delivery_gets_the_same_answer(hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body, said = body_of(days=7), set()
    for headers in wrong(hooked).values():
        with pytest.raises(Refused) as refused:
            deliver(hooked, body, headers)
        said.add(str(refused.value))
    right = signed(hooked, body)
    hooked.apply(policies={"push": HOOK, "alert": {"on": "alert", "run": "training"},
                           "bare": {"on": "webhook", "run": "training", "secret": {"file": "no/such/file"}}})  # fmt: skip
    for project, policy in (("flights", "none"), ("none", "push"), ("flights", "alert"), ("flights", "bare")):
        with pytest.raises(Refused) as refused:
            deliver(hooked, body, right, policy, project)
        said.add(str(refused.value))
    monkeypatch.delenv("HOOK_SECRET")
    for headers in (right, signed(hooked, body, b"")):
        with pytest.raises(Refused) as refused:
            deliver(hooked, body, headers)
        said.add(str(refused.value))
    assert len(said) == 1
    assert hooked.automation.firings() == []


def test_githubs_signature_is_taken(hooked: Any) -> None:
    body = body_of(ref="refs/heads/main", days=3)
    headers = {hooks.GITHUB_SIGNATURE: hooks.signature(SECRET, body), hooks.GITHUB_DELIVERY: "g1"}
    first = deliver(hooked, body, headers)
    assert first.rules.params == {"days": 3}
    hooked.clock.move(days=30)
    assert deliver(hooked, body, {**headers, hooks.GITHUB_DELIVERY: "g2"}).id == first.id  # only the body is signed


def test_a_hook_may_ask_for_more(hooked: Any) -> None:
    hooked.apply(policies={"push": {**HOOK, "when": {"event": "push", "repository.name": "flights"}}})
    body = body_of(repository={"name": "flights"})
    signature = hooks.signature(SECRET, body)
    assert deliver(hooked, body, {hooks.GITHUB_SIGNATURE: signature, hooks.GITHUB_EVENT: "ping"}) is None
    assert deliver(hooked, body, {hooks.GITHUB_SIGNATURE: signature, hooks.GITHUB_EVENT: "push"}).state == "requested"


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'"text"', b"[" * 5000, b'{"days": [1]}', b'{"days": "' + b"x" * 2000 + b'"}']
)
def test_a_body_that_cannot_be_taken_is_refused_after_its_signature(hooked: Any, body: bytes) -> None:
    with pytest.raises(Invalid):
        deliver(hooked, body, signed(hooked, body))
    assert hooked.automation.firings() == []


def test_a_body_that_is_too_large_is_refused(hooked: Any) -> None:
    body = body_of(text="x" * hooks.LARGEST_BODY)
    with pytest.raises(Invalid, match="too large"):
        deliver(hooked, body, signed(hooked, body))


def test_a_secret_may_stand_in_a_file_of_the_project(hooked: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    hooked.projects.folder = str(tmp_path)
    hooked.apply(policies={"push": {**HOOK, "secret": {"file": "secret"}}})
    body = body_of()
    assert deliver(hooked, body, signed(hooked, body)).state == "requested"


def test_pause_and_cooldown_hold_for_deliveries_too(hooked: Any) -> None:
    hooked.apply(policies={"push": {**HOOK, "cooldown": "1h"}})
    for n, state in enumerate(["requested", "skipped"]):
        body = body_of(days=n)
        assert deliver(hooked, body, signed(hooked, body)).state == state
