"""Tracking and the registry are each one object made of groups of verbs: no group may take another's name."""

from __future__ import annotations

from collections import Counter

import pytest

from loopline.usecases.registry.service import Registry
from loopline.usecases.tracking.service import Tracking

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("whole", [Tracking, Registry])
def test_no_group_hides_what_another_one_has(whole: type) -> None:
    names = Counter(
        name
        for group in whole.__mro__[:-1]
        for name in vars(group)
        if not name.startswith("__") and name != "_abc_impl"
    )
    assert [name for name, count in names.items() if count > 1] == []
