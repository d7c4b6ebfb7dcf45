"""Files of runs, logged models and other paths: names that work, names that lead out, folders, bytes that stay."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, LooplineError, NotFound, Refused
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route
from loopline.testing.factories import installation
from loopline.usecases.tracking import files
from loopline.usecases.tracking.file_rows import AT_ONCE, Entry
from loopline.usecases.tracking.file_verbs import VERBS
from loopline.usecases.tracking.model import Artifact
from loopline.usecases.tracking.wire_mlflow import artifacts as wire

pytestmark = pytest.mark.integration
RUN, MODEL = "a" * 32, "m-" + "b" * 32
ADA = Caller("ada", Role.EDITOR)
GOOD = [
    "a b.txt",
    "a+b&c=d;e.txt",
    'it\'s "so".txt',
    "100%.txt",
    "50%25.csv",
    "größe/日本.png",
    "deep/er/x",
    ".hidden",
    "a\\b",
    "#1?.txt",
]
BAD = [
    "",
    "/etc/passwd",
    "..",
    "a/../../b",
    "%2e%2e/x",
    "%252e%252e%252fx",
    "a\0b",
    "a%00b",
    "..\\x",
    "C:\\x",
    "\\x",
    "a\nb",
    "x" * 1001,
    "\ud800",
]


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        begun(opened)
        yield opened


def begun(opened: Loopline) -> None:
    """Whose files they are."""
    opened.tracking.start("files", actor="ada", run_id=RUN)


@pytest.fixture
def tracking(loopline: Loopline) -> Any:
    return loopline.tracking


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with installation(tmp_path_factory.mktemp("shared")) as opened:
        begun(opened)
        yield opened.tracking


def ask(tracking: Any, method: str, path: str, /, **fields: Any) -> Any:
    route: Route = next(one for one in wire.ROUTES if one.method == method and one.path == path)
    return route.call(tracking, fields, ADA)


def read(answer: Raw) -> bytes:
    return answer.content if isinstance(answer.content, bytes) else b"".join(answer.content)


def upload(folder: Path, content: bytes) -> Path:
    place = folder / os.urandom(4).hex()
    place.write_bytes(content)
    return place


PROXY = "/api/2.0/mlflow-artifacts/artifacts"
ONE = PROXY + "/{path:path}"


@pytest.mark.parametrize("name", GOOD)
def test_a_file_of_any_honest_name_comes_back(shared: Any, tmp_path: Path, name: str) -> None:
    path = f"7/{RUN}/artifacts/{name}"
    assert ask(shared, "PUT", ONE, path=path, body=upload(tmp_path, b"content")) == {}
    answer = ask(shared, "GET", ONE, path=path)
    assert (read(answer), answer.size) == (b"content", 7)
    assert answer.headers["Content-Disposition"].isascii()
    folder, _, last = name.rpartition("/")
    assert ask(shared, "GET", PROXY, path=f"7/{RUN}/artifacts/{folder}")["files"] == [
        {"path": last, "is_dir": False, "file_size": 7}
    ]
    assert ask(shared, "DELETE", ONE, path=path) == {}
    with pytest.raises(NotFound):
        ask(shared, "GET", ONE, path=path)


@pytest.mark.unit
@pytest.mark.parametrize("name", BAD)
def test_no_name_leads_out(name: str) -> None:
    with pytest.raises(Invalid):
        files.checked_path(name)


@pytest.mark.unit
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_every_name_is_kept_as_one_that_stays_or_refused(name: str) -> None:
    try:
        kept = files.checked_path(name)
    except Invalid:
        return
    assert files.checked_path(kept) == kept
    assert not {"", "..", "."} & set(kept.split("/"))


@pytest.mark.unit
def test_a_path_says_whose_file_it_is() -> None:
    assert files.place(f"7/{RUN}/artifacts/a/b") == (RUN, "a/b")
    assert files.place(f"team/x/{RUN}/artifacts") == (RUN, "")
    assert files.place(f"{RUN}/artifacts/{'c' * 32}/artifacts/x") == (RUN, f"{'c' * 32}/artifacts/x")
    assert files.place(f"7/models/{MODEL}/artifacts/MLmodel") == (MODEL, "MLmodel")
    assert files.place(f"registered/{'d' * 64}/artifacts/MLmodel") == ("version " + "d" * 64, "MLmodel")
    assert files.place("7/traces/tr-1/artifacts/x") == ("e/7", "traces/tr-1/artifacts/x")
    assert files.place(f"07/{RUN}") == ("e/7", RUN)
    for other in ("team/x/y", "MLmodel", "", "²/x", f"{'9' * 19}/x"):
        assert files.place(other) == ("/", other)


def test_a_folder_lists_what_lies_directly_in_it(tracking: Any) -> None:
    for name in ("a-", "a.txt", "a/1", "a/2/x", "b/c/d", "é/x", "z"):
        tracking.put_bytes(RUN, name, b"12")
    assert tracking.listed(RUN) == [
        Entry("a-", False, 2),
        Entry("a.txt", False, 2),
        Entry("a", True, None),
        Entry("b", True, None),
        Entry("z", False, 2),
        Entry("é", True, None),
    ]
    assert tracking.listed(RUN, "a/") == [Entry("1", False, 2), Entry("2", True, None)]
    assert tracking.listed(RUN, "a.txt") == tracking.listed(RUN, "nowhere") == tracking.listed("c" * 32) == []
    assert [one.name for one in tracking.files(RUN, "a")] == ["a/1", "a/2/x"]


def test_large_folders_are_stepped_over_and_paged(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tracking.start("r", actor="ada").id
    made = [files.artifact(f"big/{n:05}", "0" * 64, n, "", "") for n in range(AT_ONCE + 5)]
    made += [files.artifact(f"flat/{n:05}/x", "0" * 64, n, "", "") for n in range(AT_ONCE + 5)]
    from loopline.usecases.tracking import file_rows

    tracking._database.write(lambda tx: file_rows.put(tx, run, made))
    assert [one.name for one in tracking.listed(run)] == ["big", "flat"]
    assert len(tracking.listed(run, "big")) == len(tracking.listed(run, "flat")) == AT_ONCE + 5
    monkeypatch.setattr(wire, "PAGE", 400)
    seen, token = [], ""
    while True:
        answer = ask(tracking, "GET", "artifacts/list", run_id=run, path="big", page_token=token)
        assert answer["root_uri"] == f"mlflow-artifacts:/0/{run}/artifacts"
        seen += [one["path"] for one in answer["files"]]
        if not (token := answer.get("next_page_token", "")):
            break
    assert seen == [one.name for one in made[: AT_ONCE + 5]]
    with pytest.raises(Invalid):
        ask(tracking, "GET", "artifacts/list", run_id=run, path="flat", page_token=wire.read.token_of(400, run, "big"))


def test_deleting_takes_a_file_or_a_folder_and_writes_a_fact(loopline: Loopline) -> None:
    tracking = loopline.tracking
    for name in ("a/1", "a/2", "ab"):
        tracking.put_bytes(RUN, name, b"123")
    assert tracking.delete_files(RUN, "a", "ada") == 2
    assert tracking.delete_files(RUN, "a", "ada") == 0
    assert [one.name for one in tracking.files(RUN)] == ["ab"]
    [fact] = loopline.ledger.since(0, kind="artifact.deleted")
    assert (fact.subject, fact.actor, fact.body) == (RUN, "ada", {"name": "a", "files": 2, "bytes": 6})


def test_no_name_is_a_file_and_a_folder(tracking: Any) -> None:
    """Nobody could download both into one folder."""
    for name in ("a/b/c", "a/b-d", "a.txt", "a0"):
        tracking.put_bytes(RUN, name, b"123")
    for name in ("a", "a/b", "a/b/c/d", "a.txt/e/f"):
        with pytest.raises(Invalid, match="One is a folder of the other"):
            tracking.put_bytes(RUN, name, b"456")
    tracking.put_bytes(RUN, "a/b/c", b"again")
    assert [one.name for one in tracking.files(RUN)] == ["a.txt", "a/b-d", "a/b/c", "a0"]


def test_an_upload_is_moved_and_the_same_name_replaces(tracking: Any, tmp_path: Path) -> None:
    first, second = upload(tmp_path, b"one"), upload(tmp_path, b"two!")
    kept = [tracking.put_file(RUN, "model.bin", place) for place in (first, second)]
    assert [first.exists(), second.exists()] == [False, False]
    assert [one.size for one in kept] == [3, 4]
    assert [one.digest for one in tracking.files(RUN)] == [kept[1].digest]
    assert b"".join(tracking.pieces(tracking.file(RUN, "model.bin"))) == b"two!"


def test_content_leaves_as_an_attachment_in_a_sandbox(tracking: Any) -> None:
    run = tracking.start("r", actor="ada").id
    tracking.put_artifact(run, "page.html", b"<script>alert(1)</script>")
    for answer in (
        ask(tracking, "GET", "/get-artifact", run_uuid=run, path="page.html"),
        ask(tracking, "GET", "/api/v1/tracking/runs/{run_id}/files/{name:path}", run_id=run[:8], name="page.html"),
    ):
        assert answer.headers == {
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": "attachment; filename*=UTF-8''page.html",
        }


def test_the_files_of_a_version_never_change(tracking: Any, tmp_path: Path) -> None:
    digest, blob = "e" * 64, tracking.put_bytes(RUN, "x", b"kept").digest
    tracking._database.write(lambda tx: tracking.share_in(tx, digest, {"MLmodel": blob}))
    path = f"registered/{digest}/artifacts/MLmodel"
    assert read(ask(tracking, "GET", ONE, path=path)) == b"kept"
    with pytest.raises(Refused):
        ask(tracking, "PUT", ONE, path=path, body=upload(tmp_path, b"other"))
    with pytest.raises(Refused):
        ask(tracking, "DELETE", ONE, path=path)


def test_the_page_upload_takes_a_file_of_a_run_that_exists(tracking: Any, tmp_path: Path) -> None:
    route, run = "/ajax-api/2.0/mlflow/upload-artifact", tracking.start("r", actor="ada").id
    ask(tracking, "POST", route, run_uuid=run, path="a/b.txt", body=upload(tmp_path, b"x"))
    assert isinstance(tracking.file(run, "a/b.txt"), Artifact)
    for fields in (
        {"run_uuid": "c" * 32, "path": "x"},
        {"path": "x"},
        {"run_uuid": run},
        {"run_uuid": run, "path": "../x"},
    ):
        with pytest.raises((Invalid, NotFound)):
            ask(tracking, "POST", route, **fields, body=upload(tmp_path, b"x"))
    with pytest.raises(Invalid):
        ask(tracking, "POST", route, run_uuid=run, path="empty", body=upload(tmp_path, b""))


def test_a_folder_is_listed_natively_and_files_go_raw(loopline: Loopline, tmp_path: Path) -> None:
    tracking, native = loopline.tracking, "/api/v1/tracking/runs/{run_id}/files/{name:path}"
    run, model = tracking.start("r", actor="ada").id, tracking.create_model(0, "m", actor="ada").id
    verbs = {verb.name: verb for verb in VERBS}
    for owner in (run[:8], model):
        made = ask(
            tracking, "PUT", native, run_id=owner, name="a/b.txt", body=upload(tmp_path, b"x"), media_type="text/x\r\n"
        )
        assert (made["size"], made["media_type"]) == (1, "text/plain")
        listed = verbs["tracking.files"]
        assert listed.call(tracking, listed.request(owner, "a"), ADA) == [Entry("b.txt", False, 1)]
        assert read(ask(tracking, "GET", native, run_id=owner, name="a/b.txt")) == b"x"
        assert ask(tracking, "DELETE", native, run_id=owner, name="a") == {"files": 1}
        with pytest.raises(NotFound):
            ask(tracking, "DELETE", native, run_id=owner, name="a")
    found = verbs["tracking.models"]
    assert [one.id for one in found.call(tracking, found.request(filter="name = 'm'"), ADA)] == [model]
    shown = verbs["tracking.model"]
    assert shown.call(tracking, shown.request(model), ADA).name == "m"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("path", "run_id", "run_uuid", "name", "page_token", "media_type")


@given(st.sampled_from(wire.ROUTES), st.dictionaries(st.sampled_from(NAMES), anything, max_size=4))
def test_malformed_fields_are_refused_in_words(
    shared: Any, tmp_path_factory: pytest.TempPathFactory, route: Route, fields: dict[str, Any]
) -> None:
    if route.file:
        fields |= {"body": upload(tmp_path_factory.getbasetemp(), b"x")}
    with contextlib.suppress(LooplineError):
        route.call(shared, fields, ADA)


@pytest.mark.parametrize("path", [f"0/{'c' * 32}/artifacts/a.txt", f"0/models/m-{'c' * 32}/artifacts/a.txt"])
def test_a_file_for_nobody_is_refused_and_leaves_nothing(tracking: Any, tmp_path: Path, path: str) -> None:
    with pytest.raises(NotFound, match="not found"):
        ask(tracking, "PUT", ONE, path=path, body=upload(tmp_path, b"x"))
    assert tracking.files("c" * 32) == tracking.files(f"m-{'c' * 32}") == []
