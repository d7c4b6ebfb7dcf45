"""A book brought up to date step by step, whatever happens in between, against one look at all rows and all truth."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loopline.core.tables import Column, Signature
from loopline.core.times import from_ms
from loopline.testing.factories import installation
from loopline.usecases.monitoring.books import files
from loopline.usecases.monitoring.books.book import Book
from loopline.usecases.monitoring.books.windowing import evaluated
from loopline.usecases.monitoring.model import MonitorConfig
from loopline.usecases.monitoring.model.arrays import milliseconds, next_period, period_of
from loopline.usecases.monitoring.model.truth import joined
from loopline.usecases.serving.records import units
from loopline.usecases.serving.records.ids import Ids
from loopline.usecases.serving.records.writing import Batch, PredictionLog, Truth, TruthLog, prediction_header

pytestmark = pytest.mark.integration
HOUR, DAY = 3_600_000, 86_400_000
APRIL = int(np.datetime64("2013-04-01", "ms").astype("int64"))
SIGNATURE = Signature(inputs=(Column("wind", "float", True), Column("carrier", "string")), output=Column("p", "float"))
CARRIERS = ("AA", "B6", "UA")


class World:
    """An endpoint whose log and truth are written by the data plane's own writers, and its book."""

    def __init__(self, loopline: Any, name: str, seed: int) -> None:
        self.loopline, self.name = loopline, name
        self.rng = np.random.default_rng(seed)
        self.now = APRIL + int(self.rng.integers(0, 2 * DAY))
        self.ids = Ids(writer=int(self.rng.integers(0, 60_000)), clock_ns=lambda: self.now * 1_000_000)
        self.told: list[Any] = []  # (id, key, event)
        self.folder = Path(loopline.home) / "monitoring" / name
        self.logs: dict[int, PredictionLog] = {}
        self.truth = TruthLog(loopline.home, name, 1)
        loopline.serving.put(name, "late", "ada", key="flight", event_time="event_time")

    def predict(self, rows: int, version: int, spread_h: int) -> None:
        made = []
        for _ in range(rows):
            self.now += int(self.rng.integers(1, 40 * 60_000))
            name = self.ids.next(False)
            event = self.now + int(self.rng.integers(-spread_h, 3 * HOUR)) if self.rng.random() < 0.9 else None
            key = f"k{self.rng.integers(0, 40)}" if self.rng.random() < 0.7 else None
            made.append((self.ids.ms, self.ids.counter, name, event, key))
            self.told.append((name, key, event))
        no_time = -(1 << 63)
        batch = Batch(
            rows=rows,
            ms=array("q", [one[0] for one in made]).tobytes(),
            counter=array("q", [one[1] for one in made]).tobytes(),
            row=array("i", [-1] * rows).tobytes(),
            latency=array("i", self.rng.integers(100, 9000, rows).tolist()).tobytes(),
            event=array("q", [no_time if one[3] is None else one[3] for one in made]).tobytes(),
            key=[one[4] for one in made],
            prediction=np.where(self.rng.random(rows) < 0.05, np.nan, self.rng.random(rows)).tobytes(),
            columns=[
                np.where(self.rng.random(rows) < 0.1, np.nan, self.rng.normal(10, 3, rows)).tobytes(),
                [CARRIERS[i] for i in self.rng.integers(0, 3, rows)],
            ],
        )
        if version not in self.logs:
            header = prediction_header(self.name, self.ids.writer, version, "late", version, SIGNATURE)
            self.logs[version] = PredictionLog(self.loopline.home, header)
        self.logs[version].write([batch])

    def tell(self, rows: int) -> None:
        records = []
        for _ in range(rows):
            observed = self.now + int(self.rng.integers(0, 30 * HOUR))
            value = float(self.rng.random() < 0.4)
            kind = self.rng.random()
            if not self.told or kind < 0.05:
                records.append(Truth(None, "nobody", APRIL + int(self.rng.integers(0, 9 * DAY)), value, observed))
            elif kind < 0.08:
                records.append(Truth(Ids(7, lambda: self.now * 1_000_000).next(False), None, None, value, observed))
            else:
                name, key, event = self.told[int(self.rng.integers(0, len(self.told)))]
                by_key = key is not None and event is not None and self.rng.random() < 0.5
                records.append(
                    Truth(None, key, event, value, observed) if by_key else Truth(name, None, None, value, observed)
                )
        self.truth.write(records)

    def close(self) -> None:
        for log in self.logs.values():
            log.close()
        self.logs.clear()
        self.truth.close()

    def seal(self) -> None:
        self.close()
        self.loopline.serving.seal()

    def erase(self) -> None:
        keys = sorted({key for _, key, _ in self.told if key is not None})
        if keys:
            self.close()
            self.loopline.serving.erase(self.name, keys[int(self.rng.integers(0, len(keys)))], "ada")

    def damage(self) -> None:
        there = sorted(path for path in self.folder.rglob("*") if path.is_file())
        if there:
            path = there[int(self.rng.integers(0, len(there)))]
            content = path.read_bytes()
            choice = self.rng.integers(0, 3)
            if choice == 0:
                path.unlink()
            else:
                path.write_bytes(content[: len(content) // 2] if choice == 1 else b"\0" * len(content))

    def lose(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def book(self, config: MonitorConfig) -> Book:
        return Book(self.folder, self.loopline.serving, self.name, config, describe)


def describe(model: str, version: int) -> Any:
    return SIGNATURE, None


def by_hand(world: World, config: MonitorConfig) -> tuple[dict[Any, Any], Any]:
    """All rows and all truth at once: ({(start, column, value): figures}, the join)."""
    serving = world.loopline.serving
    table, truth = serving.read_predictions(world.name), serving.read_truth(world.name)
    found = joined(table, truth)
    if not len(table):
        return {}, found
    given, at = milliseconds(table["event_time"]), milliseconds(table["at"])
    events = np.where(given == -(1 << 63), at, given)
    starts = period_of(events, config.window)
    segments = {"": [""] * len(table), "version": [str(v) for v in table["version"].to_pylist()]}
    segments |= {name: table[name].to_pylist() for name in config.slices}
    predicted = np.asarray(table["prediction"].to_numpy(), dtype=float)
    wind = np.asarray(table["wind"].is_null().to_numpy(), dtype=bool)
    figures: dict[Any, Any] = {}
    for column, values in segments.items():
        for start, value in set(zip(starts.tolist(), values, strict=True)):
            rows = (starts == start) & (np.array(values) == value)
            has, numbers = np.isfinite(found.value) & rows, np.isfinite(predicted) & rows
            both = has & numbers
            figures[from_ms(start), column, value] = {
                "predictions": int(rows.sum()),
                "labelled": int(has.sum()),
                "error_share": float((rows & ~numbers).sum() / rows.sum()),
                "predicted_mean": float(predicted[numbers].mean()) if numbers.any() else None,
                "label_mean": float(found.value[both].mean()) if both.any() else None,
                "brier": float(((predicted - found.value)[both] ** 2).mean()) if both.any() else None,
                "missing": float(wind[rows].mean()) if column == "" else None,
                "end": from_ms(next_period(start, config.window)),
            }
    return figures, found


def same(world: World, config: MonitorConfig) -> None:
    """Bring the book up to date and compare."""
    with (book := world.book(config)).held():
        book.update()
        compared(world, config, book)


def compared(world: World, config: MonitorConfig, book: Book) -> None:
    figures, found = by_hand(world, config)
    if not figures:
        assert book.rows == 0
        return
    result = evaluated(book, config, {}, describe)
    windows = {(w.start, w.column, w.value): w for _, w in result.windows if w.column != "arm"}
    assert windows.keys() == figures.keys()
    for key, expected in figures.items():
        window = windows[key]
        told = {"predictions": window.predictions, "labelled": window.labelled, "end": window.end}
        told |= {name: window.metrics.get(name) for name in ("error_share", "predicted_mean", "label_mean", "brier")}
        told["missing"] = window.quality["missing"]["wind"] if window.column == "" else None
        assert told == pytest.approx(expected, abs=1e-8), key
    kept = book.truth
    assert (kept.records, kept.duplicates, kept.corrections, book.orphans()) == (
        found.records, found.duplicates, found.corrections, found.orphans,
    )  # fmt: skip
    profiled = book.profile(0, 1 << 44)
    assert profiled is not None
    assert profiled.rows == book.rows


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    place = tmp_path_factory.mktemp("books")
    with installation(place) as made:
        model = place / "model"
        model.mkdir()
        (model / "weights").write_bytes(b"none")
        kept = made.registry.keep(model, "elsewhere", SIGNATURE)
        made.registry.register("late", kept, "a" * 32, {}, SIGNATURE, None, None, None, "ada")
        yield {"open": made}


PHASES = (Phase.generate,)  # what fails is read well enough as it is
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), st.integers(1, 40), st.sampled_from([1, 2]), st.sampled_from([HOUR, 40 * HOUR])),
        st.tuples(st.just("tell"), st.integers(1, 30)),
        st.tuples(st.just("tell"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["seal", "erase", "damage", "lose", "look", "look", "killed", "hours", "days"])),
    ),
    min_size=3,
    max_size=14,
)
_worlds = iter(range(10_000))


@given(steps=STEPS, seed=st.integers(0, 1_000_000), window=st.sampled_from(["hour", "day", "week", "month"]))
@settings(max_examples=12, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=list(HealthCheck))
def test_step_by_step_equals_everything_at_once(opened: Any, steps: Any, seed: int, window: Any) -> None:
    world = World(opened["open"], f"late-{next(_worlds)}", seed)
    config = MonitorConfig(window=window, slices=("carrier",))
    with pytest.MonkeyPatch.context() as patch:
        for step, *values in steps:
            if step in ("hours", "days"):
                patch.setattr(units, "HOURS_EVER", 30 if step == "hours" else 2_000_000)
            elif step == "look":
                same(world, config)
            elif step == "killed":
                killed(world, config, int(world.rng.integers(0, 6)))
            else:
                getattr(world, step)(*values)
        same(world, config)
    world.close()


class Kill(BaseException):
    """The process is gone."""


def killed(world: World, config: MonitorConfig, after: int) -> None:
    """An update that ends after some files were written."""
    left = iter(range(after))
    real = files.put

    def put(path: Path, value: object, durable: bool = True) -> None:
        if next(left, None) is None:
            raise Kill
        real(path, value, durable)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "put", put)
        with suppress(Kill), (book := world.book(config)).held():
            book.update()


def test_without_news_no_row_is_read(opened: Any) -> None:
    world = World(opened["open"], "quiet", 5)
    world.predict(60, 1, 40 * HOUR)
    world.tell(40)
    config = MonitorConfig()
    same(world, config)
    for step in (world.seal, lambda: None):
        step()
        with (book := world.book(config)).held():
            book.update()
        assert book.read_rows == 0, "sealing changes no row"


def test_late_truth_reads_again_only_the_days_that_it_speaks_of(opened: Any) -> None:
    world = World(opened["open"], "tardy", 6)
    world.predict(300, 1, HOUR)
    config = MonitorConfig(window="day")
    same(world, config)
    table = world.loopline.serving.read_predictions("tardy")
    days = pc.cast(table["at"], pa.date32()).to_pylist()
    first = table["id"][0].as_py()
    world.truth.write([Truth(first, None, None, 1.0, APRIL + 9 * DAY)])
    with (book := world.book(config)).held():
        book.update()
    assert book.read_rows == days.count(days[0]) < len(days)
    same(world, config)


def test_what_was_erased_is_in_no_file_of_the_book(opened: Any) -> None:
    world = World(opened["open"], "forgotten", 7)
    world.predict(80, 1, HOUR)
    config = MonitorConfig(slices=("carrier",))
    secret = "kSECRET"
    world.told = []
    header = prediction_header("forgotten", 3, 1, "late", 1, SIGNATURE)
    log = PredictionLog(world.loopline.home, header)
    log.write(
        [
            Batch(
                rows=1, ms=array("q", [world.now]).tobytes(), counter=array("q", [8]).tobytes(),
                row=array("i", [-1]).tobytes(), latency=array("i", [1]).tobytes(),
                event=array("q", [world.now]).tobytes(), key=[secret], prediction=array("d", [0.5]).tobytes(),
                columns=[array("d", [1.0]).tobytes(), ["ZEBRA"]],
            )
        ]
    )  # fmt: skip
    log.close()
    world.truth.write([Truth(None, secret, world.now, 1.0, world.now)])
    same(world, config)
    assert holding(world, b"ZEBRA") > 0
    assert holding(world, secret.encode()) > 0
    world.close()
    world.loopline.serving.erase("forgotten", secret, "ada")
    same(world, config)
    assert (holding(world, b"ZEBRA"), holding(world, secret.encode())) == (0, 0)


def holding(world: World, text: bytes) -> int:
    return sum(text in path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
