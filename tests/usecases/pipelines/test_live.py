"""What a running step prints, told bit by bit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.kit.masking import masked
from loopline.usecases.pipelines.live import fresh, whole_secrets

pytestmark = pytest.mark.unit
SECRET = "hunter2hunter3"


@given(pieces=st.lists(st.sampled_from(["a\n", "hunter2", "hunter3", "hun", SECRET, "ter2hunter3\n"]), max_size=12))
def test_no_part_of_a_secret_is_told_before_it_is_known_to_be_none(pieces: list[str]) -> None:
    told, before, printed = b"", b"", ""
    for letter in "".join(pieces):
        printed += letter
        heard = whole_secrets(masked(printed, {"KEY": SECRET}).encode(), [SECRET])
        told += fresh(before, heard)
        before = heard
    told += fresh(before, masked(printed, {"KEY": SECRET}).encode())
    assert told.decode() == masked(printed, {"KEY": SECRET})


def test_a_log_of_which_only_the_end_is_kept_goes_on_being_told() -> None:
    lines = [f"line {number}\n".encode() for number in range(5000)]
    told, before = b"", b""
    for count in range(10, 5001, 10):
        now = b"".join(lines[:count])[-20_000:]
        told += fresh(before, now)
        before = now
    assert told == b"".join(lines)
