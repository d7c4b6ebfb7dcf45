"""A sample of rows that adds up: those whose prediction ids have the smallest keyed hashes. Imports numpy.

Every row is as likely to be kept as any other, whatever its values and whenever it came; which rows are kept follows from
their ids alone. So the sample of a union is the sample of the samples, in any order, and adding rows again changes
nothing (Cohen, Kaplan: Summarizing data using bottom-k sketches, 2007).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 2000
ID = "id"


def drawn(rows: pa.Table, most: int = MOST_ROWS, key: int = 0, by: str = ID) -> pa.Table:
    """At most `most` of the rows, in the order of their hashes; one row of each id in the column `by`.

    `key` chooses another sample. Rows of the same id are taken for the same row. Invalid without the column.
    """
    if by not in rows.column_names:
        raise Invalid(f"The rows have no column {by!r} by which to draw them.")
    hashes = _hashes(rows[by], key)
    # One more than needed of equal hashes costs nothing, and ids then decide.
    edge = np.partition(hashes, most - 1)[most - 1] if len(hashes) > most else np.iinfo(np.uint64).max
    chosen = np.flatnonzero(hashes <= edge)
    found = rows.take(chosen)
    names = np.array(found[by].cast("string").fill_null("").to_pylist(), dtype=object)
    order = np.lexsort((names, hashes[chosen])) if len(chosen) else chosen
    again = np.concatenate([[False], names[order][1:] == names[order][:-1]]) if len(order) else order.astype(bool)
    if again.any() and len(rows) > most:  # repeated rows took the places of others
        return drawn(_once(rows, by), most, key, by)
    return found.take(order[~again][:most])


def merged(one: pa.Table, other: pa.Table, most: int = MOST_ROWS, key: int = 0, by: str = ID) -> pa.Table:
    """The sample of both samples' rows. Columns that only one has are empty in the other's rows."""
    import pyarrow as pa

    try:
        together = pa.concat_tables([one, other], promote_options="permissive")
    except pa.ArrowException as error:
        raise Invalid(f"These samples of rows cannot be put together: {str(error)[:200]}.") from None
    return drawn(together, most, key, by)


def encode(rows: pa.Table) -> bytes:
    """The sample as an Arrow IPC stream, compressed by zstd."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows.combine_chunks())
    return bytes(sink.getvalue())


def decode(content: bytes) -> pa.Table:
    """The sample kept in `content`; Invalid when it is none."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.BufferReader(content)).read_all()
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"The sample of rows cannot be read: {str(error)[:200]}.") from None


def _hashes(ids: Any, key: int) -> NDArray[np.uint64]:
    """64 bits spread evenly for each id: two CRC-32, from both ends, through the finalizer of SplitMix64 (Steele, Lea,
    Flood, 2014)."""
    texts = ids.cast("binary").fill_null(b"").to_pylist()
    codes = (zlib.crc32(text) | zlib.crc32(text[::-1]) << 32 for text in texts)
    found = np.fromiter(codes, dtype=np.uint64, count=len(texts))
    found = found + np.uint64((key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def _once(rows: pa.Table, by: str) -> pa.Table:
    """The first row of each id."""
    names = rows[by].combine_chunks().dictionary_encode()
    codes = names.indices.fill_null(len(names.dictionary)).to_numpy(zero_copy_only=False)
    return rows.take(np.sort(np.unique(codes, return_index=True)[1]))
