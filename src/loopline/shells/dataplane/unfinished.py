"""Bake periods outlive the data plane: what it would forget is in a small file, from which the next one goes on.

Only what was counted of the revision *before* is kept, against which the new one is judged; of the new one is counted
anew. The evidence needed is the same, so going on makes a wrong verdict no likelier than one more bake period would.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from loopline.kit.durable import write_file
from loopline.usecases.serving.baking import Tally

KEPT = Path("run") / "bakes.json"


class Unfinished(msgspec.Struct, frozen=True):
    """A bake period: of `revision`, which took the place of `old`, until a moment (Unix seconds)."""

    endpoint: str
    revision: int
    old: int
    until: float
    before: Tally


def keep(home: Path, found: Sequence[Unfinished]) -> None:
    """Write them down; on a disk that takes nothing they last as long as this process."""
    try:
        write_file(home / KEPT, msgspec.json.encode(found), 0o600)
    except OSError:
        return


def unfinished(home: Path, now: float) -> list[Unfinished]:
    """Those that are not over at `now` (Unix seconds)."""
    try:
        found = msgspec.json.decode((home / KEPT).read_bytes(), type=list[Unfinished])
    except (OSError, msgspec.DecodeError):
        return []
    return [each for each in found if each.until > now]
