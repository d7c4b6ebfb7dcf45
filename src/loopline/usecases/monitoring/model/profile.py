"""Profiles: what is kept of a table's columns. Two of them add up when their cells agree.

A numeric column is counted in a fixed table of 65,536 cells: the upper 16 bits of float32 of (x - centre) / scale, rounded
to nearest. `centre` and `scale` (a power of two) are fixed once per column, in its first profile.
"""

from __future__ import annotations

import msgspec

from loopline.core.errors import Invalid

FORMAT = 1
MOST_VALUES = 1000


class NumericColumn(msgspec.Struct, frozen=True, kw_only=True, tag="numeric"):
    """Counts of a float, integer or timestamp (milliseconds) column.

    `missing` are null or NaN, `infinite` is apart; `low` and `high` are the extremes of the finite values. `cells` is
    zlib over the increasing cell numbers (as differences, uint16) followed by their counts (int64), little endian.
    """

    name: str
    rows: int
    missing: int
    infinite: int
    centre: float
    scale: float
    low: float | None
    high: float | None
    total: float
    cells: bytes


class CategoricalColumn(msgspec.Struct, frozen=True, kw_only=True, tag="categorical"):
    """Counts of a string or boolean column. Beyond MOST_VALUES distinct values the rarest are folded into `others`
    rows of `folded` values."""

    name: str
    rows: int
    missing: int
    values: dict[str, int]
    others: int = 0
    folded: int = 0


ProfiledColumn = NumericColumn | CategoricalColumn


class Usual(msgspec.Struct, frozen=True):
    """How far single periods (days, weeks) of the reference lie from all its other periods.

    `starts` are the periods' first moments, `rows` their sizes; `distances[column][statistic]` has one value a period.
    """

    starts: list[str]
    rows: list[int]
    distances: dict[str, dict[str, list[float]]]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A table's profile. `usual` maps "day" and "week" to the reference's own variation, where event times were known."""

    rows: int
    columns: tuple[ProfiledColumn, ...]
    usual: dict[str, Usual] = {}
    format: int = FORMAT

    def column(self, name: str) -> ProfiledColumn | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def encode(profile: Profile) -> bytes:
    """The profile as JSON (cells in base64), the form in which it is stored with a model version."""
    return msgspec.json.encode(profile)


def decode(content: bytes) -> Profile:
    """The profile stored in `content`; Invalid when it is none."""
    try:
        return msgspec.json.decode(content, type=Profile)
    except msgspec.DecodeError as error:
        raise Invalid(f"The training profile cannot be read: {error}.", "Register the version again.") from None
