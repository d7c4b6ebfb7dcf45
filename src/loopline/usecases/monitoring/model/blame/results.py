"""What `loopline blame` answers. No numpy here: pages and messages read it."""

from __future__ import annotations

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of event time that is compared: its rows (with truth, where the metric needs it) and the metric."""

    start: str
    end: str
    rows: int
    value: float | None


class BlamedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One segment and what it adds to the change: `part` in the metric's units = `within` (it became worse than the
    rest) + `mix` (its share of the rows changed); `share` of the whole change. `kind` is "version" where it is one.

    `value_then`, `value_now` are the segment's own metric.
    """

    kind: str
    segment: str
    part: float
    within: float
    mix: float
    share: float
    value_then: float | None
    value_now: float | None
    rows_then: float
    rows_now: float
    z: float | None = None
    moved: str = ""

    @property
    def by(self) -> str:
        """Whether it is rather `mix` or `within`."""
        return "mix" if abs(self.mix) > abs(self.within) else "within"


class BlamedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One input: how far it moved (total variation, beyond `usual`, what chance does), the model's `use` of it (share of
    all), and its `weight` among all inputs: moved beyond chance times use. `told` says how it moved."""

    name: str
    moved: float
    usual: float
    use: float
    weight: float
    told: str = ""


class BlamedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version that answered. `gap` is its metric less that of the others on the same days, with the error of
    that difference; None where it was never live beside another."""

    model: str
    version: int
    first_at: str
    rows_then: int
    rows_now: int
    value_then: float | None
    value_now: float | None
    gap: float | None = None
    gap_error: float | None = None


class BlamedData(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset snapshot that a version was trained on, and how it differs from the one behind the version before."""

    version: int
    dataset: str
    digest: str
    rows: int
    before: str = ""
    rows_before: int | None = None
    told: str = ""


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """What explains a change of `metric` from `then` to `now`: `parts` and `rest` sum to `change`.

    `columns` splits the same change by each declared slice alone, each sum again the whole. `use_from` says where the
    model's use of features was taken from. `sentences` say the most important for people, in order.
    """

    endpoint: str
    alert: str
    cause: str
    metric: str
    then: Span
    now: Span
    change: float | None
    parts: tuple[BlamedPart, ...] = ()
    rest: float | None = None
    columns: dict[str, tuple[BlamedPart, ...]] = {}
    features: tuple[BlamedFeature, ...] = ()
    use_from: str = ""
    versions: tuple[BlamedVersion, ...] = ()
    data: tuple[BlamedData, ...] = ()
    sentences: tuple[str, ...] = ()
    sampled: bool = False
