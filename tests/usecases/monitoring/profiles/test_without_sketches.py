"""Profiles where the package for sketches is not installed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import distinct, sketching, texts

pytestmark = pytest.mark.unit
SIGNATURE = Signature(inputs=(Column("id", "integer"), Column("who", "string")), output=Column("late", "float"))


def table(first: int, last: int) -> pa.Table:
    return pa.table({"id": range(first, last), "who": [f"person {n} of many others" for n in range(first, last)]})


def test_different_texts_are_counted_by_their_smallest_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "possible", lambda: False)
    one = sketching.profile(table(0, 9000), SIGNATURE)
    both = sketching.merged(one, sketching.profile(table(6000, 15000), SIGNATURE, like=one))
    found = both.column("who")
    assert isinstance(found, texts.CategoricalColumn)
    assert found.distinct == b""
    assert texts.distinct_values(found) == pytest.approx(15000, rel=0.35)


def test_a_profile_with_sketches_is_read_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sketching.profile(table(0, 9000), SIGNATURE)
    monkeypatch.setattr(distinct, "possible", lambda: False)
    again = sketching.merged(one, one)
    assert again.rows == 18000
    found = again.column("who")
    assert isinstance(found, texts.CategoricalColumn)
    assert texts.distinct_values(found) == pytest.approx(9000, rel=0.35)
