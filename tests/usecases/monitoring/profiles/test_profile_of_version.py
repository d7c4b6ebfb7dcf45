"""What is kept with a model version is its profile, and no row that it was trained on."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.datasets import model as contract
from loopline.usecases.monitoring import profiling
from loopline.usecases.monitoring.model.limits import Limits, beyond
from loopline.usecases.monitoring.model.profile import decode, encode, encode_small

pytestmark = pytest.mark.unit
SIGNATURE = Signature(inputs=(Column("wind", "float", True),), output=Column("late", "float"))
FORMAT_1 = Path(__file__).with_name("format-1.json").read_bytes()


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def rows() -> pa.Table:
    times = pa.array(1_364_774_400_000 + np.arange(900) * 864_000, pa.timestamp("ms", tz="UTC"))
    return pa.table({"wind": np.sin(np.arange(900.0)), "event_time": times, "secret": ["4111 1111"] * 900})


def test_rows_become_a_profile_with_their_own_days() -> None:
    kept = profiling.kept(arrow(rows()), SIGNATURE)
    assert kept is not None
    assert b"4111" not in kept
    found = decode(kept)
    assert ([column.name for column in found.columns], found.rows, sorted(found.usual)) == (["wind"], 900, ["day"])
    assert profiling.kept(kept, SIGNATURE) == kept
    assert profiling.kept(encode_small(found), SIGNATURE) == encode(found)


def test_a_profile_of_an_earlier_format_stays_as_it_is() -> None:
    assert profiling.kept(FORMAT_1, SIGNATURE) == FORMAT_1
    assert profiling.profile_in(FORMAT_1, SIGNATURE).rows == 700


def test_rows_of_other_columns_are_no_profile() -> None:
    assert profiling.kept(arrow(rows().drop_columns(["wind"])), SIGNATURE) is None
    assert profiling.kept(b"nonsense", SIGNATURE) is None
    with pytest.raises(Invalid, match="cannot be read"):
        profiling.profile_in(b"nonsense", SIGNATURE)


def test_what_contracts_say_goes_over_to_what_is_compared() -> None:
    rule = contract.column("wind", "float", maximum=0.5)
    declared = {"weather": SimpleNamespace(contract=contract.Contract(columns=[rule])), "flights": SimpleNamespace(contract=None)}  # fmt: skip

    def dataset(name: str) -> Any:
        if name not in declared:
            raise NotFound(f"There is no dataset {name!r}.")
        return declared[name]

    limits = profiling.contracts(SimpleNamespace(dataset=dataset), ("weather", "flights", "gone"))
    assert limits == {"wind": Limits(maximum=0.5)}
    kept = profiling.kept(arrow(rows()), SIGNATURE, limits)
    assert kept is not None
    training = decode(kept)
    above = int((np.sin(np.arange(900.0)) > 0.5).sum())
    assert training.columns[0].outside == above
    batches = profiling.Batches(SIGNATURE, training)
    batches.add(rows())
    assert decode(batches.finish()).columns[0].outside == above
    assert profiling.contracts(None, ("weather",)) == {}


def test_what_is_beyond_limits_is_counted_in_rows_as_in_profiles() -> None:
    numbers = pa.array([0.0, 2.0, None, np.nan, np.inf, -np.inf, 5.0])
    assert beyond(numbers, Limits(minimum=1, maximum=4)) == 2
    assert beyond(pa.array([0, 2, None]), Limits(maximum=1)) == 1
    assert beyond(pa.array(["a", "z", None]), Limits(allowed=("a",))) == 1
    assert beyond(pa.array([True, False]), Limits(allowed=("true",))) == 1
    assert beyond(pa.array(["a"]), Limits(maximum=1)) == 0
    assert beyond(pa.array([], pa.float64()), Limits(maximum=1)) == 0


@pytest.mark.parametrize("written", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
def test_days_are_learned_from_times_as_text_and_rows_without_a_time_left_out(written: str) -> None:
    table = rows()
    texts = pc.strftime(table["event_time"].cast(pa.timestamp("s", tz="UTC")), written).to_pylist()
    texts[:400] = [None] * 400
    table = table.set_column(1, "event_time", pa.array(texts, pa.string()))
    found = profiling.profile_in(arrow(table), SIGNATURE)
    assert (found.rows, sum(found.usual["day"].rows)) == (900, 500)
