"""Whatever is sent, the answer is a sentence, never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.app.wiring import all_verbs
from loopline.core.verbs import Role


def nested(inner: Any) -> Any:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.just("\x00'\"--"),
    nested,
    max_leaves=6,
)


def fields_of(verb: Any) -> list[str]:
    return list(verb.request.__struct_fields__)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "JSON"),
        (b'{"name": 5}', "name"),
        (b'{"nmae": "x"}', "nmae"),
        (b'{"name": "\xff"}', "JSON"),
        (b'{"name": "../x"}', "'../x'"),
        (b'{"name": "x", "role": "king"}', "'king'"),
        (b"{}", "name"),
    ],
)
def test_a_wrong_body_is_named(ask: Any, body: bytes, says: str) -> None:
    answer = ask("POST", "/api/v1/access/tokens", body)
    assert answer.status == 400
    assert says in answer.data["message"]


@pytest.mark.unit
def test_a_body_of_countless_values_is_refused_before_it_takes_memory(ask: Any) -> None:
    answer = ask("POST", "/api/v1/access/tokens", b'{"name":[' + b"{}," * 1_000_001 + b"{}]}")
    assert answer.status == 400
    assert "1,000,000 values" in answer.data["message"]


@pytest.mark.unit
def test_a_role_that_does_not_reach_is_refused_whatever_the_body(askers: Any) -> None:
    answer = askers[Role.VIEWER]("POST", "/api/v1/access/tokens", b"{")
    assert answer.status == 403


@pytest.mark.unit
def test_json_must_be_declared(ask: Any) -> None:
    answer = ask(
        "POST", "/api/v1/access/tokens", b"name=x", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 400


@pytest.mark.unit
def test_what_is_not_there_is_404_and_a_wrong_verb_405(ask: Any) -> None:
    assert ask("GET", "/api/v1/nothing").status == 404
    assert ask("GET", "/nothing").status == 404
    assert ask("PATCH", "/api/v1/access/tokens").status == 405


@pytest.mark.integration
@pytest.mark.parametrize("verb", all_verbs(), ids=lambda verb: verb.name)
def test_no_verb_answers_500_to_junk(ask: Any, verb: Any) -> None:
    names = fields_of(verb)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(names, JUNK)), st.text(min_size=1, max_size=12))
    def junk(fields: dict[str, Any], place: str) -> None:
        path = "/api/v1" + verb.path
        for name in names:
            path = path.replace(f"{{{name}}}", place.replace("/", "_").replace("?", "_"))
        data = None if verb.method in ("GET", "DELETE") else fields
        answer = ask(verb.method, path, data)
        assert answer.status < 500 or answer.status == 503, (path, fields, answer.body)  # 503: a plane is not there

    junk()
