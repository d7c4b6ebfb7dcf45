"""Names and versions of installed distributions, read off the names of their folders: no file is opened."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

_known: tuple[tuple[tuple[str, int], ...], dict[str, str]] | None = None


def installed() -> Mapping[str, str]:
    """Version by normalised name (lower case, dashes) of everything on the import path; the first one found counts.

    Read again only when a folder of the path changed.
    """
    global _known
    stamp = tuple((place, os.stat(place).st_mtime_ns) for place in sys.path if place and os.path.isdir(place))
    if _known is None or _known[0] != stamp:
        found: dict[str, str] = {}
        for place, _ in stamp:
            for entry in os.listdir(place):
                if entry.endswith(".dist-info"):
                    name, _, version = entry.removesuffix(".dist-info").partition("-")
                    found.setdefault(normalised(name), version)
        _known = (stamp, found)
    return _known[1]


def normalised(name: str) -> str:
    """`Scikit_Learn` and `scikit.learn` are `scikit-learn`."""
    return re.sub(r"[-_.]+", "-", name).lower()
