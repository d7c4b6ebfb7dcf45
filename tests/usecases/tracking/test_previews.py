"""Whatever a file holds, its preview is small and raises nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.usecases.tracking import previews
from loopline.usecases.tracking.model import Artifact

pytestmark = pytest.mark.unit
KINDS = (
    "",
    "text/csv",
    "application/json",
    previews.TABLE,
    previews.CONFUSION,
    "application/vnd.plotly.v1+json",
    "text/html",
)
NAMES = ("a", "a.csv", "a.tsv", "a.json", "a.parquet", "a.pkl")


def look(folder: Path, name: str, content: bytes, media_type: str = "text/plain") -> previews.Preview:
    place = folder / "bytes"
    place.write_bytes(content)
    file = Artifact(name=name, digest="0" * 64, size=len(content), media_type=media_type, created_at="")
    return previews.preview(file, place)


@given(st.sampled_from(NAMES), st.sampled_from(KINDS), st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_under_any_name_are_answered(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    found = look(tmp_path, name, content, kind)
    assert len(found.text) <= previews.MOST_TEXT
    assert len(found.rows) <= previews.MOST_ROWS


@pytest.mark.parametrize(
    "given_json",
    [
        {"columns": [], "rows": []},
        {"columns": [1, None], "rows": [[{"deep": []}, 10**30]]},
        {"columns": "abc", "rows": "xyz"},
        {"rows": [[1]]},
        {"labels": ["a"], "counts": [[1, 2], [3]]},
        {"labels": ["a", "b"], "counts": [["x", "y"], [1, 2]]},
        [1, 2],
        "text",
    ],
)
@pytest.mark.parametrize("kind", [previews.TABLE, previews.CONFUSION])
def test_json_of_another_shape_is_answered(tmp_path: Path, given_json: object, kind: str) -> None:
    look(tmp_path, "a.json", json.dumps(given_json).encode(), kind)


def test_a_wide_and_long_table_is_cut(tmp_path: Path) -> None:
    content = "\n".join(",".join(str(column) for column in range(80)) for _ in range(500)).encode()
    found = look(tmp_path, "a.csv", content)
    assert (found.kind, len(found.columns), len(found.rows), found.cut) == (
        "table",
        previews.MOST_COLUMNS,
        previews.MOST_ROWS,
        True,
    )


def test_a_text_that_is_cut_within_a_character_is_a_text(tmp_path: Path) -> None:
    content = ("ä" * previews.MOST_TEXT).encode()[1:]
    assert look(tmp_path, "a.txt", b"x" + content[1:]).kind in ("text", "nothing")
    found = look(tmp_path, "a.txt", b"x" + ("ä" * previews.MOST_TEXT).encode())
    assert (found.kind, found.cut) == ("text", True)


def test_deeply_nested_json_is_answered(tmp_path: Path) -> None:
    assert look(tmp_path, "a.json", b"[" * 100_000, "application/json").note != ""


def test_a_drawing_names_its_picture(tmp_path: Path) -> None:
    assert previews.picture_of("figures/roc.plotly.json", frozenset({"figures/roc.svg"})) == "figures/roc.svg"
    assert previews.picture_of("roc.vegalite.json", frozenset({"other.png"})) == ""
