"""Secrets taken out of text that people will read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

MASK = "***"
SHORTEST_LINE = 6


def masked(text: str, variables: Mapping[str, str]) -> str:
    """`text` with every value of `variables` replaced by ***: as it is, as JSON and as URLs write it, and, of a value
    of several lines, each line of some length. Text that comes in pieces must be put together first."""
    found = {form for value in variables.values() for form in _forms(value) if form}
    if not found:
        return text
    longest_first = sorted(found, key=lambda form: (-len(form), form))
    return re.sub("|".join(map(re.escape, longest_first)), MASK, text)


def _forms(value: str) -> Iterator[str]:
    for part in (value, value.strip()):
        yield part
        yield json.dumps(part)[1:-1]
        yield quote(part, safe="")
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)
