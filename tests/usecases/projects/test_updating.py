"""A newer template is merged into a project, and nothing that was changed there is lost."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from loopline.core.errors import Conflict, Invalid, LooplineError, NotFound, Unavailable
from loopline.shells.cli import run as command
from loopline.usecases.projects import merging, updating
from loopline.usecases.projects.template import ANSWERS, PRISTINE, SKELETON, make, pristine_of
from loopline.usecases.projects.updating import told, update

pytestmark = pytest.mark.integration

RECOPY = (f"--answers-file={merging.RECORD}", "--vcs-ref=v2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "late"
    make("late", folder, owner="ada")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "late"))


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A template to make newer."""
    return Path(shutil.copytree(SKELETON, tmp_path / "skeleton"))


def edited(folder: Path, name: str, was: str, now: str) -> None:
    text = (folder / name).read_text()
    assert text.count(was) == 1
    (folder / name).write_text(text.replace(was, now))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(project: Path, skeleton: Path, check: bool = False) -> dict[str, str]:
    return {each.file: each.state for each in update(project, check, skeleton).files if each.state != "as_given"}


def test_a_fresh_project_is_as_the_template_gives_it(project: Path) -> None:
    before = contents(project)
    done = update(project)
    assert done.settled
    assert not done.written
    assert {each.state for each in done.files} == {"as_given"}
    assert len(done.files) == len(pristine_of(project)) - 1  # all but the answers
    assert contents(project) == before


def test_every_kind_of_deviation_is_merged_and_told(project: Path, skeleton: Path) -> None:
    new = skeleton / "project"
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")  # another line of the same file
    edited(new, "pipeline.py.j2", "Training, step by step.", "Training, one step after the other.")
    edited(project, "features.py", "never seen", "never met")  # only here
    edited(new, "contract.py.j2", "maximum=2000", "maximum=3000")  # only there
    (project / "Jenkinsfile").unlink()
    edited(new, "Jenkinsfile", "time: 15", "time: 25")
    (new / "docs").mkdir()
    (new / "docs" / "card.md.j2").write_text("Model {{ name }}\n")
    (new / ".gitlab-ci.yml.j2").unlink()
    (new / "CODEOWNERS.j2").unlink()
    (project / "CODEOWNERS").write_text("* @mine\n")
    (project / "own.py").write_text("x = 1\n")
    (project / ".gitignore").write_text("docs/\ncontract.py\n")  # what git leaves out is the template's all the same
    before = contents(project)

    expected = {
        ".gitignore": "yours",
        ".gitlab-ci.yml": "dropped",
        "CODEOWNERS": "kept",
        "Jenkinsfile": "deleted",
        "contract.py": "updated",
        "docs/card.md": "new",
        "features.py": "yours",
        "pipeline.py": "merged",
    }
    assert states(project, skeleton, check=True) == expected
    assert contents(project) == before
    assert states(project, skeleton) == expected

    after = contents(project)
    assert b"max_iter=99" in after["pipeline.py"]
    assert b"one step after the other" in after["pipeline.py"]
    assert b"maximum=3000" in after["contract.py"]
    assert after["docs/card.md"] == b"Model late\n"
    assert after["own.py"] == b"x = 1\n"
    assert ".gitlab-ci.yml" not in after
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {".gitlab-ci.yml", "contract.py", "docs/card.md", "pipeline.py", PRISTINE}

    assert update(project, skeleton=skeleton).settled
    assert contents(project) == after
    assert states(project, skeleton) == dict.fromkeys(("features.py", "pipeline.py", ".gitignore"), "yours") | {
        "Jenkinsfile": "deleted"
    }


def test_no_line_of_many_random_edits_is_lost(project: Path, skeleton: Path) -> None:
    draw = random.Random(0)
    texts = {f"many/{number}.txt": [f"line {line}" for line in range(draw.randrange(2, 30))] for number in range(60)}

    def written(folder: Path, lines: dict[str, list[str]]) -> None:
        for name, text in lines.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("\n".join(text) + "\n" * draw.randrange(2))

    def changed(lines: list[str], mark: str) -> list[str]:
        some = [f"{mark} {line}" if draw.random() < 0.03 else line for line in lines if draw.random() > 0.02]
        return some + [f"{mark} last"] * (draw.random() < 0.1)

    written(skeleton / "project", texts)
    update(project, skeleton=skeleton)
    written(skeleton / "project", {name: changed(lines, "theirs") for name, lines in texts.items()})
    own = {name: changed(lines, "mine") for name, lines in texts.items()}
    written(project, own)
    done = update(project, skeleton=skeleton)
    assert min(len(done.named(state)) for state in ("merged", "conflict", "updated")) > 3
    for name, lines in own.items():
        after = set((project / name).read_text().split("\n"))
        assert {line for line in lines if line.startswith("mine")} <= after
        if name not in done.named("conflict", "yours"):
            theirs = (skeleton / "project" / name).read_text().split("\n")
            assert {line for line in theirs if line.startswith("theirs")} <= after


def test_what_is_no_text_is_left_as_it_is(project: Path, skeleton: Path) -> None:
    (project / "README.md").write_text("# late\n", encoding="utf-16")
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "README.md.j2", "How to change", "How to alter")
    edited(skeleton / "project", "pipeline.py.j2", "Training, step by step.", "Training, one step after the other.")
    done = update(project, skeleton=skeleton)
    assert (done.named("conflict"), done.named("merged")) == (["README.md"], ["pipeline.py"])
    assert (project / "README.md").read_text(encoding="utf-16") == "# late\n"
    assert "max_iter=99" in (project / "pipeline.py").read_text()


def test_a_merge_that_would_lose_a_line_is_refused(
    project: Path, skeleton: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "pipeline.py.j2", "max_iter=60", "max_iter=80")
    monkeypatch.setattr(merging, "_update", lambda place: ["recopy", "--defaults", "--overwrite", *RECOPY, str(place)])
    before = contents(project)
    with pytest.raises(Unavailable, match=r"lines of pipeline\.py would be lost"):
        update(project, skeleton=skeleton)
    assert contents(project) == before


def test_a_conflict_is_marked_and_told_until_it_is_resolved(project: Path, skeleton: Path) -> None:
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "pipeline.py.j2", "max_iter=60", "max_iter=80")
    (project / "notes.md").write_text("mine\n")
    (skeleton / "project" / "notes.md").write_text("theirs\n")
    done = update(project, skeleton=skeleton)
    assert done.named("conflict") == ["notes.md", "pipeline.py"]
    assert "conflict  pipeline.py" in told(done)
    text = (project / "pipeline.py").read_text()
    assert text.index("max_iter=99") < text.index("=======") < text.index("max_iter=80") < text.index(">>>>>>> after")
    assert "<<<<<<<" in (project / "notes.md").read_text()
    assert update(project, skeleton=skeleton).named("conflict") == ["notes.md", "pipeline.py"]
    (project / "notes.md").write_text("theirs\n")
    (project / "pipeline.py").write_text("VALUE = 1\n")
    assert states(project, skeleton) == {"pipeline.py": "yours"}


def test_an_owner_who_was_replaced_in_the_answers_is_merged(project: Path) -> None:
    edited(project, ANSWERS, '"ada"', '"@bob"')
    assert update(project).named("updated") == ["CODEOWNERS", "CONTRIBUTING.md", "README.md", "loopline.yaml"]
    assert (project / "CODEOWNERS").read_text().endswith("\n* @bob\n")
    assert update(project).settled


def test_a_file_keeps_its_mode_and_a_link_stays_one(project: Path, skeleton: Path) -> None:
    (project / "ci" / "check.sh").chmod(0o755)
    (project / "README.md").rename(project / "read.md")
    (project / "README.md").symlink_to("read.md")
    edited(skeleton / "project", "ci/check.sh", "set -eu", "set -e -u")
    edited(skeleton / "project", "README.md.j2", "How to change", "How to alter")
    assert update(project, skeleton=skeleton).named("updated") == ["README.md", "ci/check.sh"]
    assert (project / "ci" / "check.sh").stat().st_mode & 0o777 == 0o755
    assert (project / "README.md").is_symlink()
    assert "How to alter" in (project / "read.md").read_text()


def test_what_git_does_not_have_yet_is_not_mixed_with_the_templates(project: Path, skeleton: Path) -> None:
    def git(*words: str) -> None:
        name = ("-c", "user.name=ada", "-c", "user.email=ada@localhost")
        subprocess.run(["git", *name, *words], cwd=project, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    edited(skeleton / "project", "contract.py.j2", "maximum=2000", "maximum=3000")
    edited(project, "contract.py", "What a batch", "How a batch")
    before = contents(project)
    with pytest.raises(Conflict, match=r"contract\.py would be updated and holds changes"):
        update(project, skeleton=skeleton)
    assert contents(project) == before
    git("commit", "-am", "second")
    assert update(project, skeleton=skeleton).named("merged") == ["contract.py"]


def test_an_interrupted_update_is_made_again(project: Path, skeleton: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "pipeline.py.j2", "Training, step by step.", "Training, one step after the other.")
    put = updating._put

    def broken(path: Path, content: bytes | None) -> None:
        if path.name == PRISTINE:
            raise OSError(28, "No space left on device")
        put(path, content)

    monkeypatch.setattr(updating, "_put", broken)
    with pytest.raises(Unavailable, match=r"\.loopline-template\.zip cannot be written \(No space left"):
        update(project, skeleton=skeleton)
    monkeypatch.undo()
    half = (project / "pipeline.py").read_bytes()
    assert update(project, skeleton=skeleton).named("merged", "yours") == ["pipeline.py"]
    assert (project / "pipeline.py").read_bytes() == half


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (ANSWERS, None, "There is no .loopline-answers.yaml"),
        (ANSWERS, b"- a", "does not hold a name"),
        (ANSWERS, b"name: [", "does not hold a name"),
        (ANSWERS, b"\xff", "does not hold a name"),
        (ANSWERS, b"name: 3\nowner: x\n_loopline: '0.1'", "does not hold a name"),
        (ANSWERS, b"name: a b\nowner: x\n_loopline: '0.1'", "a b"),
        (ANSWERS, b"name: late\nowner: x\n_loopline: '999.1'", "is that of Loopline 999.1"),
        (PRISTINE, None, "There is no .loopline-template.zip"),
        (PRISTINE, b"PK\x03\x04 no zip", "is not what `loopline init` wrote"),
    ],
)
def test_a_record_that_cannot_be_is_named(name: str, content: bytes | None, words: str, project: Path) -> None:
    (project / name).unlink()
    if content is not None:
        (project / name).write_bytes(content)
    with pytest.raises(LooplineError) as refused:
        update(project)
    assert words in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\b", ".git/hooks/pre-commit"])
def test_an_archive_cannot_name_files_elsewhere(name: str, project: Path) -> None:
    with zipfile.ZipFile(project / PRISTINE, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(Invalid, match="is not what"):
        update(project)


def test_what_is_missing_is_named(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="Only a project made by"):
        update(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="needs git"):
        update(project)
    monkeypatch.setattr(updating, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"needs copier.*pip install 'loopline\[projects\]'"):
        update(project)


def test_a_merge_that_fails_changes_nothing(project: Path, skeleton: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "pipeline.py.j2", "max_iter=60", "max_iter=80")
    monkeypatch.setattr(merging, "_update", lambda _: ["update", "--no-such-option"])
    before = contents(project)
    with pytest.raises(Unavailable, match="could not be merged"):
        update(project, skeleton=skeleton)
    assert contents(project) == before


def test_the_command_says_what_it_did(
    project: Path, skeleton: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(["project", "update", str(project)]) == 0
    assert "nothing to update (template" in capsys.readouterr().out
    edited(project, "pipeline.py", "max_iter=60", "max_iter=99")
    edited(skeleton / "project", "pipeline.py.j2", "max_iter=60", "max_iter=80")
    monkeypatch.setattr(updating.update, "__defaults__", (False, skeleton))
    monkeypatch.chdir(project / "tests")
    assert command(["project", "update", "--check", "--json"]) == 0
    assert {"file": "pipeline.py", "state": "conflict"} in json.loads(capsys.readouterr().out)["files"]
    assert command(["project", "update"]) == 1
    said = capsys.readouterr()
    assert "updated (template" in said.out
    assert "changed the same lines of pipeline.py" in said.err
    assert command(["project", "update", "/nowhere"]) == 3
    assert "There is no folder /nowhere" in capsys.readouterr().err
