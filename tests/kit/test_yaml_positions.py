"""YAML comes out as plain data with the place of everything, and nothing hostile gets through."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.kit.yaml_positions import Place, YamlError, read

pytestmark = pytest.mark.unit

TEXT = """\
project: late
on: yes
since: 2013-04-01
at: 12:30
number: 010
share: 1e-3
nothing: ~
gates:
  - name: first   # a comment
    limits: {auc: 0.7, flag: true}
  - &same second
  - *same
"""


def test_words_stay_words() -> None:
    assert read(TEXT).data == {
        "project": "late",
        "on": "yes",
        "since": "2013-04-01",
        "at": "12:30",
        "number": 10,
        "share": 0.001,
        "nothing": None,
        "gates": [{"name": "first", "limits": {"auc": 0.7, "flag": True}}, "second", "second"],
    }


def test_every_key_and_value_has_its_place() -> None:
    document = read(TEXT)
    assert document.place(("gates", 0, "limits", "auc")) == Place(10, 19)
    assert document.place(("gates", 0, "limits", "auc"), at_key=True) == Place(10, 14)
    assert document.place(("on",), at_key=True) == Place(2, 1)
    assert document.place(("gates", 0, "nowhere")) == Place(9, 5)
    assert document.place(("nowhere",)) == Place(1, 1)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\na: 2", Place(2, 1), "given twice"),
        ("a: [1, 2", Place(1, 9), "no YAML"),
        ("a: 1\n\tb: 2", Place(2, 1), "no YAML"),
        ("a: !!python/object:os.system x", Place(1, 4), "tag"),
        ("a: !custom 1", Place(1, 4), "tag"),
        ("? [1, 2]\n: 3", Place(1, 3), "plain word"),
        ("a: &x [*x]", Place(1, 7), "nested too deep"),
        ("a: 1\n---\nb: 2", Place(2, 1), "no YAML"),
        ("a: *unknown", Place(1, 4), "no YAML"),
        ("a: \x01", Place(1, 1), "not allowed"),
        ("[" * 5000, Place(1, 1), "nested"),
        ("a: 1\nb:\n  c: 1\n  c: 2", Place(4, 3), "given twice"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, place: Place, words: str) -> None:
    with pytest.raises(YamlError, match=words) as caught:
        read(text)
    assert caught.value.place.line == place.line
    if words not in ("no YAML", "nested too deep"):
        assert caught.value.place == place


def test_a_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="too large"):
        read("\n".join(lines))


def test_nothing_is_nothing() -> None:
    assert read("").data is None
    assert read("# only a comment").data is None


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(YamlError):
        read(text)
