"""`loopline release` takes a pipeline or a command; `run`, `promote`, `approve` and `rollback` know releases."""

from __future__ import annotations

import json

import pytest

from loopline.shells.cli import run

pytestmark = pytest.mark.integration


@pytest.fixture
def say(project, tmp_path, monkeypatch, capsys):
    """Run a command in the project's folder; answers exit code, what was printed, what was complained of."""
    for name in ("LOOPLINE_URL", "LOOPLINE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(project)

    def command(actor, *words):
        monkeypatch.setenv("LOOPLINE_ACTOR", actor)
        code = run([*words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_a_release_and_all_that_can_be_asked_of_it(say, project):
    code, out, _ = say("ada", "release", "--json", "totals")
    digest = json.loads(out)["digest"]
    assert code == 0
    assert say("ada", "release", "--project", str(project), "totals")[1].startswith(f"parcels/totals {digest[:12]}")
    assert digest[:12] in say("ada", "release", "list")[1]
    code, out, _ = say("ada", "release", "show", digest[:8])
    assert "2 tests passed" in out
    assert "total after load" in out
    assert "no differences" in say("ada", "release", "diff", digest, digest)[1]
    assert "is as it was sealed" in say("ada", "release", "verify", digest)[1]

    say("ada", "apply")
    code, out, err = say("ada", "promote", digest, "--env", "prod")
    assert (code, out) == (1, "")
    assert "contract not run" in err
    assert "loopline snapshot weights" in err
    say("ada", "snapshot", "weights")
    assert "stands in prod" in say("ada", "promote", digest, "--env", "prod")[1]
    code, out, err = say("ada", "run", "parcels/totals@prod", "--json")
    assert (code, json.loads(out)["release"]) == (0, digest)
    assert say("ada", "run", digest[:12], "--no-cache")[0] == 2
    for words, count in (
        (("totals", "--env", "prod"), 1),
        (("--at", "2013-05-03T14:00:00Z"), 0),
        (("--at", "2999-01-01"), 1),
    ):
        assert len(json.loads(say("ada", "release", "history", *words, "--json")[1])) == count
    assert say("ada", "rollback", "totals", "--env", "prod")[0] == 2
    assert "approved" in say("bob", "approve", digest, "--env", "dev", "--note", "fine")[1]
    assert "came to prod" in say("ada", "release", "show", "totals@prod")[1]


def test_what_cannot_be_meant_is_told(say, project):
    for words, code, text in [
        (("release", "seal", "list"), 2, "cannot be told from a command"),
        (("release", "nope"), 3, "no pipeline 'nope'"),
        (("release", "show", "zz:z"), 2, "names no release"),
        (("release", "show", "zzz"), 3, "no release of 'zzz'"),
        (("release", "show", "abcdef123456"), 3, "no release abcdef123456"),
        (("release", "seal"), 2, "Missing argument"),
        (("release", "totals", "-p", "x"), 2, "KEY=VALUE"),
        (("run", "totals@prod"), 3, "No release of 'totals' stands in 'prod'"),
        (("run", "abcdef123456"), 3, "no pipeline 'abcdef123456'"),
        (("promote", "abcdef"), 2, "--env ENVIRONMENT"),
        (("promote", "abcdef", "--to", "x", "--env", "y"), 2, "--env ENVIRONMENT"),
        (("lock", "--project", str(project / "tests")), 3, "no pyproject.toml"),
    ]:
        found, _, err = say("ada", *words)
        assert (found, text in err) == (code, True), (words, found, err)
    assert say("ada", "release", "--help")[0] == 0
    (project / "pyproject.toml").write_text('[project]\ndependencies = ["pyarrow>=17", "tomlkit"]\n')
    code, _, err = say("ada", "lock", "--check")
    assert (code, "Run `loopline lock`" in err) == (1, True)
