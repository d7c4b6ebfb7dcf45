"""Nobody gets in who should not."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.app.wiring import Loopline, all_verbs
from loopline.core.verbs import Role
from loopline.shells.http.guard import LARGEST_BODY, is_open
from loopline.shells.http.pages import web_modules

pytestmark = pytest.mark.unit


def concrete(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_every_route_asks_for_a_token(app: Any, stranger: Any) -> None:
    routes = [
        (route.path, method) for route in app._app._app.routes for method in getattr(route, "methods", None) or ("GET",)
    ]
    assert len(routes) > 20
    routes += [(path, method) for method, path, _ in app._app.addresses()]
    for path, method in routes:
        answer = stranger(method, concrete(path))
        assert is_open(path) or path == "/static" or answer.status == 401, (method, path, answer.status)


@pytest.mark.parametrize("verb", all_verbs(), ids=lambda verb: verb.name)
def test_a_role_below_the_verbs_is_refused(verb: Any, askers: Any) -> None:
    for role in Role:
        answer = askers[role](verb.method, f"/api/v1{concrete(verb.path)}")
        assert (answer.status == 403 and answer.data["error"] == "refused" and "needs" in answer.data["message"]) == (
            role < verb.role
        ), (role, answer)


def test_a_role_below_a_foreign_route_is_refused(app: Any, askers: Any) -> None:
    for method, path, bound in app._app.addresses():
        least = bound.route.role if bound else Role.EDITOR
        for role in Role:
            if role < least:
                answer = askers[role](method, path)
                assert answer.status == 403, (method, path, role)
                assert b"needs" in answer.body


def test_every_page_is_for_those_who_signed_in(stranger: Any) -> None:
    pages = [page.path for module in web_modules() for page in module.PAGES]
    for path in pages:
        answer = stranger("GET", concrete(path), headers={"accept": "text/html"})
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8400", "127.0.0.1", "127.0.0.1:8401", ""])
def test_only_exact_hosts_are_answered(ask: Any, host: str) -> None:
    assert ask("GET", "/health", headers={"host": host}).status == 400


def test_another_sites_page_changes_nothing(ask: Any) -> None:
    origins = ({"origin": origin} for origin in ("http://evil.example", "null", "http://["))
    for headers in (*origins, {"sec-fetch-site": "cross-site"}):
        assert ask("POST", "/api/v1/access/tokens", {"name": "x"}, headers=headers).status == 403
    own = {"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}
    assert ask("POST", "/api/v1/access/tokens", {"name": "own-page"}, headers=own).status == 200


def test_a_revoked_token_ends_its_sessions(loopline: Loopline, app: Any, ask: Any, stranger: Any) -> None:
    secret = ask("POST", "/api/v1/access/tokens", {"name": "short-lived"}).data["secret"]
    session = loopline.access.sign_in_with(secret)
    cookie = {"cookie": f"loopline_session={session}"}
    assert stranger("GET", "/api/v1/access/who", headers=cookie).data["name"] == "short-lived"
    ask("DELETE", "/api/v1/access/tokens/short-lived")
    assert stranger("GET", "/api/v1/access/who", headers=cookie).status == 401


def test_a_sign_in_link_works_once(loopline: Loopline, stranger: Any) -> None:
    loopline.access.first("the-first-token")
    code = loopline.access.code()
    first = stranger("GET", f"/sign-in?code={code}")
    assert first.status == 303
    assert "HttpOnly" in first.headers["set-cookie"]
    assert stranger("GET", f"/sign-in?code={code}").status == 403


def test_answers_keep_browsers_careful(ask: Any, stranger: Any) -> None:
    for answer in (ask("GET", "/"), ask("GET", "/health"), stranger("GET", "/api/v1/access/who")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_too_large_is_refused_unread(ask: Any) -> None:
    answer = ask("POST", "/api/v1/access/tokens", b"{}", headers={"content-length": str(LARGEST_BODY + 1)})
    assert answer.status == 400
    assert "too large" in answer.data["message"]


@pytest.mark.parametrize("path", ["/api/v1/access/tokens", "/api/2.0/mlflow/experiments/create", "/sign-in"])
def test_a_body_that_grows_too_large_without_a_length_is_refused(ask: Any, path: str) -> None:
    answer = ask("POST", path, bytes(LARGEST_BODY + 1))
    assert answer.status == 400
    assert b"too large" in answer.body


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_a_token_limited_to_endpoints_may_ask_nothing_but_who_it_is(
    app: Any, stranger: Any, loopline: Loopline, role: str
) -> None:
    """Whatever route there is or will be: it is refused unless it is named here."""
    key = type(stranger)(app, loopline.access.new(f"key-{role}", role, "test", ["late"]).secret)
    allowed = {"/api/v1/access/who", "/api/v1/serving/address"}
    routes = [
        (route.path, method) for route in app._app._app.routes for method in getattr(route, "methods", None) or ("GET",)
    ]
    routes += [(path, method) for method, path, _ in app._app.addresses()]
    routes += [("/", "GET"), ("/nowhere", "GET"), ("/api/v1/access/who", "POST"), ("/api/v1/access/who/", "GET")]
    for path, method in routes:
        answer = key(method, concrete(path))
        may = is_open(path) or path == "/static" or (path in allowed and method in ("GET", "HEAD"))
        assert may or (answer.status, answer.data["error"]) == (403, "refused"), (method, path, answer.status)
    assert key("GET", "/api/v1/access/who").data == {"name": f"key-{role}", "role": role, "endpoints": ["late"]}
    assert key("GET", "/api/v1/serving/address").status == 503  # no data plane runs here
