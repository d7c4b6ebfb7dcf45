"""A lock says what it was made from, and a stale one is recognised without a network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from loopline import __version__
from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.kit.installed import installed
from loopline.usecases.releases import locking, resolving
from loopline.usecases.releases.locking import Declared, Pin

HASH = "sha256:" + "a" * 64
PINS = (Pin("pandas", "3.1.1", (HASH,)), Pin("numpy", "2.4.6", (HASH, "sha256:" + "b" * 64)))


def declared(*dependencies: str, tests: tuple[str, ...] = ()) -> Declared:
    return Declared(tuple(sorted(dependencies)), tests)


@pytest.mark.unit
def test_it_is_read_as_it_was_written():
    asked = declared("pandas>=2.2")
    text = locking.written(asked, PINS)
    lock = locking.checked(text, asked)
    assert lock.versions == {"numpy": "2.4.6", "pandas": "3.1.1"}
    assert lock.pins == tuple(sorted(PINS))
    assert (lock.python, lock.loopline) == (locking.PYTHON, __version__)
    assert text == locking.written(asked, reversed(PINS))
    assert b"://" not in text


@pytest.mark.unit
@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (declared("pandas>=4"), "does not satisfy pandas>=4"),
        (declared("pandas>=2.2", "polars>=1"), "does not satisfy polars>=1"),
        (declared("pandas>=2.1"), "were changed since"),
        (declared("pandas>=2.2", tests=("hypothesis>=6",)), "does not satisfy hypothesis>=6"),
        (declared("pandas>=2.2", "loopline>=99"), "does not satisfy loopline>=99"),
    ],
)
def test_a_stale_one_is_refused_saying_why(now, reason):
    text = locking.written(declared("pandas>=2.2"), PINS)
    with pytest.raises(CheckFailed, match=re.escape(reason)) as refused:
        locking.checked(text, now)
    assert refused.value.hint == "Run `loopline lock`."


@pytest.mark.unit
@pytest.mark.parametrize("line", ["python: 3.9", "loopline: 0.0.1"])
def test_one_made_for_another_python_or_loopline_is_stale(line):
    asked = declared("pandas>=2.2")
    name = line.partition(":")[0]
    text = re.sub(rf"# {name}: .*", f"# {line}", locking.written(asked, PINS).decode()).encode()
    with pytest.raises(CheckFailed, match=line.partition(": ")[2]):
        locking.checked(text, asked)


@pytest.mark.unit
def test_a_requirement_of_another_platform_is_not_missed():
    asked = declared("pandas>=2.2", "pywin32>=300; sys_platform == 'nowhere'")
    assert locking.checked(locking.written(asked, PINS), asked).versions["pandas"] == "3.1.1"


@pytest.mark.unit
@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "pandas @ file:///tmp/pandas.whl",
        "-f wheels",
        "pandas==3.1.1",
        "pandas",
    ],
)
def test_addresses_and_pins_without_a_hash_are_refused(line):
    with pytest.raises(Invalid):
        locking.parsed((locking.written(declared("pandas"), PINS).decode() + line + "\n").encode())


@pytest.mark.unit
def test_declarations_come_from_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["b>=1", "a"]\n[dependency-groups]\n'
        'test = ["hypothesis", {include-group = "more"}]\nmore = ["faker"]\ndocs = ["sphinx"]\n'
    )
    found = locking.declared_in(tmp_path)
    assert found == Declared(("a", "b>=1"), ("hypothesis", "faker"))


@pytest.mark.unit
@pytest.mark.parametrize(
    "text",
    [
        "[project",
        '[project]\ndependencies = "pandas"',
        '[project]\ndependencies = ["pandas >>= 2"]',
        '[project]\ndependencies = ["pandas @ https://example.org/p.whl"]',
        '[dependency-groups]\ntest = [{include-group = "test"}]',
    ],
)
def test_declarations_that_cannot_be_locked_are_refused(text):
    with pytest.raises(Invalid):
        locking.declared_by(text.encode())


@pytest.mark.unit
def test_a_folder_without_declarations_is_told_so(tmp_path):
    with pytest.raises(NotFound, match=r"pyproject\.toml"):
        locking.declared_in(tmp_path)


@pytest.mark.unit
def test_loopline_is_replaced_by_what_it_needs():
    found = {locking.requirement(text).name for text in resolving.without_loopline(["loopline[pandas]", "polars>=1"])}
    assert {"polars", "pandas", "msgspec", "pyarrow"} <= found
    assert not {"loopline", "scikit-learn", "pytest"} & found
    with pytest.raises(Invalid, match="loopline==99"):
        list(resolving.without_loopline(["loopline==99"]))


@pytest.mark.integration
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_both_resolvers_keep_the_versions_in_use(tool, monkeypatch):
    """With the small closure of iniconfig: each answers the installed version with its hashes."""
    monkeypatch.setattr(resolving, "TOOLS", ())
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(()))
    if tool == "pip":
        monkeypatch.setattr(resolving, "found_uv", lambda: "")
    else:
        assert Path(resolving.found_uv()).exists(), sys.executable
    pins = resolving.resolved(declared("iniconfig>=2"), None)
    assert [(pin.name, pin.version) for pin in pins] == [("iniconfig", installed()["iniconfig"])]
    assert all(one.startswith("sha256:") for one in pins[0].hashes)
    (older,) = resolving.resolved(declared("iniconfig<2"), None)
    assert older.version.startswith("1.")


@pytest.mark.integration
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_what_has_no_solution_is_told_in_the_resolvers_words(tool, monkeypatch):
    monkeypatch.setattr(resolving, "TOOLS", ())
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(()))
    if tool == "pip":
        monkeypatch.setattr(resolving, "found_uv", lambda: "")
    with pytest.raises(Invalid, match="iniconfig"):
        resolving.resolved(declared("iniconfig<0.0.1"), None)


@pytest.mark.unit
@pytest.mark.parametrize(
    "by_hand",
    [
        lambda text: text.replace("sha256:a", "sha256:b", 1),
        lambda text: re.sub(r"==([\d.]+)", r"==\g<1>.1", text, count=1),
        lambda text: text.rpartition("pandas==")[0],
    ],
)
def test_one_that_was_edited_by_hand_is_refused(by_hand):
    asked = declared()
    pins = [Pin("attrs", "26.1", (f"sha256:{'a' * 64}",)), *PINS]
    with pytest.raises(CheckFailed, match="what it pins was changed since it was made"):
        locking.checked(by_hand(locking.written(asked, pins).decode()).encode(), asked)


@pytest.mark.unit
@pytest.mark.parametrize(("line", "lacking"), [("pins", "what it pins"), ("made from", "what it was made from")])
def test_one_that_does_not_say_what_it_is_is_stale(line, lacking):
    asked = declared("pandas>=2.2")
    text = re.sub(rf"# {line}: .*\n", "", locking.written(asked, PINS).decode())
    with pytest.raises(CheckFailed, match=f"stale: it does not say {lacking}"):
        locking.checked(text.encode(), asked)


@pytest.mark.unit
def test_other_ends_of_lines_change_nothing_that_is_pinned():
    asked = declared("pandas>=2.2")
    text = locking.written(asked, PINS)
    assert locking.checked(text.replace(b"\n", b"\r\n"), asked).versions == locking.checked(text, asked).versions
