"""Alibi Detect's TabularDrift (KS and chi-square, Bonferroni, p < 0.05). Empty numbers become the reference's median, as
it takes none; texts become codes."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from asked import answer, frames

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy  # noqa: E402
from alibi_detect.cd import TabularDrift  # noqa: E402


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    columns = [name for name in reference.columns if name != "event_time"]
    sides, categories = [], {}
    for place, name in enumerate(columns):
        if name in texts:
            both = [side[name].fillna("") for side in (reference, current)]
            known = {value: code for code, value in enumerate(sorted(set(both[0]) | set(both[1])))}
            categories[place] = len(known)
            sides.append([side.map(known).to_numpy() for side in both])
        else:
            sides.append([side[name].fillna(reference[name].median()).to_numpy() for side in (reference, current)])
    then, now = (numpy.column_stack([pair[side] for pair in sides]).astype(numpy.float32) for side in (0, 1))
    return bool(
        TabularDrift(then, p_val=0.05, categories_per_feature=categories or None).predict(now)["data"]["is_drift"]
    )


answer(frames, compare)
