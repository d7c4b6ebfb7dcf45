"""How late truth comes is the same whether the parts of a bucket are added up before or not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from loopline.usecases.monitoring.books.windowing import waiting
from loopline.usecases.monitoring.model.quality.delays import label_delay
from loopline.usecases.monitoring.model.quality.merging import merged
from loopline.usecases.monitoring.model.tallies import Tally

pytestmark = pytest.mark.unit


def test_the_parts_of_a_bucket_tell_what_the_bucket_tells(watch: Any) -> None:
    watch.rules["late"] = {"window": "day", "estimates": {"off": True}}
    watch.traffic(1500, days=9, delay_hours=40, told=0.8)
    watch.monitoring.evaluate("late")
    book = watch.monitoring.book("late")
    whole: dict[int, Tally] = {}
    for _, one in book.buckets():
        lasts = {"last_event_ms": one.last_event_ms, "last_known_ms": one.last_known_ms}
        part = Tally(rows=one.rows, labelled=one.labelled, delays=one.delays, **lasts)
        whole[one.start] = part if one.start not in whole else merged(whole[one.start], part)
    assert max(Counter(one.start for _, one in book.buckets()).values()) == 2, "days of events lie in two of the log"
    for later in (0, 20, 300):
        watermark = max(tally.last_event_ms for tally in whole.values()) + later * watch.hour
        found = label_delay(waiting(book), watermark)
        assert found == label_delay(whole, watermark)
        assert found.expected_share is not None
