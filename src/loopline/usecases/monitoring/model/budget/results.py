"""What budgets and backtests answer. No numpy here."""

from __future__ import annotations

import msgspec

from loopline.usecases.monitoring.model.alerts import Precision

QUARTER_DAYS = 91.0


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One way to keep the budget: after how many windows in a row, beyond which limits; the false alarms a quarter that
    are expected, and after how many windows the stated drop is found on average."""

    consecutive: int
    limits: dict[str, float]
    expected: float
    delay: float


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that an alert budget led to, and why.

    `limits` of the metrics for which none is written, or {} where history is too short (`note` says so). `until` is the
    newest window that was used, `windows` how many were, `left_out` how many lay in alerts that are open or were
    judged real. `expected` false alarms a quarter are those of all causes, `by_cause` of each; `drop` is the drop by
    whose delay the options were compared, in each metric's units; `level` and `spread` are those of history.
    """

    endpoint: str
    per_quarter: float
    limits: dict[str, float] = {}
    consecutive: int = 1
    until: str = ""
    windows: int = 0
    left_out: int = 0
    expected: float | None = None
    by_cause: dict[str, float] = {}
    drop: dict[str, float] = {}
    delay: float | None = None
    level: dict[str, float] = {}
    spread: dict[str, float] = {}
    options: tuple[Option, ...] = ()
    precision: Precision | None = None
    law: str = ""
    note: str = ""
    basis: str = ""


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that would have opened: seen at `at` (event clock: when its window had ended, or was mature). `because`
    names the change that it tells of; "" is a false alarm."""

    cause: str
    first_window: str
    window: str
    last_window: str
    at: str
    version: int | None
    value: float | None
    limit: float | None
    message: str
    because: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was planted, an alert that people judged real, or a release, and how soon an alert told of it.

    `delay_windows` counts from the window that holds the change (0: in that window), `delay_days` until the alert would have been seen; both are None where
    nothing fired. A release need not be told of.
    """

    kind: str
    what: str
    at: str
    alert: str = ""
    cause: str = ""
    window: str = ""
    delay_windows: int | None = None
    delay_days: float | None = None


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """What rules would have said over a stretch of history.

    `fired` in order, `false_alarms` of them for nothing, `false_per_quarter` with a 90 % interval for a steady rate
    (Garwood 1936). `changes` with their delays; `missed` counts planted and real ones that nothing told of. `opened` is how
    many alerts were really opened in that stretch. `rules` are those that were changed for the question.
    """

    endpoint: str
    since: str
    until: str
    windows: int
    quarters: float
    fired: tuple[Fired, ...]
    false_alarms: int
    false_per_quarter: float
    false_low: float
    false_high: float
    changes: tuple[Change, ...]
    missed: int
    opened: int
    precision: Precision | None = None
    rules: dict[str, object] = {}
    limits: dict[str, float] = {}
    budget: float | None = None
    notes: tuple[str, ...] = ()
