"""What is sealed, what keeps a project from being sealed, and that every later change is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from loopline.core.errors import CheckFailed, Invalid, NotFound, Refused
from loopline.kit.signing import Signer
from loopline.usecases.pipelines.model import File
from loopline.usecases.releases import locking
from loopline.usecases.releases.locking import Pin
from loopline.usecases.releases.model import PUBLISHED, canonical, sha256

pytestmark = pytest.mark.unit


def test_the_same_content_is_the_same_release_and_one_fact(bench):
    first = bench.seal()
    again = bench.releases.seal(bench.folder, "totals", actor="bob")
    assert again == first
    assert first.digest == sha256(canonical(first.manifest))
    assert [fact.actor for fact in bench.home.ledger.since(0, kind=PUBLISHED)] == ["ada"]
    assert bench.pipelines.traced == 1


def test_another_folder_and_another_key_give_the_same_digest(bench, tmp_path):
    first = bench.seal()
    bench.folder = bench.folder.rename(tmp_path / "elsewhere")
    again = bench.seal(tests_again=True)
    assert again.digest == first.digest
    other = Signer(tmp_path / "other.key")
    assert not other.verify(b"loopline release " + first.digest.encode(), first.signature)


def test_an_edit_is_another_release_and_diff_names_it(bench):
    first = bench.seal()
    path = bench.folder / "pipeline.py"
    path.write_text(path.read_text() + "\n")
    found = bench.releases.diff(first.digest, bench.seal().digest)
    assert [(one.what, one.name) for one in found.changes] == [
        ("function", "pipeline.py: total"),
        ("file", "pipeline.py"),
    ]


def test_the_manifest_holds_no_time_place_or_person(bench, tmp_path):
    text = canonical(bench.seal().manifest).decode()
    assert str(tmp_path) not in text
    assert '"ada"' not in text
    assert "20" + "26-" not in text


def test_no_lock_and_a_stale_lock_are_refused(bench):
    (bench.folder / "pyproject.toml").write_text('[project]\ndependencies = ["pyarrow>=17", "tomlkit"]\n')
    with pytest.raises(CheckFailed, match="does not satisfy tomlkit"):
        bench.seal()
    (bench.folder / "requirements.lock").unlink()
    with pytest.raises(NotFound, match=r"requirements\.lock"):
        bench.seal()


def test_code_that_the_lock_does_not_hold_is_refused(bench):
    bench.pipelines.imports = {"Tom_Lkit": "1.0"}
    with pytest.raises(CheckFailed, match="imports Tom_Lkit, which the lock does not name"):
        bench.seal()
    bench.pipelines.imports = {"pyarrow": "1.0"}
    with pytest.raises(CheckFailed, match=r"traced with pyarrow 1\.0"):
        bench.seal()
    bench.pipelines.imports, bench.pipelines.outside = {}, {"/elsewhere/shared.py": "0"}
    with pytest.raises(CheckFailed, match=r"/elsewhere/shared\.py"):
        bench.seal()
    assert not bench.releases.releases()


def test_failing_and_missing_tests_are_refused(bench):
    bench.outcome = "failed"
    with pytest.raises(CheckFailed, match="1 of 1 tests failed"):
        bench.seal()
    bench.outcome = "skipped"
    with pytest.raises(CheckFailed, match="none ran"):
        bench.seal()
    assert not bench.releases.releases()


def test_a_report_is_used_for_exactly_the_same_content(bench):
    bench.seal()
    bench.outcome = "failed"
    bench.seal()
    with pytest.raises(CheckFailed):
        bench.seal(tests_again=True)
    (bench.folder / "notes.md").write_text("more")
    with pytest.raises(CheckFailed):
        bench.seal()


def test_files_that_steps_read_are_sealed_too(bench):
    bench.pipelines.externals = (File("tables/zones.bin"), File("/etc/hostname"))
    with pytest.raises(NotFound, match=r"tables/zones\.bin"):
        bench.seal()
    (bench.folder / "tables").mkdir()
    (bench.folder / "tables" / "zones.bin").write_bytes(b"\0\1")
    assert "tables/zones.bin" in bench.seal().manifest.files
    bench.pipelines.externals = (File("../zones.bin"),)
    (bench.folder / "scale.py").write_text("")
    with pytest.raises(Invalid, match="outside"):
        bench.seal()


def test_a_pipeline_that_is_not_declared_is_told(bench):
    with pytest.raises(NotFound, match="no pipeline 'nope'"):
        bench.releases.seal(bench.folder, "nope", actor="ada")


def test_references(bench):
    first = bench.seal()
    assert bench.releases.get(first.digest[:6]) == first
    assert bench.releases.get("totals") == bench.releases.get("parcels/totals") == first
    for wrong in ("", "a:b", "@prod", "totals@", "a/b/c"):
        with pytest.raises(Invalid):
            bench.releases.get(wrong)
    for unknown in ("abcde", "zzzzzz", "other/totals"):
        with pytest.raises(NotFound):
            bench.releases.get(unknown)
    with pytest.raises(NotFound):
        bench.releases.get("totals@prod")
    with pytest.raises(NotFound):
        bench.releases.get("0" * 64)


def test_every_file_that_was_changed_is_named(bench):
    release = bench.seal()
    assert bench.releases.verify(release.digest).sound
    for name, file in release.manifest.files.items():
        place = bench.home.blobs.path(file.blob)
        content = place.read_bytes()
        place.chmod(0o600)
        place.write_bytes(content + b"#")
        found = bench.releases.verify(release.digest)
        assert f"file {name}" in {problem.where for problem in found.problems}
        with pytest.raises(CheckFailed, match="not as it was sealed"):
            bench.releases.run(release.digest, actor="ada")
        place.write_bytes(content)
    assert bench.releases.verify(release.digest).sound
    assert not bench.pipelines.runs


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("signature", "00" * 64, "signature"),
        ("public_key", "00" * 32, "row"),
        ("created_by", "mallory", "row"),
        ("created_at", "2020-01-01T00:00:00.000Z", "row"),
        ("project", "other", "row"),
        ("pipeline", "other", "row"),
        ("content", "0" * 64, "tests"),
        ("manifest", "0" * 64, "manifest"),
    ],
)
def test_every_column_that_was_changed_is_named(bench, column, value, where):
    release = bench.seal()
    statement = f"UPDATE releases_releases SET {column} = :value"
    bench.home.database.write(lambda tx: tx.run(statement, {"value": value}))
    found = bench.releases.verify(release.digest)
    assert where in {problem.where for problem in found.problems}
    with pytest.raises(CheckFailed):
        bench.releases.run(release.digest, actor="ada")


def test_a_pipeline_whose_name_could_be_a_digest_is_found_by_it(bench):
    release = bench.seal()
    bench.home.database.write(lambda tx: tx.run("UPDATE releases_releases SET pipeline = 'decade'"))
    assert bench.releases.get("decade").digest == bench.releases.get(release.digest[:6]).digest == release.digest
    with pytest.raises(NotFound):
        bench.releases.get("facade")


def test_what_another_key_signed_is_not_taken_for_sealed_here(bench):
    bench.seal()
    bench.home.database.write(
        lambda tx: tx.run("UPDATE releases_releases SET signature = :value", {"value": "00" * 64})
    )
    with pytest.raises(CheckFailed, match="its signature is not this installation's"):
        bench.seal()


def test_a_manifest_exchanged_for_another_is_found(bench):
    first = bench.seal()
    (bench.folder / "notes.md").write_text("more")
    other = bench.seal()
    change = {"blob": other.manifest_blob, "digest": first.digest}
    statement = "UPDATE releases_releases SET manifest = :blob WHERE digest = :digest"
    bench.home.database.write(lambda tx: tx.run(statement, change))
    assert "manifest" in {problem.where for problem in bench.releases.verify(first.digest).problems}
    with pytest.raises(CheckFailed, match="another one"):
        bench.releases.get(first.digest)


def test_a_forged_report_is_not_believed(bench):
    """Who can write rows still has not the key: a report that nobody signed is as good as none."""
    release = bench.seal()
    bench.home.database.write(
        lambda tx: tx.run("UPDATE releases_findings SET answer = replace(answer, '0.1', '0.2') WHERE what = 'tests'")
    )
    assert [problem.where for problem in bench.releases.verify(release.digest).problems] == ["tests"]
    bench.outcome = "failed"
    with pytest.raises(CheckFailed, match="tests failed"):
        bench.seal()


def test_all_blobs_that_a_release_needs_are_in_use(bench):
    release = bench.seal()
    used = set(bench.releases.blobs_in_use())
    assert {release.manifest_blob, *(file.blob for file in release.manifest.files.values())} <= used


def test_it_runs_from_the_sealed_files_and_mends_them(bench):
    release = bench.seal()
    for path in bench.folder.rglob("*.py"):
        path.write_text("raise SystemExit('a working copy was run')\n")
    with pytest.raises(Refused, match="does not stand in 'prod'"):
        bench.releases.run(release.digest[:12], environment="prod", actor="ada")
    assert bench.pipelines.runs == []
    bench.releases.promote(release.digest, "prod", "ada")
    done = bench.releases.run(release.digest[:12], environment="prod", params={"factor": "4"}, actor="ada")
    run = bench.pipelines.runs[-1]
    assert done.release == release.digest
    assert run["files"] == set(release.manifest.files)
    assert (run["params"], run["environment"], run["variables"]) == ({"factor": "4"}, "prod", {"SECRET": "s3cret"})
    assert bench.datasets.taken == ["weights"]
    (run["folder"] / "scale.py").write_text("import os\n")
    (run["folder"] / "numpy.py").write_text("evil = True\n")
    (run["folder"] / "__pycache__").mkdir()
    (run["folder"] / "__pycache__" / "scale.cpython-311.pyc").write_bytes(b"evil")
    (run["folder"] / "os").symlink_to("/tmp")
    bench.releases.run(release.digest, actor="ada")
    again = bench.pipelines.runs[-1]
    assert again["folder"] == run["folder"]
    assert again["files"] == set(release.manifest.files)
    assert sha256((run["folder"] / "scale.py").read_bytes()) == release.manifest.files["scale.py"].sha256


def test_this_interpreter_serves_only_when_all_versions_are_those_of_the_lock(bench):
    from loopline.kit.installed import installed
    from loopline.usecases.releases import environments

    lock = locking.parsed((bench.folder / "requirements.lock").read_bytes())
    assert environments.fits(lock)
    asked = locking.declared_in(bench.folder)
    for name, version in (("pytest", "0.1"), ("nowhere-installed", "1.0")):
        pins = [pin for pin in lock.pins if pin.name != name] + [Pin(name, version, ("sha256:" + "0" * 64,))]
        assert installed().get(name) != version
        assert not environments.fits(locking.parsed(locking.written(asked, pins)))


def test_several_at_once_are_one_release_and_one_fact(bench):
    with ThreadPoolExecutor(6) as pool:
        found = {release.digest for release in pool.map(lambda _: bench.seal(), range(6))}
    assert len(found) == 1
    assert len(bench.home.ledger.since(0, kind=PUBLISHED)) == 1
