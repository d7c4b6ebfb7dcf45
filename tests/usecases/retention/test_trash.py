"""What is removed goes whole, comes back whole, and is gone whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline, audit
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.usecases.retention.model import lines

pytestmark = pytest.mark.integration
OF_RUNS = ("runs", "params", "tags", "points", "latest", "artifacts", "links")


def everything(loopline: Loopline) -> dict[str, list[Any]]:
    """All rows of all use-cases, but for the ledger and the trash itself."""
    statement = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"

    def work(tx: Any) -> dict[str, list[Any]]:
        tables = [row["name"] for row in tx.rows(statement) if not row["name"].startswith(("ledger_", "retention_"))]
        return {name: sorted(map(repr, tx.rows(f"SELECT * FROM {name}"))) for name in tables}

    return loopline.database.read(work)


def files(loopline: Loopline) -> set[str]:
    """All files of the logs."""
    logs = (loopline.home / kind for kind in ("predictions", "truth"))
    return {str(path.relative_to(loopline.home)) for log in logs for path in log.rglob("*") if path.is_file()}


def sound(loopline: Loopline) -> bool:
    return audit(loopline).problems == []


def test_a_run_is_hidden_at_once_and_comes_back_whole(loopline: Loopline, make: Any) -> None:
    run = make.run(loopline, notes=b"hello")
    before = everything(loopline)
    found = loopline.retention.look("run", run[:8])
    assert (found.name, found.blocks, found.size) == (run, [], 5)
    assert found.counts == {"params": 1, "metrics": 1, "artifacts": 1}
    assert "1 artifact" in "\n".join(lines(found.tree))
    loopline.retention.remove("run", run[:8], "ann")
    assert loopline.tracking.search(experiment="tab").runs == []
    (trashed,) = loopline.retention.trash()
    assert (trashed.kind, trashed.name, trashed.removed_by) == ("run", run, "ann")
    assert trashed.until[:10] > trashed.removed_at[:10]
    with pytest.raises(Conflict, match="in the trash already"):
        loopline.retention.remove("run", run, "ann")
    loopline.retention.restore("run", run[:8], "bob")
    assert everything(loopline) == before
    assert loopline.tracking.artifact(run, "notes")[1] == b"hello"
    assert loopline.retention.trash() == []
    assert sound(loopline)


def test_what_mlflow_deletes_is_in_the_same_trash(loopline: Loopline, make: Any) -> None:
    run, other = make.run(loopline), make.run(loopline, "second")
    loopline.tracking.delete_run(run, actor="ann")
    number = loopline.tracking.get(other).experiment
    experiment = loopline.database.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": number})["id"]
    loopline.tracking.delete_experiment(experiment, actor="ann")
    assert [(one.kind, one.title) for one in loopline.retention.trash()] == [("experiment", "second"), ("run", "one")]
    loopline.retention.restore("experiment", "second", "ann")
    assert loopline.tracking.search(experiment="second").runs[0].id == other
    loopline.retention.remove("experiment", "second", "ann")
    loopline.tracking.restore_experiment(experiment, actor="ann")
    assert loopline.tracking.search(experiment="second").runs[0].id == other
    assert [one.name for one in loopline.retention.trash()] == [run]


def test_a_run_that_went_before_its_experiment_stays_when_that_comes_back(loopline: Loopline, make: Any) -> None:
    first, second = make.run(loopline), make.run(loopline)
    loopline.retention.remove("run", first, "ann")
    loopline.retention.remove("experiment", "tab", "ann")
    assert [one.kind for one in loopline.retention.trash()] == ["experiment"]
    with pytest.raises(NotFound):
        loopline.retention.restore("run", first, "ann")
    loopline.retention.restore("experiment", "tab", "ann")
    assert [run.id for run in loopline.tracking.search(experiment="tab").runs] == [second]
    assert [one.name for one in loopline.retention.trash()] == [first]


def test_a_purge_leaves_no_row_and_no_byte(loopline: Loopline, make: Any, count: Any) -> None:
    for number in range(5):
        make.run(loopline, notes=b"%d" % number * 1000, shared=b"same" * 1000)
    stays = make.run(loopline, "second", shared=b"same" * 1000)
    found = loopline.retention.remove("experiment", "tab", "ann")
    assert (found.size, found.shared) == (5000, 4000)
    make.old(loopline)
    assert loopline.retention.purge("experiment", "tab", "ann", most=2).left == 4
    assert loopline.retention.trash()[0].purging
    with pytest.raises(Conflict, match="being purged"):
        loopline.retention.restore("experiment", "tab", "ann")
    before = make.kept(loopline)
    done = loopline.retention.purge_and_free("experiment", "tab", "ann")
    assert done.size == before - make.kept(loopline) >= 5000
    assert {table: count(f"tracking_{table}") for table in OF_RUNS if table != "links"} == {
        "runs": 1, "params": 1, "tags": 1, "points": 2, "latest": 1, "artifacts": 1,
    }  # fmt: skip
    assert loopline.tracking.artifact(stays, "shared")[1] == b"same" * 1000
    assert loopline.retention.trash() == []
    stone = loopline.retention.tombstone("experiment", "tab")
    assert stone.sentence.startswith("removed on 20")
    assert stone.sentence.endswith("by ann")
    assert sound(loopline)


def bytes_of_database(loopline: Loopline) -> int:
    return sum(place.stat().st_size for place in loopline.home.glob("loopline.db*"))


def test_the_disk_shrinks(loopline: Loopline, make: Any) -> None:
    from loopline.usecases.tracking.model import Point

    run = make.run(loopline)
    for part in range(5):
        points = [Point(f"loss{part}", n / 7, n, 1000 + n) for n in range(20_000)]
        loopline.tracking.log(run, metrics=points)
    size = bytes_of_database(loopline)
    loopline.retention.remove("run", run, "ann")
    loopline.retention.purge_and_free("run", run, "ann")
    assert bytes_of_database(loopline) < size / 3
    assert (loopline.home / "loopline.db-wal").stat().st_size == 0


def test_a_version_that_is_pointed_to_or_served_stays_and_the_way_out_is_named(loop: Loopline) -> None:
    with pytest.raises(Conflict, match=r"small@production points to it.*serves it") as refused:
        loop.retention.remove("version", "small/2", "ann")
    assert "loopline promote small/OTHER --to production" in refused.value.hint
    run = loop.registry.version("small", 2).run_id
    with pytest.raises(Conflict, match="it made small/2"):
        loop.retention.remove("run", run, "ann")
    with pytest.raises(Conflict, match="it serves small/2"):
        loop.retention.remove("endpoint", "small", "ann")
    with pytest.raises(Conflict, match="declares it"):
        loop.retention.remove("dataset", "rows", "ann")
    first = loop.datasets.snapshots("rows")[0].digest
    with pytest.raises(Conflict, match="small/1 was trained on it"):
        loop.retention.remove("snapshot", first[:12], "ann")
    newest = loop.datasets.latest("rows").digest
    with pytest.raises(Conflict, match="newest of rows"):
        loop.retention.remove("snapshot", newest, "ann")
    with pytest.raises(Conflict, match="it serves small/2"):
        loop.retention.remove("project", "small", "ann")


def test_a_version_comes_back_with_its_gates_and_a_walk_says_where_it_was(loop: Loopline, make: Any) -> None:
    before, asked = everything(loop), make.asked
    make.old(loop)
    found = loop.retention.remove("version", "small/1", "ann")
    assert found.counts["gates"] == 1
    assert found.size + found.shared > 1000  # what the run made is its output too
    with pytest.raises(NotFound):
        loop.registry.version("small", 1)
    node = next(node for node in loop.lineage.trace(asked).nodes if node.kind == "version")
    assert node.lines[0].endswith("by ann")
    loop.retention.collect()
    assert sound(loop)
    loop.retention.restore("version", "small/1", "ann")
    assert everything(loop) == before
    assert loop.registry.load("small", 1) is not None
    assert [one.kind for one in loop.lineage.trace(asked).nodes][:4] == ["prediction", "revision", "version", "run"]
    assert sound(loop)


def test_everything_goes_in_its_order_and_almost_no_byte_is_left(loop: Loopline, make: Any) -> None:
    before, logs, asked = everything(loop), files(loop), make.asked
    found = loop.retention.remove("project", "small", "ann", stop=True)
    assert found.counts["endpoints"] == found.counts["datasets"] == found.counts["models"] == 1
    assert loop.serving.endpoints() == []
    assert loop.datasets.datasets() == []
    assert loop.projects.projects() == []
    assert files(loop) == set()
    assert sound(loop)
    loop.retention.restore("project", "small", "ann")
    assert files(loop) == logs
    after = everything(loop)
    changed = {table for table in before if before[table] != after[table]}
    assert changed <= {"serving_endpoints", "serving_revisions", "serving_live_history", "registry_names"}
    assert sound(loop)
    loop.retention.remove("project", "small", "ann")
    for experiment in loop.tracking.experiments():
        if experiment.name != "Default":
            loop.retention.remove("experiment", experiment.name, "ann")
    runs = [run.id for run in loop.tracking.search().runs]
    for run in runs:
        loop.retention.remove("run", run, "ann")
    for one in loop.retention.trash():
        loop.retention.purge(one.kind, one.name, "ann")
    loop.database.write(lambda tx: tx.run("DELETE FROM pipelines_results"))
    loop.database.write(lambda tx: tx.run("DELETE FROM pipelines_plans"))
    loop.database.write(lambda tx: tx.run("DELETE FROM pipelines_codes"))
    make.old(loop)
    loop.retention.collect()
    assert make.kept(loop) == 0
    assert list((loop.home / "trash").iterdir()) == []
    assert sound(loop)
    with pytest.raises(NotFound):
        loop.lineage.trace(asked)


def test_names_may_be_used_again_and_then_the_old_one_cannot_come_back(
    loopline: Loopline, make: Any, tmp_path: Path
) -> None:
    run = make.run(loopline)
    make.version(loopline, tmp_path / "m", run)
    loopline.retention.remove("model", "late", "ann")
    assert loopline.registry.models() == []
    make.version(loopline, tmp_path / "m", run, b"others")
    with pytest.raises(Conflict, match="its name is taken"):
        loopline.retention.restore("model", "late", "ann")
    assert loopline.retention.trash()[0].name == "late"
    loopline.retention.remove("model", "late", "ann")
    loopline.retention.restore("model", "late", "ann")
    assert sound(loopline)


def test_what_cannot_be_named_is_refused(loopline: Loopline, make: Any) -> None:
    with pytest.raises(Invalid, match="no kind of thing"):
        loopline.retention.look("table", "x")
    for kind, name in (("run", "abcdef"), ("experiment", "x"), ("model", "x"), ("version", "x/1"), ("version", "x"),
                       ("dataset", "x"), ("snapshot", "abcdef"), ("release", "abcdef"), ("endpoint", "x"), ("project", "x")):  # fmt: skip
        with pytest.raises(NotFound):
            loopline.retention.remove(kind, name, "ann")
        with pytest.raises(NotFound):
            loopline.retention.restore(kind, name, "ann")
        with pytest.raises(NotFound):
            loopline.retention.purge(kind, name, "ann")
    make.run(loopline, "Default")
    with pytest.raises(Conflict, match="always there"):
        loopline.retention.remove("experiment", "Default", "ann")
    with pytest.raises(Invalid):
        loopline.retention.set_keep_days(-1, "ann")


def test_the_trash_is_emptied_after_its_days(loopline: Loopline, make: Any, count: Any) -> None:
    run = make.run(loopline)
    loopline.retention.remove("run", run, "ann")
    loopline.retention.collect()
    assert len(loopline.retention.trash()) == 1
    assert loopline.retention.set_keep_days(0, "ann") == loopline.retention.keep_days() == 0
    told = loopline.retention.collect(dry_run=True)
    assert [one.what for one in told.swept] == ["things in the trash for long enough"]
    assert len(loopline.retention.trash()) == 1
    loopline.retention.collect()
    assert loopline.retention.trash() == []
    assert count("tracking_runs") == 0


def test_a_release_goes_unless_it_is_promoted_somewhere(loopline: Loopline) -> None:
    digests = ["a" * 64, "b" * 64]

    def work(tx: Any) -> None:
        for seq, digest in enumerate(digests):
            tx.run(
                "INSERT INTO releases_releases (digest, seq, project, pipeline, manifest, signature, public_key, content,"
                " created_at, created_by) VALUES (:d, :n, 'small', 'training', :d, '', '', :d, '2013', 'ann')",
                {"d": digest, "n": seq},
            )
        tx.run(
            "INSERT INTO releases_moves (seq, project, pipeline, environment, release, from_release, gate, reason,"
            " moved_at, moved_by) VALUES (1, 'small', 'training', 'prod', :d, '', '', '', '2013', 'ann')",
            {"d": digests[1]},
        )

    loopline.database.write(work)
    before = everything(loopline)
    with pytest.raises(Conflict, match="it is promoted: small/training in prod"):
        loopline.retention.remove("release", "bbbbbbbb", "ann")
    loopline.retention.remove("release", "aaaaaaaa", "ann")
    assert [one.digest for one in loopline.releases.releases("small", "training", 10)] == [digests[1]]
    assert loopline.retention.tombstone("release", "aaaaaaaa").name == digests[0]
    assert [loopline.retention.tombstone("release", name) for name in ("", "a")] == [None, None]
    loopline.retention.restore("release", "aaaaaaaa", "ann")
    assert everything(loopline) == before


def test_impact_and_trace_say_what_was_removed(loop: Loopline, make: Any) -> None:
    first = loop.datasets.snapshots("rows")[0].digest
    run = loop.registry.version("small", 1).run_id
    loop.retention.remove("version", "small/1", "ann")
    loop.retention.remove("snapshot", first, "bob")
    assert loop.lineage.impact(first[:12]).nodes[0].lines[0].endswith("by bob")
    loop.retention.restore("version", "small/1", "ann")
    kinds = {node.kind: node for node in loop.lineage.trace(make.asked).nodes}
    assert kinds["snapshot"].lines[0].endswith("by bob")
    assert kinds["run"].ref["run"] == run
    loop.retention.restore("snapshot", first[:12], "bob")
    assert loop.lineage.impact(first[:12]).nodes[0].lines[0].startswith("2000 rows")
