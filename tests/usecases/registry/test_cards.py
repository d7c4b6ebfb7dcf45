"""Cards, consumers and downloads on a real installation."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import pytest

from loopline.app.wiring import Loopline, audit, open_home
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.kit.markup import markdown
from loopline.usecases.registry import card_model
from loopline.usecases.registry.downloading import Stream, unpacked

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("x", "float", True),), Column("late", "float"))


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with open_home(tmp_path / "home") as opened:
        yield opened


def add(loopline: Loopline, name: str = "late", content: bytes = b"weights" * 3000) -> int:
    """A version with a file, made by a run."""
    run = loopline.tracking.start("training", actor="ada", params={"depth": "3"})
    manifest = {"format": "own", "signature": msgspec.to_builtins(SIGNATURE)}
    manifest |= {"files": {"deep/model.bin": loopline.blobs.put(content), "empty": loopline.blobs.put(b"")}}
    digest = loopline.blobs.put(msgspec.json.encode(manifest, order="sorted"))
    version = loopline.registry.register(name, digest, run.id, {"auc": 0.7}, None, None, None, {}, "ada")
    return int(version.version)


def test_each_save_is_a_revision_that_never_changes(loopline: Loopline) -> None:
    registry, number = loopline.registry, add(loopline)
    assert registry.card("late", number).revision == 0
    first = registry.write_card("late", number, {"limits": "No snow.\r\n", "owner": " Delays \n team "}, "ada", 0)
    assert registry.write_card("late", number, {"limits": "No snow."}, "bob").revision == first.revision  # the same
    registry.write_card("late", number, {"limits": "No snow, no ice.", "owner": ""}, "bob", 1)
    then, now = registry.card("late", number, 1), registry.card("late", number)
    assert (then.texts, then.live) == ({"limits": "No snow.", "owner": "Delays team"}, False)
    assert (now.texts, now.live, now.revision) == ({"limits": "No snow, no ice."}, True, 2)
    assert then.facts["run"]["params"] == {"depth": "3"}
    kinds = [fact.body["revision"] for fact in loopline.ledger.about("late/1", ["card.written"])]
    assert kinds == [1, 2]
    assert loopline.blobs.has(first.digest)
    audit(loopline)


def test_who_saves_over_an_older_revision_is_refused(loopline: Loopline) -> None:
    registry, number = loopline.registry, add(loopline)
    registry.write_card("late", number, {"limits": "a"}, "ada", 0)
    with pytest.raises(Conflict, match="changed meanwhile"):
        registry.write_card("late", number, {"limits": "b"}, "bob", 0)
    for texts in ({"secret": "x"}, {"limits": "x" * 20_001}, {"owner": "x" * 201}):
        with pytest.raises(Invalid):
            registry.write_card("late", number, texts, "ada")
    with pytest.raises(NotFound):
        registry.card("late", number, 7)
    with pytest.raises(NotFound):
        registry.card("late", 9)


def test_a_move_of_an_alias_pins_the_revision_that_stands(loopline: Loopline) -> None:
    registry, number = loopline.registry, add(loopline)
    registry.write_card("late", number, {"limits": "a"}, "ada")
    registry.point("late", "production", number, "ada", "by hand")
    registry.write_card("late", number, {"limits": "b"}, "ada")
    card = registry.card("late", number)
    assert [(pin.alias, pin.revision) for pin in card.pins] == [("production", 1)]
    assert registry.freeze_card("late", number, "ada").revision == 2 + (card.facts != registry.card("late", 1, 2).facts)


def test_a_card_leaves_as_markdown_with_front_matter(loopline: Loopline) -> None:
    import yaml

    registry, number = loopline.registry, add(loopline)
    registry.write_card("late", number, {"owner": 'The "A": team', "intended_use": "Tell *them*."}, "ada")
    text = registry.card_text("late", number)
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["model"], front["version"], front["owner"], front["metrics"]) == (
        "late",
        1,
        'The "A": team',
        {"auc": 0.7},
    )
    assert "## Intended use\n\nTell *them*.\n" in text
    assert "| depth | 3 |" in text


def test_a_version_is_taken_along_whole(loopline: Loopline, tmp_path: Path) -> None:
    number = add(loopline)
    found = loopline.registry.archive("late", number)
    content = b"".join(found.pieces)
    assert len(content) == found.size
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert [one.name for one in archive] == [
            f"late-1/{name}" for name in ("deep/model.bin", "empty", "model.json", "card.md")
        ]
    folder = unpacked(cast("IO[bytes]", Stream(iter([content[:700], content[700:]]))), tmp_path / "to")
    assert (folder / "deep" / "model.bin").read_bytes() == b"weights" * 3000
    with pytest.raises(Conflict):
        unpacked(io.BytesIO(content), tmp_path / "to")
    with pytest.raises(Invalid, match=r"is not what model\.json names"):
        unpacked(io.BytesIO(content.replace(b"weights", b"wEights", 1)), tmp_path / "other")


@pytest.mark.parametrize("name", ["../evil", "/evil", "alone"])
def test_a_hostile_tar_writes_nothing_outside(name: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(Invalid, match="no plain file"):
        unpacked(io.BytesIO(made.getvalue()), tmp_path / "to")
    assert not (tmp_path / "evil").exists()


def test_who_uses_a_model_is_told(loopline: Loopline) -> None:
    registry, first, second = loopline.registry, add(loopline), add(loopline)
    registry.point("late", "production", first, "ada", "by hand")
    for _ in range(2):
        registry.note_download("late", second, "bob", "mlflow")
    found = {(one.kind, one.name, one.version) for one in registry.consumers("late")}
    assert found == {("alias", "production", 1), ("download", "bob", 2)}
    assert [one.kind for one in registry.consumers("late", 2)] == ["download"]
    with pytest.raises(NotFound):
        registry.consumers("nothing")


def test_models_are_found_among_a_thousand(loopline: Loopline) -> None:
    def fill(tx: Any) -> None:
        from loopline.usecases.registry import store

        for place in range(1000):
            store.add_model(tx, f"model-{place:04}", "2026-01-01T00:00:00.000Z", "ada")
            store.put_tags(tx, f"model-{place:04}", {"team": "delays" if place % 2 else "fares"})

    loopline.database.write(fill)
    add(loopline, "late")
    loopline.registry.write_card("late", 1, {"owner": "Grace"}, "ada")
    found = loopline.registry.catalog(tag="team=delays", first=50, count=50)
    assert (found.count, found.all, found.models[0].model.name) == (500, 1001, "model-0101")
    assert [one.model.name for one in loopline.registry.catalog("grace").models] == ["late"]
    assert loopline.registry.catalog(sort="newest", order="desc", count=1).models[0].model.name == "late"


def test_a_card_goes_with_its_version_and_moves_with_its_name(loopline: Loopline) -> None:
    registry, number = loopline.registry, add(loopline)
    registry.write_card("late", number, {"limits": "a"}, "ada")
    registry.rename("late", "later", "ada")
    assert registry.card("later", number).texts == {"limits": "a"}
    loopline.retention.remove("version", "later/1", "ada")
    loopline.retention.restore("version", "later/1", "ada")
    assert registry.card("later", number).texts == {"limits": "a"}


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("<script>x</script>", "<script"),
        ("a <img src=x onerror=y> b", "<img"),
        ("[x](javascript:alert(1))", "href"),
        ("[x](JaVaScRiPt:alert(1))", "href"),
        ("[x](data:text/html,x)", "href"),
        ("[x](&#106;avascript:x)", "href"),
        ("![x](https://example.org/x.png)", "<img"),
        ("<a href=javascript:x>y</a>", "<a"),
        ("<javascript:alert(1)>", "href"),
        ("| a |\n| :-: |\n| b |", "style"),
        ("# One", "<h1"),
    ],
)
def test_nothing_of_a_text_runs(text: str, never: str) -> None:
    assert never not in markdown(text)


def test_values_show_as_they_are_in_markdown() -> None:
    assert card_model.plain("a|b <c> `d`\n*e*") == "a\\|b \\<c\\> \\`d\\` \\*e\\*"
