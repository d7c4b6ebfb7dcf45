"""What the pages of models lead to, drawn from the verbs without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from loopline.app.wiring import Loopline, verb_named
from loopline.core.verbs import Caller, Role
from loopline.shells.http.pages import templates
from loopline.shells.sdk.asking import request_for
from loopline.testing.factories import installation
from loopline.usecases.registry import web
from loopline.usecases.registry.wire_mlflow import ROUTES

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.ADMIN)


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


def drawn(loopline: Loopline, path: str, **params: str) -> str:
    def call(name: str, /, **fields: Any) -> Any:
        verb = verb_named(name)
        return msgspec.to_builtins(verb.call(loopline.get(name.partition(".")[0]), request_for(verb, fields), ADA))

    page = next(one for one in web.PAGES if one.path == path)
    template = templates().get_template(f"registry/{page.template}")
    caller = SimpleNamespace(name="ada", role=Role.ADMIN)
    return template.render(tab=page.tab, caller=caller, params=params, **page.data(call, params))


def ask(loopline: Loopline, **fields: Any) -> None:
    route = next(one for one in ROUTES if one.path == "model-versions/create")
    route.call(loopline.registry, fields, ADA)


def test_a_version_is_compared_with_the_one_before_it_that_is_still_there(loopline: Loopline) -> None:
    loopline.registry.create("late", actor="ada")
    for number in range(3):
        ask(loopline, name="late", source=f"s3://models/{number}")
    loopline.registry.delete_version("late", 2, "ada")
    shown = {
        number: drawn(loopline, "/models/{model}/versions/{version}", model="late", version=str(number))
        for number in (1, 3)
    }
    assert "compare?versions=1,3" in shown[3]
    assert "compare?versions=1" in shown[1]


def test_a_tag_too_long_for_an_address_is_shown_without_a_link(loopline: Loopline) -> None:
    loopline.registry.create("late", actor="ada", tags={"team": "ops", "notes": "n" * 100_000})
    text = drawn(loopline, "/models")
    assert "tag=team%3Dops" in text
    assert "notes=nnn" in text
    assert len(text) < 50_000
