"""What the steps do: next to nothing, so that what is left is the tool. The same functions for every peer."""

from __future__ import annotations

import os
import time

RAN = [0]  # bodies that ran in this process


def link(before: int, number: int) -> int:
    """A step that adds."""
    RAN[0] += 1
    return before + number


def knot(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int, j: int, number: int) -> int:
    """A step that needs ten others."""
    RAN[0] += 1
    return (a + b + c + d + e + f + g + h + i + j + number) % 1_000_000_007


def slow(before: int, number: int) -> int:
    """A step that takes a while and notes when it began and ended."""
    note("begin", number)
    time.sleep(0.25)
    note("end", number)
    return before + number


def note(what: str, name: object) -> None:
    """Append to the file that the benchmark reads."""
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {name} {time.time()}\n")
