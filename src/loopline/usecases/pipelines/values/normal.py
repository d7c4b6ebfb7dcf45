"""Arrow in one normal form: what is equal has equal bytes, whatever its chunks, offsets and the bytes under its nulls.

Rows come in batches whose length follows from the schema alone, so that a large table is never copied as a whole.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_BYTES = 1 << 26
_PANDAS = b"pandas"
_WRITERS = ("creator", "pandas_version")  # who wrote a frame down is no part of it


def batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The table's rows in normal form; one empty batch for a table without rows."""
    import pyarrow as pa

    schema = normal_schema(table.schema)
    if not table.num_columns:  # rows without columns can be counted, but not be put together anew
        yield from table.to_batches()
        return
    ordered = _PANDAS in (schema.metadata or {})
    columns = [words_in_order(column, ordered) for column in table.columns]
    rows = rows_in_batch(schema)
    for start in range(0, max(table.num_rows, 1), rows):
        arrays = [normal(combined(column.slice(start, rows))) for column in columns]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def normal_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with its metadata in order, and pandas' notes without the versions that wrote them."""
    import pyarrow as pa

    fields = [field.with_metadata(in_order(field.metadata)) if field.metadata else field for field in schema]
    return pa.schema(fields, metadata=in_order(schema.metadata))


def in_order(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes] | None:
    """Metadata sorted by key."""
    if not metadata:
        return None
    return {key: noted(value) if key == _PANDAS else value for key, value in sorted(metadata.items())}


def noted(content: bytes) -> bytes:
    """pandas' notes about a frame without who wrote them; anything that is no JSON map stays as it is."""
    try:
        notes = json.loads(content)
    except ValueError:
        return content
    if not isinstance(notes, dict):
        return content
    return json.dumps({key: notes[key] for key in sorted(notes) if key not in _WRITERS}).encode()


def rows_in_batch(schema: pa.Schema) -> int:
    """How many rows one batch holds: a power of two near 64 MiB of columns."""
    width = sum(bytes_of(field.type) for field in schema) or 1
    return max(1024, 1 << ((_BATCH_BYTES // width) or 1).bit_length() - 1)


def bytes_of(kind: Any) -> int:
    """About how many bytes a value of a type takes."""
    if kind.num_fields:
        return 8 + sum(bytes_of(kind.field(position).type) for position in range(kind.num_fields))
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 24


def words_in_order(column: pa.ChunkedArray, ordered: bool) -> pa.ChunkedArray:
    """A dictionary's words in the order in which the rows show them, unless that order means something."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not pa.types.is_dictionary(kind):
        return column
    column = column.unify_dictionaries()
    if ordered or kind.ordered or not column.num_chunks:
        return column
    words = column.chunk(0).dictionary
    codes = pa.chunked_array([chunk.indices for chunk in column.chunks]).cast(pa.int64())
    shown = pc.drop_null(pc.unique(codes))
    places = pc.index_in(pa.array(range(len(words)), pa.int64()), value_set=shown)  # old code → new code
    indices = [places.take(chunk).cast(kind.index_type) for chunk in codes.chunks]
    arrays = [pa.DictionaryArray.from_arrays(chunk, words.take(shown)) for chunk in indices]
    return pa.chunked_array(arrays, kind)


def combined(column: pa.ChunkedArray) -> pa.Array:
    """All chunks as one array."""
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def normal(array: pa.Array, inner: bool = False) -> pa.Array:
    """One array with nothing under its nulls, and nothing before its beginning or after its end that shows. Of an array
    inside another (`inner`) more is written to a file than what shows, so it is always copied."""
    import pyarrow as pa

    kind, types = array.type, pa.types
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(kind, normal(array.storage))
    if types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(normal(array.indices), normal(array.dictionary), ordered=kind.ordered)
    if not len(array):
        return pa.array([], kind)  # no rows may be told in several ways, too
    if types.is_string_view(kind) or types.is_binary_view(kind):
        plain = pa.large_string() if types.is_string_view(kind) else pa.large_binary()
        return normal(array.cast(plain)).cast(kind)
    if types.is_run_end_encoded(kind):
        return _run_ends(array)
    if kind.num_fields:
        return nested(array)
    if inner or types.is_boolean(kind) or array.null_count:
        return taken(array)  # take writes nulls as zeros, and leaves no bits behind the end
    return exact(array)


def exact(array: pa.Array) -> pa.Array:
    """An array without nulls over buffers that hold its values and no more: how long they are shows in a file."""
    import pyarrow as pa

    kind, count = array.type, len(array)
    try:
        width = kind.bit_width // 8
    except ValueError:  # texts and the like
        _, offsets, data = array.buffers()
        size = 8 if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) else 4
        whole = array.offset == 0 and offsets.size == (count + 1) * size and data is not None
        whole = whole and data.size == int.from_bytes(offsets[count * size :], "little") and not any(offsets[:size])
        return array if whole else taken(array)
    return pa.Array.from_buffers(kind, count, [None, array.buffers()[1].slice(array.offset * width, count * width)])


def nested(array: pa.Array) -> pa.Array:
    """An array of structs or lists, in normal form all the way down."""
    import pyarrow as pa

    kind, types, mask = array.type, pa.types, mask_of(array)
    if types.is_struct(kind):
        fields = [normal(child, True) for child in array.flatten()]  # with the struct's own nulls in its fields
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=mask)
    if types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(normal(slots_of(array), True), type=kind, mask=mask)
    if types.is_map(kind):
        keys, items = (normal(as_list(array, child).flatten(), True) for child in (array.keys, array.items))
        return pa.MapArray.from_arrays(offsets_of(array), keys, items, type=kind, mask=mask)
    if types.is_list(kind) or types.is_large_list(kind):
        return type(array).from_arrays(offsets_of(array), normal(array.flatten(), True), type=kind, mask=mask)
    return taken(array)


def as_list(array: pa.Array, child: pa.Array) -> pa.Array:
    """A map's keys or items as the array of lists that they are."""
    import numpy as np
    import pyarrow as pa

    offsets = pa.array(np.array(array.offsets.to_numpy()), pa.int32())
    return pa.ListArray.from_arrays(offsets, child, mask=mask_of(array))


def offsets_of(array: pa.Array) -> pa.Array:
    """Where each list begins once those under nulls are left out, and the end."""
    import numpy as np
    import pyarrow as pa

    given = array.offsets
    lengths = np.diff(given.to_numpy())
    if array.null_count:
        lengths[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), given.type)


def slots_of(array: pa.Array) -> pa.Array:
    """The values of fixed-size lists, with nulls where the list itself is null."""
    import pyarrow as pa

    size, kind = array.type.list_size, array.type.value_type
    if not array.null_count:
        return array.flatten()
    flat, place, pieces = array.flatten(), 0, []
    for valid, run in itertools.groupby(array.is_valid().to_pylist()):
        count = size * len(list(run))
        pieces.append(flat.slice(place, count) if valid else pa.nulls(count, kind))
        place += count if valid else 0
    return pa.concat_arrays(pieces)


def mask_of(array: pa.Array) -> pa.Array | None:
    """Where an array is null, or None when it is nowhere."""
    return array.is_null() if array.null_count else None


def taken(array: pa.Array) -> pa.Array:
    """A fresh copy that begins at its beginning."""
    return array.take(every_row(len(array)))


def _run_ends(array: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.run_end_encode(normal(pc.run_end_decode(array)), run_end_type=array.type.run_end_type)


@functools.lru_cache(maxsize=4)
def every_row(rows: int) -> Any:
    """The numbers of all rows."""
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(rows, dtype=np.int64))
