"""References from the book and the training profile. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from loopline.core.errors import Invalid
from loopline.core.times import from_ms, to_ms
from loopline.usecases.monitoring.model.arrays import DAY_MS, HOUR_MS
from loopline.usecases.monitoring.model.cells import CELLS, cell_numbers, cell_values, packed, unpacked
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.drifts.judging import LABEL, Part
from loopline.usecases.monitoring.model.drifts.references import ENOUGH, FINER, LATENCY, Reference, usual_of
from loopline.usecases.monitoring.model.looking import Book, Describe
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, Profile, ProfiledColumn, Usual
from loopline.usecases.monitoring.model.tallies import of_one_kind
from loopline.usecases.monitoring.model.windows import Window

LEAST = 4
WEEK_MS = 7 * DAY_MS
Read = Callable[[int, int], "Profile | None"]


@dataclass
class Source:
    """An endpoint's rows as references see them. `windows` are those of the whole endpoint, oldest first, `version_of`
    says by start which version served each last. `rows` reads logged rows; only the classifier asks for them."""

    book: Book
    config: MonitorConfig
    model: str
    windows: Sequence[Window]
    version_of: Mapping[str, int | None]
    describe: Describe
    rows: Callable[[str, str, Sequence[str] | None], Any] | None = None
    read: dict[tuple[int, int, int | None], Profile | None] = field(default_factory=dict)
    made: dict[str, Reference | None] = field(default_factory=dict)
    samples: dict[tuple[str, int], Any] = field(default_factory=dict)
    counted: dict[tuple[int, int], Profile | None] = field(default_factory=dict)
    common: dict[tuple[Any, ...], Reference | None] = field(default_factory=dict)

    def profile(self, start_ms: int, end_ms: int, version: int | None = None) -> Profile | None:
        """The book's, each asked once."""
        key = (start_ms, end_ms, version)
        if key not in self.read:
            self.read[key] = self.book.profile(start_ms, end_ms, version)
        return self.read[key]

    def labels(self, start_ms: int, end_ms: int) -> Profile | None:
        """How often each label came: of truth that is 0 or 1, or text; each asked once."""
        if (start_ms, end_ms) not in self.counted:
            self.counted[start_ms, end_ms] = self._labels(start_ms, end_ms)
        return self.counted[start_ms, end_ms]

    def _labels(self, start_ms: int, end_ms: int) -> Profile | None:
        counts: dict[str, int] = {}
        for tally in of_one_kind(list(self.book.tallies(start_ms, end_ms).values())):
            if tally.binary is not None:
                positive = tally.binary.true_positive + tally.binary.false_negative
                negative = tally.binary.false_positive + tally.binary.true_negative
                found = {"0": negative, "1": positive}
            elif tally.classes is not None:
                found = {name: sum(row.values()) for name, row in tally.classes.table.items()}
            else:
                continue
            for name, count in found.items():
                counts[name] = counts.get(name, 0) + count
        rows = sum(counts.values())
        label = CategoricalColumn(name=LABEL, rows=rows, missing=0, values=counts)
        return Profile(rows=rows, columns=(label,)) if rows else None


def parts_of(source: Source, window: Window) -> list[Part]:
    """The window's columns with what each is compared with; columns that training did not have (the prediction) and the
    label with windows before it. Empty where there is nothing to compare."""
    version = source.version_of.get(window.start)
    start, end = to_ms(window.start), to_ms(window.end)
    reference = reference_of(source, window, version)
    now = source.profile(start, end, version) or source.profile(start, end)
    found: list[Part] = []
    if now is not None and reference is not None and len(_shared(reference.profile, now).columns):
        found.append(Part(reference, _shared(reference.profile, now)))
    if now is not None and source.config.drift.reference == "trained":
        known = set() if reference is None else {column.name for column in reference.profile.columns}
        rest = tuple(c for c in now.columns if c.name not in known and c.name != LATENCY)
        found += _compared(source, window, Profile(rows=now.rows, columns=rest), source.profile)
    labels = source.labels(start, end) if window.mature else None
    return found + _compared(source, window, labels, source.labels)


def basis_of(source: Source, window: Window) -> str:
    """Differs when the window would be compared with something else."""
    version = source.version_of.get(window.start)
    used = [(one.start, one.predictions, _labelled(one)) for one in before(source, window)]
    return repr((source.model, version, used, _labelled(window), window.predictions, window.end))


def _labelled(window: Window) -> tuple[int, float | None]:
    return (window.labelled, window.metrics.get("label_mean")) if window.mature else (-1, None)


def _compared(source: Source, window: Window, now: Profile | None, read: Read) -> list[Part]:
    """The columns of `now` compared with the windows before."""
    if now is None or not now.columns:
        return []
    judged = [one for one in before(source, window) if now.column(LABEL) is None or one.mature]
    # What windows have in common, their reference and its laws, is made once.
    key = (read == source.labels, tuple(one.start for one in judged), tuple(map(_place_of, now.columns)))
    if key not in source.common:
        source.common[key] = pooled(source, judged, read, now)
    reference = source.common[key]
    return [] if reference is None else [Part(reference, _shared(reference.profile, now))]


def _place_of(column: ProfiledColumn) -> tuple[Any, ...]:
    """All of a column that matters to what it can be compared with: its name, its type and its cells."""
    return (column.name, column.centre, column.scale) if isinstance(column, NumericColumn) else (column.name,)


def _shared(then: Profile, now: Profile) -> Profile:
    """The columns of `now` that both have with equal types, in the cells of `then`."""
    fits = [
        _in_cells_of(column, other)
        for column in then.columns
        if (other := now.column(column.name)) and isinstance(column, NumericColumn) == isinstance(other, NumericColumn)
    ]
    return Profile(rows=now.rows, columns=tuple(fits))


def _in_cells_of(then: ProfiledColumn, now: ProfiledColumn) -> ProfiledColumn:
    """A column that was counted in other cells (before a training profile was there), in those of `then`: right to the
    width of a cell."""
    if not isinstance(then, NumericColumn) or not isinstance(now, NumericColumn) or _fits(then, now):
        return now
    cells, counts = unpacked(now.cells)
    places = cell_numbers(cell_values(cells, now.centre, now.scale), then.centre, then.scale)
    table = np.bincount(places, weights=counts, minlength=CELLS).astype(np.int64)
    return msgspec.structs.replace(now, centre=then.centre, scale=then.scale, cells=packed(table))


def _fits(one: ProfiledColumn, other: ProfiledColumn) -> bool:
    same = isinstance(one, NumericColumn) == isinstance(other, NumericColumn)
    return same and all(getattr(one, name, 0) == getattr(other, name, 0) for name in ("centre", "scale"))


def reference_of(source: Source, window: Window, version: int | None) -> Reference | None:
    """What the rules name; without a training profile the first windows."""
    rules = source.config.drift
    if rules.reference == "trained":
        trained = source.describe(source.model, version)[1] if version is not None else None
        if trained is None:
            return None
        if any(kind in trained.usual for kind in (window_of(source), *FINER.get(window_of(source), ()))):
            name = f"trained {version}"
            if name not in source.made:
                words = f"{trained.rows:,} rows that version {version} was trained on"
                source.made[name] = Reference(words, trained, trained.usual)
            return source.made[name]
        learned = pooled(source, before(source, window), source.profile, trained)
        usual = {} if learned is None else learned.usual
        words = f"{trained.rows:,} rows that version {version} was trained on"
        return Reference(words, trained, usual)
    return pooled(source, before(source, window), source.profile, None)


def window_of(source: Source) -> str:
    """The monitor's kind of window."""
    return source.config.window


def before(source: Source, window: Window) -> list[Window]:
    """The windows that the rules compare with, oldest first; never the window itself."""
    rules, start = source.config.drift, to_ms(window.start)
    others = [w for w in source.windows if w.start != window.start and w.complete and w.predictions]
    earlier = [w for w in others if w.start < window.start]
    if rules.reference == "fixed":
        low = rules.start and to_ms(rules.start)
        high = to_ms(rules.end) if rules.end else None
        return [w for w in others if to_ms(w.start) >= (low or 0) and (high is None or to_ms(w.end) <= high)]
    if rules.reference == "same_weekday" and source.config.window in ("hour", "day"):
        return [w for w in earlier if (start - to_ms(w.start)) % WEEK_MS == 0][-rules.periods :]
    return earlier[: rules.periods] if rules.reference == "trained" else earlier[-rules.periods :]


def words_of(source: Source, used: Sequence[Window]) -> str:
    """What the windows are, in words."""
    rules, kind = source.config.drift, source.config.window
    first, last = used[0].start[:10], used[-1].end[:10]
    if rules.reference == "fixed":
        return f"{len(used)} {kind}s from {first} until {last}"
    if rules.reference == "same_weekday" and kind in ("hour", "day"):
        return f"the same {'weekday' if kind == 'day' else 'hour of the week'} in the {len(used)} weeks before"
    if rules.reference == "trained":
        return f"the first {len(used)} {kind}s, {first} until {last}"
    return f"the {len(used)} {kind}s before, {first} until {last}"


def pooled(source: Source, used: Sequence[Window], read: Read, like: Profile | None) -> Reference | None:
    """Windows taken together as one reference, with how much they differ; None for fewer than LEAST. Only columns that
    fit `like` are taken, where it is given."""
    from loopline.usecases.monitoring.model import sketching

    bounds = [(to_ms(window.start), to_ms(window.end)) for window in used]
    found = _alike([(from_ms(start), read(start, end)) for start, end in bounds], like)
    if len(found) < LEAST:
        return None
    try:
        whole = sketching.merged_all([profile for _, profile in found])
    except Invalid:
        return None
    if whole is None:
        return None
    usual: dict[str, Usual] = {
        source.config.window: usual_of([start for start, _ in found], [one for _, one in found], whole)
    }
    if len(found) < ENOUGH:
        usual |= _finer(source.config.window, bounds, read, whole)
    return Reference(words_of(source, used), whole, usual)


def _finer(window: str, bounds: Sequence[tuple[int, int]], read: Read, whole: Profile) -> dict[str, Usual]:
    """The days (or hours) of few longer windows."""
    if window not in FINER:
        return {}
    step = DAY_MS if window in ("week", "month") else HOUR_MS
    days = [(at, at + step) for start, end in bounds for at in range(start, end, step)]
    found = _alike([(from_ms(start), read(start, end)) for start, end in days], whole)
    same = [(start, one) for start, one in found if len(one.columns) == len(whole.columns)]
    return {"day": usual_of([start for start, _ in same], [one for _, one in same], whole)} if len(same) > LEAST else {}


def _alike(parts: Sequence[tuple[str, Profile | None]], like: Profile | None) -> list[tuple[str, Profile]]:
    """Those that have the columns of the newest (as far as `like` has them), and these columns only."""
    known = [(start, one) for start, one in parts if one is not None and one.rows]
    if not known:
        return []
    newest = known[-1][1]
    wanted = newest if like is None else _shared(like, newest)
    found = [(start, _shared(wanted, one)) for start, one in known]
    return [(start, one) for start, one in found if len(one.columns) == len(wanted.columns)]


def sample_of(source: Source, window: Window, names: Sequence[str], most: int) -> Any:
    """Some of a window's rows, always the same ones; each window is read once."""
    from loopline.usecases.monitoring.model import reservoir

    key = (window.start, most)
    if key not in source.samples and source.rows is not None:
        rows = source.rows(window.start, window.end, [reservoir.ID, *names])
        source.samples[key] = reservoir.drawn(rows, most)
    return source.samples.get(key)
