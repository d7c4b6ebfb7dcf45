"""How a run's page groups metrics, lays out files, and finds what was printed."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.tracking.web import charts, pieces

pytestmark = pytest.mark.unit


def files(*names: str, media_type: str = "text/plain") -> list[dict[str, Any]]:
    return [{"name": name, "size": 10, "media_type": media_type} for name in names]


def test_metrics_are_grouped_by_what_stands_before_the_slash() -> None:
    found = charts.groups(["valid/loss", "train/loss", "auc", "system/cpu", "train/acc"])
    assert [(group["name"], [one["title"] for one in group["charts"]]) for group in found] == [
        ("", ["auc"]),
        ("train", ["train/acc", "train/loss"]),
        ("valid", ["valid/loss"]),
        ("system", ["system/cpu"]),
    ]


def test_metrics_of_one_last_name_come_together_but_not_those_of_the_machine() -> None:
    found = charts.groups(["valid/loss", "train/loss", "loss", "system/loss"], together="name")
    assert [(group["name"], [one["keys"] for one in group["charts"]]) for group in found] == [
        ("", [["loss", "train/loss", "valid/loss"]]),
        ("system", [["system/loss"]]),
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, ("step", "linear", 0.0, False)),
        ({"x": "time", "scale": "log", "smooth": "0.5", "wide": "1"}, ("time", "log", 0.5, True)),
        ({"x": "<b>", "scale": "1", "smooth": "nan"}, ("step", "linear", 0.0, False)),
        ({"smooth": "7"}, ("step", "linear", 0.999, False)),
        ({"smooth": "-1"}, ("step", "linear", 0.0, False)),
        ({"smooth": "much"}, ("step", "linear", 0.0, False)),
    ],
)
def test_what_the_address_says_wrongly_counts_as_not_said(asked: dict[str, str], told: tuple[Any, ...]) -> None:
    found = charts.choices(asked)
    assert tuple(found[name] for name in ("x", "scale", "smooth", "wide")) == told


def test_a_table_of_many_points_is_short_and_keeps_the_extremes() -> None:
    points = [(float(x), 5.0 if x == 123 else 1 / (1 + x)) for x in range(1000)]
    found = charts.few(points)
    assert len(found) <= charts.TABLE_ROWS
    assert {points[0], points[-1], (123.0, 5.0)} <= set(found)


def test_files_stand_as_folders_with_their_sizes() -> None:
    found = pieces.tree(files("a/b/one", "a/two", "three"))
    assert (found["count"], found["size"], [one["last"] for one in found["files"]]) == (3, 30, ["three"])
    inner = found["folders"]["a"]
    assert (inner["path"], inner["count"], inner["size"]) == ("a", 2, 20)
    assert inner["folders"]["b"]["files"][0]["name"] == "a/b/one"
    alone = pieces.tree(files("a/b/one", "a/two", "ab/three"), "a")
    assert (alone["path"], alone["count"], list(alone["folders"])) == ("a", 2, ["b"])


def test_of_very_many_files_some_are_listed_and_all_are_counted() -> None:
    found = pieces.tree(files(*(f"{place:05d}" for place in range(pieces.MOST_FILES + 7))))
    assert (len(found["files"]), found["hidden"], found["count"]) == (pieces.MOST_FILES, 7, pieces.MOST_FILES + 7)


def test_what_was_printed_is_found_by_its_name_and_of_portions_the_last() -> None:
    names = ("logs/stdout.txt", "logs/stdout-2.txt", "logs/stdout-10.txt", "logs/stderr.txt", "notes.txt", "train.log")
    assert pieces.logs(files(*names)) == ["logs/stdout-10.txt", "logs/stderr.txt", "train.log"]
    assert pieces.logs(files("output.log", "stdout", media_type="application/octet-stream")) == ["stdout"]


def test_lines_of_a_diff_are_told_apart() -> None:
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n same\n-old\n+new\n+more"
    assert [kind for kind, _ in pieces.lines(diff)] == [
        "file", "file", "file", "place", "same", "removed", "added", "added",
    ]  # fmt: skip
    assert pieces.changed(diff) == (2, 1)
