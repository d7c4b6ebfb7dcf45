"""Seven steps, each of which stands on something else; what an edit touches is known beforehand."""

from __future__ import annotations

import edgelib
import helpers
from helpers import FACTOR
from noting import note
from stepping import step

OFFSET = 3
NAMES = ("own_body", "same_helper", "other_helper", "same_constant", "other_constant", "library", "bystander")


def _scaled(value: int) -> int:
    return value * 2


@step
def own_body() -> int:
    # a comment
    note("own_body")
    return 1


@step
def same_helper() -> int:
    note("same_helper")
    return _scaled(21)


@step
def other_helper() -> int:
    note("other_helper")
    return helpers.shifted(40)


@step
def same_constant() -> int:
    note("same_constant")
    return 39 + OFFSET


@step
def other_constant() -> int:
    note("other_constant")
    return 21 * FACTOR


@step
def library() -> int:
    note("library")
    return edgelib.edge(41)


@step
def bystander() -> int:
    note("bystander")
    return 42
