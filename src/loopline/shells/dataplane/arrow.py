"""Arrow IPC streams as requests and answers: columns for large batches.

pyarrow is imported when the first such body comes, in the thread that decodes it. What arrives is foreign: only plain
types are taken, buffers must not be compressed (a small one could grow without bound; compress the body instead), rows
are counted before anything is read, and every offset is checked before it is followed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.bodies import ARROW
from loopline.shells.dataplane.rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.shells.dataplane.queues import Item
    from loopline.shells.dataplane.revision import Revision

HINT = "Send an Arrow IPC stream with a column for each input, as pyarrow.ipc.new_stream writes it."
DICTIONARY, BATCH = 2, 3  # kinds of a message's header, in Message.fbs of the Arrow format
PREDICTION = "prediction"


def from_arrow(contract: Rows, body: bytes) -> list[tuple[Any, ...]]:
    """The rows of a stream; a Fault names what is wrong."""
    import pyarrow as pa

    try:
        rows = _counted(contract, body)
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            names = reader.schema.names
            twice = next((name for name in names if names.count(name) > 1), None) if len(names) < 1000 else names[0]
            if twice is not None:
                raise Fault(400, f"The column {twice[:100]!r} is there twice.", contract.expected())
            wanted = [name for name in names if contract.is_known(name)]
            for name in wanted:
                _check_type(name, reader.schema.field(name).type)
            table = reader.read_all()
        table.validate(full=True)
    except (
        pa.ArrowException,
        struct.error,
        ValueError,
        OverflowError,
        OSError,
        MemoryError,
        NotImplementedError,
    ) as error:
        why = (str(error).splitlines() or [""])[0][:150]
        raise Fault(400, f"The body is not an Arrow IPC stream: {why or type(error).__name__}.", HINT) from None
    if table.num_rows != rows:
        raise Fault(400, "The body is not an Arrow IPC stream: its batches are not as long as they say.", HINT)
    if not rows:
        raise contract.too_many(0, contract.most_columnar)
    return contract.from_columns({name: _values(name, table.column(name)) for name in wanted}, contract.most_columnar)


class Stream:
    """An Arrow stream with one column `prediction`; the ids are in its schema's metadata: row i of several is
    `prediction_id` + `-i`."""

    def body(self, revision: Revision, item: Item, values: Any) -> bytes:
        import pyarrow as pa

        numbers = not isinstance(values, list)
        column = (
            pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
            if numbers
            else pa.array(values, pa.string())
        )
        told = {
            "prediction_id": item.id,
            "model": revision.model,
            "version": str(revision.version),
            "revision": str(revision.number),
        }
        schema = pa.schema([pa.field(PREDICTION, column.type)], metadata=told)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.record_batch([column], schema=schema))
        item.exchange.form = ARROW, b"x-loopline-prediction-id: %b\r\n" % item.id.encode()
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


STREAM = Stream()


def loaded() -> None:
    """Import pyarrow; to be called in a thread."""
    import pyarrow.ipc  # noqa: F401


def _counted(contract: Rows, body: bytes) -> int:
    """How many rows all batches say that they have, without reading any. Fault for too many, or compressed buffers."""
    import pyarrow as pa

    rows = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type in ("record batch", "dictionary"):
            length, compressed = _told(bytes(message.metadata))
            if compressed:
                raise Fault(
                    400,
                    "The buffers of the Arrow stream are compressed.",
                    "Write it without, and send the body with Content-Encoding: zstd or gzip.",
                )
            rows += length if message.type == "record batch" else 0
    if rows > contract.most_columnar:
        raise contract.too_many(rows, contract.most_columnar)
    return rows


def _told(metadata: bytes) -> tuple[int, bool]:
    """(rows, whether buffers are compressed) of a batch, from the flatbuffer of its message: Message.header is field 2,
    DictionaryBatch.data 1, RecordBatch.length 0 and .compression 3."""
    message = struct.unpack_from("<I", metadata, 0)[0]
    kind = struct.unpack_from("<B", metadata, _field(metadata, message, 1) or 0)[0]
    batch = _table(metadata, message, 2)
    if kind == DICTIONARY:
        batch = _table(metadata, batch, 1)
    at = _field(metadata, batch, 0)
    length = struct.unpack_from("<q", metadata, at)[0] if at else 0
    if length < 0:
        raise ValueError("a batch has a negative length")
    return length, bool(_field(metadata, batch, 3))


def _field(buffer: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table lies; 0 when it is absent."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    if vtable < 0:
        raise struct.error("outside")
    size = struct.unpack_from("<H", buffer, vtable)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", buffer, vtable + place)[0] if place + 2 <= size else 0
    return table + offset if offset else 0


def _table(buffer: bytes, table: int, number: int) -> int:
    at = _field(buffer, table, number)
    if not at:
        raise struct.error("absent")
    return at + int(struct.unpack_from("<I", buffer, at)[0])


def _check_type(name: str, kind: pa.DataType) -> None:
    import pyarrow.types as types

    value = kind.value_type if types.is_dictionary(kind) else kind
    plain = (
        types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string, types.is_timestamp,
        types.is_date, types.is_null,
    )  # fmt: skip
    if not any(check(value) for check in plain):
        raise Fault(
            400,
            f"The column {name[:100]!r} is of the type {str(kind)[:60]}.",
            "Send numbers, text, booleans or timestamps.",
        )


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = []
    for chunk in column.chunks:
        try:
            found += _plain(chunk)
        except (ValueError, OverflowError) as error:  # a time beyond the calendar
            raise Fault(400, f"The column {name[:100]!r} cannot be read: {str(error)[:150]}.", HINT) from None
    return found


def _plain(chunk: pa.Array) -> list[Any]:
    """The values of one chunk as Python has them, None for null and for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind = chunk.type
    if types.is_dictionary(kind):
        values = _plain(chunk.dictionary)  # each value once, however often it occurs
        return [None if place is None else values[place] for place in _plain(chunk.indices)]
    if types.is_timestamp(kind) or types.is_date(kind):
        zone, fine = (kind.tz, kind.unit == "ns") if types.is_timestamp(kind) else (None, False)
        times = chunk.cast(
            pa.timestamp("us", "UTC" if zone else None), safe=not fine
        )  # only nanoseconds may be cut off
        return times.to_pylist()  # type: ignore[no-any-return]
    if not types.is_integer(kind) and not types.is_floating(kind):
        return chunk.to_pylist()  # type: ignore[no-any-return]
    gaps = chunk.is_null(nan_is_null=True)
    whole = pc.fill_null(chunk.cast(pa.float32()) if types.is_float16(kind) else chunk, 0)
    found: list[Any] = (
        memoryview(whole.buffers()[1]).cast(_code(whole.type))[whole.offset : whole.offset + len(whole)].tolist()
    )
    for place in pc.indices_nonzero(gaps).to_pylist():
        found[place] = None
    return found


def _code(kind: pa.DataType) -> Any:
    import pyarrow.types as types

    if types.is_floating(kind):
        return "f" if kind.bit_width == 32 else "d"
    code = {8: "b", 16: "h", 32: "i", 64: "q"}[kind.bit_width]
    return code.upper() if types.is_unsigned_integer(kind) else code
