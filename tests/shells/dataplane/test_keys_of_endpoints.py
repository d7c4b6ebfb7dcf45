"""What a token that is limited to some endpoints finds in the data plane."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataplane_doubles import ROW
from dataplane_router import Router

from loopline.shells.dataplane.doors import routes

pytestmark = pytest.mark.integration
ROWS = {"rows": [ROW]}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """Two endpoints, `late` and `secret`."""
    folder: Path = tmp_path_factory.mktemp("keys")
    made = Router(folder / "home", [["plain", 100.0], ["plain", 200.0]])
    made.start()
    made.deploy(1)
    made.deploy(2, "secret")
    yield made
    made.close()


@pytest.fixture(scope="module")
def keys(two: Router) -> dict[str, str]:
    return {role: two.opened.access.new(f"k-{role}", role, "tester", ["late"]).secret for role in ("viewer", "editor")}


def test_its_own_endpoint_answers(two: Router, keys: dict[str, str]) -> None:
    key = keys["viewer"]
    assert two.ask("POST", "/v1/endpoints/late/predict", ROWS, key)[0] == 200
    assert two.ask("GET", "/v2/models/late", token=key)[0] == 200
    assert two.ask("GET", "/v2/models/late/versions/1/ready", token=key)[0] == 200
    assert two.ask("GET", "/v2", token=key)[0] == 200
    assert two.ask("GET", "/v2/health/live", token=key)[0] == 200
    assert two.ask("GET", "/v2/health/ready", token=key)[0] == 200
    assert two.ask("PUT", "/v1/endpoints/late/predict", ROWS, key)[0] == 405
    assert two.ask("GET", "/version", token=key)[0] == 200
    assert two.ask("GET", "/v1/endpoints/late/openapi.json", token=key)[0] == 200
    records = {"dataframe_records": [ROW]}
    for path in ("/invocations", "/endpoints/late/invocations"):  # the other endpoint does not count
        assert two.ask("POST", path, records, key)[0] == 200


def test_truth_needs_a_key_that_is_editor(two: Router, keys: dict[str, str]) -> None:
    _, told = two.ask("POST", "/v1/endpoints/late/predict", ROWS, keys["viewer"])
    truth = {"rows": [{"prediction_id": told["ids"][0], "value": 1.0}]}
    assert two.ask("POST", "/v1/endpoints/late/truth", truth, keys["viewer"])[0] == 403
    assert two.ask("POST", "/v1/endpoints/late/truth", truth, keys["editor"])[0] == 200
    assert two.ask("POST", "/v1/endpoints/secret/truth", truth, keys["editor"])[0] == 404


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_other_endpoints_look_as_if_they_were_not_there(two: Router, keys: dict[str, str], role: str) -> None:
    """Every route of every door, by every method, beside the same address of an endpoint that does not exist."""
    paths = {path for path, *_ in routes(b"secret")} | {
        b"/v2/models/secret/versions/2",
        b"/v2/models/secret/versions/9",
    }
    paths |= {
        b"/v2/models/secret/versions/2/infer",
        b"/v1/endpoints/secret/late",
        b"/v1/endpoints/late/../secret/predict",
    }
    for path in sorted(paths):
        for method in ("GET", "POST", "PUT", "DELETE"):
            there = two.ask(method, path.decode(), ROWS if method == "POST" else None, keys[role])
            nowhere = path.decode().replace("secret", "nobody")
            absent = two.ask(method, nowhere, ROWS if method == "POST" else None, keys[role])
            assert there[0] == absent[0] == 404, (method, path, there)
            assert str(there[1]).replace("secret", "nobody") == str(absent[1])
    for path in ("/metrics", "/nowhere", "/v2/models", "/"):
        status, told = two.ask("GET", path, token=keys[role])
        assert (status, "secret" in str(told)) == (404, False)


@pytest.mark.parametrize("name", ["models", "endpoints", "invocations", "predict", "ready"])
def test_a_key_for_an_endpoint_with_the_name_of_an_address_learns_no_more(two: Router, name: str) -> None:
    key = two.opened.access.new(f"k-{name}", "viewer", "tester", [name]).secret
    for path in sorted({path.decode() for path, *_ in routes(b"secret")}):
        assert two.ask("PUT", path, token=key)[0] == 404, path


def test_a_revoked_key_is_noticed_as_any_token(two: Router) -> None:
    key = two.opened.access.new("soon-gone", "viewer", "tester", ["late"]).secret
    assert two.ask("POST", "/v1/endpoints/late/predict", ROWS, key)[0] == 200
    two.opened.access.revoke("soon-gone", "tester")
    until = time.monotonic() + 20
    while two.ask("POST", "/v1/endpoints/late/predict", ROWS, key)[0] != 401:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_its_predictions_carry_its_name(two: Router, keys: dict[str, str]) -> None:
    _, told = two.ask("POST", "/v1/endpoints/late/predict", ROWS, keys["viewer"])
    assert two.record(told["ids"][0])["prediction"] == 107.5
