"""The training profile of a version: made once from the rows that a model was trained on, then only read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Signature
from loopline.usecases.monitoring.model.limits import Limits, limits_of
from loopline.usecases.monitoring.model.profile import Profile, decode, encode

if TYPE_CHECKING:
    import pyarrow as pa


def profile_in(content: bytes, signature: Signature, limits: Mapping[str, Limits] | None = None) -> Profile:
    """The profile that was registered: as such, or as Arrow rows, from which it is made here.

    Rows with a column `event_time` also say how much their own days and weeks differ. `limits` go over to all profiles that
    are compared with this one. Invalid for anything else.
    """
    if content[:1] in (b"{", b"\x78"):  # JSON, or zlib
        return decode(content)
    import pyarrow as pa

    from loopline.usecases.monitoring.model import sketching

    try:
        opened = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
        rows = opened(pa.BufferReader(content)).read_all()
    except pa.ArrowInvalid as error:
        raise Invalid(f"The training profile cannot be read: {error}.", "Register the version again.") from None
    return sketching.profile(rows, signature, event_time="event_time", limits=limits)


def kept(content: bytes, signature: Signature, limits: Mapping[str, Limits] | None = None) -> bytes | None:
    """What is kept with a version of the rows or the profile that it came with: the profile, never rows. None for rows
    that are not those of its signature: nothing could be compared with them."""
    if content[:1] == b"{":
        return content
    try:
        return encode(profile_in(content, signature, limits))
    except Invalid:
        return None


def contracts(datasets: Any, names: Iterable[str]) -> dict[str, Limits]:
    """What the contracts of some datasets say, by column; nothing of those that are not declared (any more)."""
    found: dict[str, Limits] = {}
    for name in names if datasets is not None else ():
        try:
            contract = datasets.dataset(name).contract
        except NotFound:
            continue
        found |= {} if contract is None else limits_of(contract.columns)
    return found


class Batches:
    """Rows that are scored batch by batch, profiled as those of training and those that are live: in the same cells."""

    def __init__(self, signature: Signature, like: Profile | None) -> None:
        from loopline.usecases.monitoring.model.sketching import Profiler

        self._profiler = Profiler(signature, like)

    def add(self, rows: pa.Table) -> None:
        """Count rows: the inputs, `prediction`, and `latency_us` where it is known. Invalid for columns of another type."""
        self._profiler.add(rows)

    def finish(self) -> bytes:
        """The profile of all of them, as JSON."""
        return encode(self._profiler.finish())
