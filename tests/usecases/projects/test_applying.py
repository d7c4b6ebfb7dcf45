"""Applying is one change: against what stands, all or nothing, once; what is left over or done by hand is told."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.adapters.databases.sqlite import SQLiteTransaction
from loopline.app.wiring import Loopline, audit, open_home
from loopline.core.errors import CheckFailed, Conflict, Invalid, LooplineError, NotFound, Unavailable
from loopline.shells.cli import run as command
from loopline.testing.factories import installation
from loopline.usecases.projects.model import Declared
from loopline.usecases.projects.plans import Plan
from loopline.usecases.projects.service import Projects

pytestmark = pytest.mark.integration


def told(plan: Plan) -> list[tuple[str, str, str]]:
    return [(change.kind, change.name, change.what) for change in plan.changes]


def config(**sections: Any) -> Declared:
    return Declared(config={"project": "x", **sections}, contracts={}, files={}, folder="/nowhere")


def endpoint(model: str = "m", **fields: Any) -> dict[str, Any]:
    return {"model": model, **fields}


def everything(loopline: Loopline) -> dict[str, Any]:
    """All that an application may touch."""
    names = ("projects_projects", "projects_history", "projects_things", "datasets_datasets", "serving_endpoints")
    tables = {name: loopline.database.read(lambda tx, name=name: tx.rows(f"SELECT * FROM {name}")) for name in names}
    return {**tables, "facts": loopline.ledger.since(0)}


def test_what_was_changed_by_hand_is_told_and_put_back(projects: Projects, loopline: Loopline, two: Path) -> None:
    projects.apply(two, "ada")
    loopline.serving.put("late", "late", "bob", alias="staging", key="id")
    loopline.datasets.declare_from("weather", {"folder": "/elsewhere"}, None, "eve")
    plan = projects.plan(two)
    assert told(plan) == [("dataset", "weather", "changed_by_hand"), ("endpoint", "late", "changed_by_hand")]
    weather, late = plan.changes
    assert (weather.by, late.by, late.details) == ("eve", "bob", ('alias: "staging" → "production"',))
    assert late.at == loopline.ledger.latest(1, kind="endpoint.changed")[0].at
    assert projects.apply(two, "ada").state == "in_step"
    assert loopline.serving.endpoint("late").alias == "production"
    assert loopline.datasets.dataset("weather").source.folder == str(two / "weather")
    assert projects.plan(two).changes == ()


def test_what_is_left_over_is_told_and_retired_only_when_asked(
    projects: Projects, loopline: Loopline, two: Path
) -> None:
    projects.pipeline(two, "training", "ada")
    taken = loopline.datasets.latest("flights.dev").digest
    text = (two / "loopline.yaml").read_text()
    (two / "loopline.yaml").write_text(
        text[: text.index("endpoints:")].replace("    datasets:\n      flights: {folder: sample}\n", "")
    )
    plan = projects.plan(two)
    assert [(left.kind, left.name, left.at) for left in plan.leftovers] == [
        ("dataset", "flights.dev", ""),
        ("endpoint", "late", ""),
    ]
    assert ("endpoint", "late", "gone") in told(plan)
    done = projects.apply(two, "ada")
    assert (done.state, done.pruned, [left.by for left in done.leftovers]) == ("leftovers", False, ["", ""])
    assert {left.by for left in projects.plan(two).leftovers} == {"ada"}
    assert loopline.serving.endpoint("late").alias == "production"
    pruned = projects.apply(two, "ada", prune=True)
    assert (pruned.state, pruned.pruned, projects.plan(two).state) == ("in_step", True, "in_step")
    assert loopline.ledger.since(0, kind="project.applied")[-1].body["pruned"] == [
        "dataset flights.dev",
        "endpoint late",
    ]
    with pytest.raises(NotFound):
        loopline.serving.endpoint("late")
    with pytest.raises(Conflict, match="retired"):
        loopline.datasets.snapshot("flights.dev", "ada")
    assert loopline.datasets.table(taken).num_rows == 1
    assert audit(loopline).sound
    (two / "loopline.yaml").write_text(text)
    assert projects.apply(two, "ada").state == "in_step"
    assert loopline.serving.endpoint("late").alias == "production"
    assert loopline.datasets.snapshot("flights.dev", "ada").digest == taken


def test_what_another_project_names_is_not_left_over(projects: Projects, loopline: Loopline) -> None:
    both = {"endpoints": {"e": endpoint()}}
    projects.apply_declared(config(**both), "ada")
    other = msgspec.structs.replace(config(**both), config={"project": "y", **both})
    projects.apply_declared(other, "ada")
    done = projects.apply_declared(config(), "ada", prune=True)
    assert (done.leftovers, done.pruned) == ((), False)
    assert loopline.serving.endpoint("e").model == "m"


def test_a_refusal_in_the_middle_leaves_everything_as_it_was(projects: Projects, loopline: Loopline) -> None:
    projects.apply_declared(config(endpoints={"b": endpoint("one")}), "ada")
    loopline.database.write(lambda tx: tx.run("UPDATE serving_endpoints SET wanted_revision = 1"))
    before = everything(loopline)
    wish = config(datasets={"d": {"folder": "d"}}, endpoints={"a": endpoint(), "b": endpoint("two")})
    with pytest.raises(Conflict, match="serves the model 'one'"):
        projects.apply_declared(wish, "ada")
    with pytest.raises(Invalid, match="contract of 'd'"):
        projects.apply_declared(msgspec.structs.replace(wish, contracts={"d": {"columns": 3}}), "ada")
    assert everything(loopline) == before


def test_a_fault_at_any_statement_leaves_before_or_after(
    projects: Projects, loopline: Loopline, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.apply(two, "ada")
    text = (two / "loopline.yaml").read_text()
    (two / "loopline.yaml").write_text(text.replace("late:", "later:").replace("folder: sample", "folder: data"))
    before = everything(loopline)
    real, left = SQLiteTransaction.run, 0

    def failing(self: Any, *given: Any) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            raise Unavailable("The disk is full.")
        return real(self, *given)

    monkeypatch.setattr(SQLiteTransaction, "run", failing)
    for left in range(1, 100):
        count = left
        try:
            projects.apply(two, "ada", prune=True)
            break
        except Unavailable:
            assert everything(loopline) == before, count
    assert count > 10
    assert projects.plan(two).state == "in_step"
    assert audit(loopline).sound


KILLED = """\
import os, sys
from pathlib import Path
from loopline.adapters.databases import sqlite
from loopline.app.wiring import open_home

home, folder, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
real = sqlite.SQLiteTransaction.run

def run(self, *given):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
    return real(self, *given)

sqlite.SQLiteTransaction.run = run
with open_home(home) as opened:
    opened.projects.apply(folder, "ada", prune=True)
"""


@pytest.mark.parametrize("statement", [2, 6, 11])
def test_a_kill_in_the_middle_leaves_before_or_after(statement: int, two: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_home(home) as opened:
        opened.projects.apply(two, "ada")
        before = everything(opened)
    text = (two / "loopline.yaml").read_text()
    (two / "loopline.yaml").write_text(text.replace("late:", "later:").replace("folder: sample", "folder: data"))
    words = [sys.executable, "-c", KILLED, str(home), str(two), str(statement)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    with open_home(home) as opened:
        assert everything(opened) == before
        opened.projects.apply(two, "ada", prune=True)
        assert opened.projects.plan(two).state == "in_step"
        assert audit(opened).sound


def test_two_who_apply_different_files_at_once_are_never_mixed(loopline: Loopline) -> None:
    wishes = [
        config(
            owner=who,
            datasets={f"d{n}": {"folder": f"{who}{n}"} for n in range(5)},
            endpoints={f"e{n}": endpoint(who) for n in range(5)},
        )
        for who in ("ada", "bob")
    ]
    start = threading.Barrier(4)

    def apply(opened: Loopline, wish: Declared) -> None:
        start.wait()
        for _ in range(3):
            opened.projects.apply_declared(wish, wish.config["owner"])

    with open_home(loopline.home) as other:  # as another process has it: with a writer of its own
        calls = [(opened, wish) for opened in (loopline, other) for wish in wishes]
        threads = [threading.Thread(target=apply, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    won = loopline.projects.project("x").owner
    assert {one.source.folder for one in loopline.datasets.datasets()} == {f"/nowhere/{won}{n}" for n in range(5)}
    assert {one.model for one in loopline.serving.endpoints()} == {won}
    assert {fact.actor for fact in loopline.ledger.since(0)} == {"ada", "bob"}
    assert loopline.projects.plan_of(wishes[("ada", "bob").index(won)]).state == "in_step"
    assert audit(loopline).sound


def test_an_application_can_be_held_to_the_plan_that_was_looked_at(projects: Projects) -> None:
    first = projects.plan_of(config(owner="ada"))
    assert first.after == 0
    done = projects.apply_declared(config(owner="ada"), "ada", after=first.after)
    assert projects.plan_of(config(owner="bob")).after == done.after > 0
    projects.apply_declared(config(owner="eve"), "eve")
    with pytest.raises(Conflict, match="applied by somebody else"):
        projects.apply_declared(config(owner="bob"), "bob", after=done.after)
    assert projects.project("x").owner == "eve"


def test_a_deployment_by_hand_is_noted_and_left_alone(projects: Projects, loopline: Loopline) -> None:
    projects.apply_declared(config(endpoints={"e": endpoint(alias="production")}), "ada")

    def work(tx: Any) -> None:
        tx.run(
            "INSERT INTO serving_revisions (endpoint, revision, model, version, digest, signature, status, reason, "
            "requested_at, requested_by, live_at) VALUES ('e', 1, 'm', 3, '', :signature, "
            "'live', '', '2026-01-01T00:00:00Z', 'bob', '2026-01-01T00:00:00Z')",
            {"signature": '{"inputs":[],"output":{"name":"p","type":"float"}}'},
        )
        tx.run("UPDATE serving_endpoints SET live_revision = 1, wanted_revision = 1, followed_version = 4")
        body = {"endpoint": "e", "how": "rollback"}
        loopline.ledger.append(tx, "deployment.requested", "endpoint:e", "bob", body)

    loopline.database.write(work)
    (note,) = projects.plan_of(config(endpoints={"e": endpoint(alias="production")})).notes
    assert (note.kind, note.name, note.by) == ("deployment", "e", "bob")
    assert "serves version 3 by hand" in note.text
    assert projects.stands("x").plan.state == "in_step"


def test_a_project_declares_how_an_endpoint_serves(projects: Projects, loopline: Loopline) -> None:
    baked = config(endpoints={"e": endpoint(options={"bake_s": 600, "redact": ["name"]})})
    projects.apply_declared(baked, "ada")
    assert loopline.serving.options("e").bake_s == 600
    assert told(projects.plan_of(baked)) == []
    loopline.serving.configure("e", {"bake_s": 5.0, "workers": 2}, "bob")
    (change,) = projects.plan_of(baked).changes
    assert (change.what, change.by) == ("changed_by_hand", "bob")
    projects.apply_declared(baked, "ada")
    assert (loopline.serving.options("e").bake_s, loopline.serving.options("e").workers) == (600, 1)
    silent = config(endpoints={"e": endpoint()})  # says nothing about options: they are left alone
    projects.apply_declared(silent, "ada")
    assert (told(projects.plan_of(silent)), loopline.serving.options("e").bake_s) == ([], 600)
    with pytest.raises(Invalid, match="no option 'bake'"):
        projects.plan_of(config(endpoints={"e": endpoint(options={"bake": 1})}))
    assert not audit(loopline).problems


def test_what_nothing_in_the_file_explains_is_noted(projects: Projects, loopline: Loopline) -> None:
    facts = [
        ("release.promoted", "release:1", {"release": "1" * 64, "project": "x", "pipeline": "p", "environment": "old"}),
        (
            "release.promoted",
            "release:2",
            {"release": "2" * 64, "project": "x", "pipeline": "p", "environment": "prod"},
        ),
        (
            "release.promoted",
            "release:3",
            {"release": "3" * 64, "project": "y", "pipeline": "p", "environment": "gone"},
        ),
        ("policy.fired", "policy:x/kept", {"project": "x", "policy": "kept", "firing": "f0"}),
        ("policy.fired", "policy:x/gone", {"project": "x", "policy": "gone", "firing": "f1"}),
        ("policy.fired", "policy:x/done", {"project": "x", "policy": "done", "firing": "f2"}),
        ("policy.finished", "policy:x/done", {"project": "x", "policy": "done", "firing": "f2"}),
    ]

    def work(tx: Any) -> None:
        for kind, subject, body in facts:
            loopline.ledger.append(tx, kind, subject, "eve", body)

    loopline.database.write(work)
    policy = {"on": "alert", "run": "training"}
    policies = dict.fromkeys(("kept", "gone", "done"), policy)
    projects.apply_declared(config(environments={"prod": None, "old": None}, policies=policies), "ada")
    declared = config(environments={"prod": None}, policies={"kept": policy})
    notes = projects.plan_of(declared).notes
    told_of = [(note.kind, note.name, note.by) for note in notes]
    assert told_of == [("policy", "gone", "eve"), ("release", "p@old", "eve")]
    assert projects.apply_declared(declared, "ada").state == "in_step"
    assert projects.plan_of(declared).notes == notes


def test_how_a_project_stands_is_answered_without_running_its_code(
    projects: Projects, loopline: Loopline, two: Path, tmp_path: Path
) -> None:
    projects.apply(two, "ada")
    (two / "contract.py").write_text("raise SystemExit('must not run')")
    stands = projects.stands("late")
    assert told(stands.plan) == [("code", stands.plan.code_digest[:16], "changed")]
    (two / "loopline.yaml").write_text("project: late\nownr: x\n")
    stands = projects.stands("late")
    assert (stands.plan.state, "did you mean 'owner'?" in stands.reason) == ("in_step", True)
    (two / "loopline.yaml").write_text("project: early\n")
    assert "project 'early' by now" in projects.stands("late").reason
    shutil.rmtree(two)
    assert "There is no loopline.yaml" in projects.stands("late").reason
    loopline.serving.put("late", "late", "bob", alias="staging")
    assert told(projects.stands("late").plan) == [("endpoint", "late", "changed_by_hand")]


def test_the_blobs_of_every_application_are_in_use(projects: Projects, loopline: Loopline, two: Path) -> None:
    first = projects.apply(two, "ada").code_digest
    (two / "contract.py").write_text((two / "contract.py").read_text() + "# more\n")
    projects.apply(two, "ada")
    assert {one.digest for one in loopline.blobs.kept()} == set(projects.blobs_in_use())
    assert first in set(projects.blobs_in_use())


def test_what_was_applied_before_things_were_noted_belongs_to_its_project(tmp_path: Path) -> None:
    with installation(tmp_path) as opened:
        opened.projects.apply_declared(config(endpoints={"a": endpoint(), "b": endpoint()}), "ada")
        opened.projects.apply_declared(config(endpoints={"b": endpoint()}), "bob")
        opened.database.write(lambda tx: tx.run("DELETE FROM projects_things"))
        from loopline.app.migrations.versions import m0014_environments as migration

        bind = Bound(opened)
        opened.database.write(lambda tx: bind.run(tx, migration._remember))
        plan = opened.projects.plan_of(config(endpoints={"b": endpoint()}))
        assert [(left.name, left.by) for left in plan.leftovers] == [("a", "bob")]
        assert plan.changes == ()


class Bound:
    """A transaction as a migration uses a connection."""

    def __init__(self, opened: Loopline) -> None:
        self._opened = opened

    def run(self, tx: Any, work: Any) -> None:
        self._tx = tx
        work(self)

    def execute(self, statement: Any, params: Any = None) -> Any:
        text = str(statement)
        if text.startswith("SELECT"):
            return Rows(self._tx.rows(text, params or {}))
        return self._tx.run(text, params)


class Rows(list[Any]):
    def mappings(self) -> Rows:
        return self


names = st.sampled_from(["a", "b", "c"])
sources = st.sampled_from([{"folder": "x"}, {"folder": "y"}, {"url": "sqlite:///z", "query": "SELECT 1"}])
configs = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(["ada", "bob"]),
        "datasets": st.dictionaries(names, sources),
        "endpoints": st.dictionaries(
            names, st.fixed_dictionaries({"model": names}, optional={"alias": names, "key": st.just("id")})
        ),
        "environments": st.dictionaries(
            st.sampled_from(["dev", "prod"]),
            st.none() | st.fixed_dictionaries({}, optional={"params": st.dictionaries(names, st.integers())}),
        ),
    },
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Loopline]]:
    with installation(tmp_path_factory.mktemp("shared")) as opened:
        yield [opened]  # hypothesis asks an argument for attributes, and an installation takes those for parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(configs, st.booleans(), st.booleans()), min_size=1, max_size=4))
def test_applying_twice_is_applying_once(
    shared: list[Loopline], steps: list[tuple[dict[str, Any], bool, bool]]
) -> None:
    (loopline,) = shared
    projects = loopline.projects
    for wish, bound, prune in steps:
        if bound and wish.get("datasets"):
            wish["environments"] = {"e": {"datasets": {name: {"folder": "z"} for name in wish["datasets"]}}}
        declared = config(**wish)
        planned = projects.plan_of(declared)
        done = projects.apply_declared(declared, "ada", prune=prune)
        assert (done.changes, done.applied) == (planned.changes, True)
        before = everything(loopline)
        assert projects.plan_of(declared).changes == ()
        assert projects.plan_of(declared).state == done.state == ("leftovers" if done.leftovers else "in_step")
        again = projects.apply_declared(declared, "bob", prune=prune)
        assert (again.changes, again.after) == ((), done.after)
        assert everything(loopline) == before
        wished = set(wish.get("endpoints", {})) | {left.name for left in done.leftovers if left.kind == "endpoint"}
        assert {one.name for one in loopline.serving.endpoints()} == wished


def test_the_commands_say_what_differs(two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert command(["plan", str(two), "--check", *home]) == CheckFailed.exit_code
    shown = capsys.readouterr()
    assert "+ endpoint late" in shown.out
    assert "of 'late' differ" in shown.err
    assert command(["apply", str(two), "--after", "0", *home]) == 0
    assert command(["apply", str(two), "--after", "0", *home]) == 2
    assert "applied by somebody else" in capsys.readouterr().err
    assert command(["plan", str(two), "--check", *home]) == 0
    assert "late: nothing would change, it is in step" in capsys.readouterr().out
    text = (two / "loopline.yaml").read_text()
    (two / "loopline.yaml").write_text(text[: text.index("endpoints:")])
    assert command(["apply", str(two), *home]) == 0
    assert "? endpoint late  left over" in capsys.readouterr().out
    assert command(["plan", str(two), "--check", *home]) == CheckFailed.exit_code
    assert "1 thing of 'late' is left over" in capsys.readouterr().err
    assert command(["plan", str(two), "--json", *home]) == 0
    answer = msgspec.json.decode(capsys.readouterr().out)
    assert set(answer) == set(Plan.__struct_fields__)
    assert set(answer["leftovers"][0]) == {"kind", "name", "details", "by", "at"}
    assert command(["apply", str(two), "--prune", *home]) == 0
    assert command(["plan", str(two), "--check", *home]) == 0
    with contextlib.suppress(LooplineError):
        assert command(["run", "training", "--project", str(two), "--environment", "nowhere", *home]) == 3
    assert "Declared are dev, prod." in capsys.readouterr().err
