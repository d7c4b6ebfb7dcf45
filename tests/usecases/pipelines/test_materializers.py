"""Types that only a project knows, written and read by a class of the project."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from loopline import materializer
from loopline.core.errors import Invalid
from loopline.usecases.pipelines import materializers
from loopline.usecases.pipelines.hashing import of_tree
from loopline.usecases.pipelines.identity import Territory
from loopline.usecases.pipelines.model import Code, Leaf
from loopline.usecases.pipelines.values.blobs import blobs_of
from loopline.usecases.pipelines.values.reading import Reader
from loopline.usecases.pipelines.values.writing import Writer

pytestmark = pytest.mark.integration


class Graph:
    def __init__(self, edges: list[str]) -> None:
        self.edges = edges


class Tree(Graph):
    pass


class Other:
    pass


class Silent:
    def save(self, value: Any, folder: Path) -> None:
        return None

    def load(self, folder: Path) -> Any:
        return None


class GraphFiles:
    def save(self, value: Graph, folder: Path) -> None:
        (folder / "edges.txt").write_text("\n".join(value.edges))
        (folder / "deep").mkdir()
        (folder / "deep" / "kind.txt").write_text(type(value).__name__)

    def load(self, folder: Path) -> Graph:
        cls = {"Graph": Graph, "Tree": Tree}[(folder / "deep" / "kind.txt").read_text()]
        return cls((folder / "edges.txt").read_text().splitlines())


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materializers, "_registered", {})
    materializer(Graph)(GraphFiles)


def test_a_registered_type_and_those_derived_from_it_come_back(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w", {})
    value = [Graph(["a b"]), {"tree": Tree(["c d"] * 2000)}]
    tree = writer.tree(value)
    found = Reader(tmp_path / "r", writer.files, {}).value(tree)
    assert (type(found[0]), found[0].edges) == (Graph, ["a b"])
    assert (type(found[1]["tree"]), found[1]["tree"].edges) == (Tree, ["c d"] * 2000)


def test_equal_values_have_equal_digests_and_name_their_blobs(tmp_path: Path) -> None:
    trees = [Writer(tmp_path / name, {}).tree(Graph(["a b"])) for name in ("one", "two")]
    assert of_tree(trees[0]) == of_tree(trees[1])
    assert isinstance(trees[0], Leaf)
    assert len(blobs_of(trees[0])) == 2


def test_a_type_may_be_named_as_text(tmp_path: Path) -> None:
    materializer(f"{Other.__module__}:Other")(Silent)
    with pytest.raises(Invalid, match="Silent wrote no file"):
        Writer(tmp_path, {}).tree(Other())


@pytest.mark.parametrize("kinds", [(), ("no colon",), (3,)])
def test_no_type_is_refused(kinds: tuple[Any, ...]) -> None:
    with pytest.raises(Invalid, match="type"):
        materializer(*kinds)


def test_a_class_without_both_methods_is_refused() -> None:
    with pytest.raises(Invalid, match="cannot be a materializer"):
        materializer(Other)(Graph)

    class Inner(Silent):
        pass

    with pytest.raises(Invalid, match="inside a function"):
        materializer(Other)(Inner)


def test_a_value_whose_materializer_is_gone_is_refused(tmp_path: Path) -> None:
    for place in ("nowhere:Gone", f"{__name__}:Silent", "pickle:Unpickler"):  # only what was registered is called
        content = json.dumps({"materializer": place, "files": {}}).encode()
        with pytest.raises(Invalid, match=place):
            Reader(tmp_path, {}, {}).value(Leaf("custom", "0" * 64, len(content), content))


def test_one_whose_module_was_forgotten_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert materializers.materializer_of(Tree) is GraphFiles
    monkeypatch.delitem(sys.modules, __name__)
    assert materializers.materializer_of(Tree) is None


def test_its_code_counts_for_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code("0" * 64, (), {}, "3.11")
    monkeypatch.setattr(materializers, "_registered", {})
    assert materializers.counted((code, {}), Territory(tmp_path)) == (code, {})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = []
    for mark in ("utf-8", "ascii", "utf-8"):
        (tmp_path / "mine_files.py").write_text(
            "from loopline import materializer\n\nMARK = '" + mark + "'\n\n\nclass Mine:\n    pass\n\n\n"
            "@materializer(Mine)\nclass MineFiles:\n    def save(self, value, folder):\n"
            "        (folder / 'a').write_text(MARK)\n\n    def load(self, folder):\n        return Mine()\n"
        )
        os.utime(tmp_path / "mine_files.py", (len(found) + 1, len(found) + 1))
        sys.modules.pop("mine_files", None)
        __import__("mine_files")
        found.append(materializers.counted((code, {}), Territory(tmp_path))[0])
    sys.modules.pop("mine_files")
    assert found[0] == found[2]
    assert found[0].digest != found[1].digest
    assert {piece.name for piece in found[0].pieces} >= {"MineFiles", "MARK"}


PIPELINE = """
from helpers import noted
from kinds import Word
from loopline import pipeline, step


@step
def say(text: str = "a") -> Word:
    noted("say")
    return Word(text)


@step
def length(word: Word) -> int:
    noted("length")
    return len(word.text)


@pipeline
def speaking() -> int:
    return length(say())
"""
KINDS = """
from loopline import materializer


class Word:
    def __init__(self, text):
        self.text = text


@materializer(Word)
class WordFiles:
    def save(self, value, folder):
        (folder / "word").write_text(value.text)

    def load(self, folder):
        return Word((folder / "word").read_text() + "")
"""


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_an_edit_of_a_projects_materializer_makes_its_steps_run_again(project: Any, executor: str) -> None:
    (project.folder / "pipeline.py").write_text(PIPELINE)
    (project.folder / "kinds.py").write_text(KINDS)
    assert project.run("speaking", executor).status == "finished"
    assert project.ran() == ["say", "length"]
    assert project.run("speaking", executor).count("hit") == 2
    project.edit("kinds.py", '+ ""', '+ "!"')
    found = project.run("speaking", executor)
    assert project.ran() == ["say", "length"]
    assert project.loopline.pipelines.why(found.run_id, "length").differences
