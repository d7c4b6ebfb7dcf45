"""Profiles: what is kept of a table's columns. Two of them add up when their cells agree.

A numeric column is counted in a fixed table of 65,536 cells: the upper 16 bits of float32 of (x - centre) / scale, rounded
to nearest. `centre` and `scale` (a power of two) are fixed once per column, in its first profile.
"""

from __future__ import annotations

import zlib

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model.limits import Limits

FORMAT = 2
MOST_VALUES = 1000
COLUMN_BYTES = 16_384


class NumericColumn(msgspec.Struct, frozen=True, kw_only=True, tag="numeric"):
    """Counts of a float, integer or timestamp (milliseconds) column.

    `missing` are null or NaN, `infinite` is apart; `low` and `high` are the extremes of the finite values. `outside`
    counts rows that the contract does not allow (infinite, empty where nothing may be empty, beyond `limits`, which go over to
    profiles made like this one); `cells` is what `cells.packed` makes of the counts. `total` is the sum of the finite values, each rounded to scale / 2^20: it
    follows from `units`, the exact sum of (x - centre) / scale in such steps, written as digits (empty before format 2).
    `distinct` is a sketch of the different values of an integer column (see `distinct`), empty for others.
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
    units: str = ""
    outside: int = 0
    distinct: bytes = b""
    limits: Limits | None = None

    @property
    def finite(self) -> int:
        """Rows that hold a finite number."""
        return self.rows - self.missing - self.infinite

    @property
    def mean(self) -> float | None:
        """The mean of the finite values."""
        return self.total / self.finite if self.finite else None


class CategoricalColumn(msgspec.Struct, frozen=True, kw_only=True, tag="categorical"):
    """Counts of a string or boolean column.

    Beyond MOST_VALUES distinct values, or what fits into COLUMN_BYTES, the rarest are folded into `others` rows of at most
    `folded` values. Where nothing was folded all is exact. Otherwise the count of a value (0 for one not listed) is at
    most `missed` short, while rows, missing and others stay exact; `distinct` (a sketch) and `sampled` (the counts of some
    values chosen by their hash) then say how many values there are and how many of them were seen once.
    """

    name: str
    rows: int
    missing: int
    values: dict[str, int]
    others: int = 0
    folded: int = 0
    missed: int = 0
    outside: int = 0
    distinct: bytes = b""
    sampled: bytes = b""
    limits: Limits | None = None


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


def encode_small(profile: Profile) -> bytes:
    """The profile as zlib over MessagePack, the form for the many that are kept of live traffic."""
    return zlib.compress(msgspec.msgpack.encode(profile), 6)


def decode(content: bytes) -> Profile:
    """The profile stored in `content`, by `encode` or `encode_small`, of this format or an earlier one; Invalid when it is
    none."""
    try:
        if content[:1] == b"{":
            found = msgspec.json.decode(content, type=Profile)
        else:
            found = msgspec.msgpack.decode(zlib.decompress(content), type=Profile)
    except (msgspec.DecodeError, zlib.error) as error:
        raise Invalid(f"The training profile cannot be read: {error}.", "Register the version again.") from None
    if found.format > FORMAT:
        raise Invalid(
            f"The profile has format {found.format}, and this version of Loopline reads up to {FORMAT}.",
            "Read it with the version that wrote it, or a newer one.",
        )
    return found
