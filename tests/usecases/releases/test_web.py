"""The pages of releases, drawn from the verbs without a browser; what their forms send, the verbs take."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from loopline.app.wiring import verb_named
from loopline.core.errors import NotFound
from loopline.core.verbs import Caller, Role
from loopline.shells.http.pages import templates
from loopline.shells.sdk.asking import request_for
from loopline.usecases.releases import web

pytestmark = pytest.mark.unit
GRACE = Caller("grace", Role.ADMIN)


@pytest.fixture
def call(bench):
    """Verbs on the bench's releases; the project is applied with its environments."""

    def ask(name, /, **fields):
        if name == "projects.environments":
            return bench.projects.environments(fields["name"])
        verb = verb_named(name)
        return msgspec.to_builtins(verb.call(bench.releases, request_for(verb, fields), GRACE))

    return ask


def drawn(page, call, **params):
    data = page.data(call, params)
    template = templates().get_template(f"releases/{page.template}")
    return template.render(tab=page.tab, caller=SimpleNamespace(name="grace", role=4), params=params, **data)


def test_the_list_is_drawn_empty_and_full(bench, call):
    (listed, one) = web.PAGES
    assert "No pipeline was sealed yet" in drawn(listed, call)
    first = bench.seal()
    bench.releases.promote(first.digest, "prod", "grace")
    assert "To the one before" not in drawn(listed, call)
    (bench.folder / "notes.md").write_text("more")
    second = bench.seal()
    bench.releases.promote(second.digest, "prod", "grace")
    text = drawn(listed, call)
    assert "To the one before" in text
    assert first.digest[:12] in text
    shown = drawn(one, call, ref=second.digest[:12])
    assert "Signature and all" in shown
    assert "pipeline.py" in shown
    assert "Promote" in shown


def test_a_release_that_was_changed_says_so(bench, call):
    release = bench.seal()
    place = bench.home.blobs.path(release.manifest.files["scale.py"].blob)
    place.chmod(0o600)
    place.write_bytes(b"evil")
    shown = drawn(web.PAGES[1], call, ref=release.digest)
    assert "not as it was sealed" in shown
    assert "file scale.py" in shown
    bench.home.database.write(lambda tx: tx.run("UPDATE releases_releases SET manifest = :no", {"no": "0" * 64}))
    assert "manifest" in drawn(web.PAGES[1], call, ref=release.digest)
    with pytest.raises(NotFound):
        drawn(web.PAGES[1], call, ref="0" * 12)


def test_the_forms_send_what_the_verbs_take():
    sent = {
        "releases.promote": {"ref": "abcdef", "environment": "prod"},
        "releases.approve": {"ref": "abcdef", "environment": "prod", "note": ""},
        "releases.rollback": {"environment": "prod", "project": "parcels", "pipeline": "totals"},
    }
    assert {form.verb for form in web.FORMS} == set(sent)
    for form in web.FORMS:
        request_for(verb_named(form.verb), sent[form.verb])
        assert form.back.format_map(sent[form.verb])
