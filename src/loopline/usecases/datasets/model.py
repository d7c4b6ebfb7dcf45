"""What a dataset is: contracts, sources, batches and snapshots, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from loopline.core.errors import Invalid
from loopline.core.tables import Column, ColumnType
from loopline.core.times import from_text

DECLARED = "dataset.declared"
RETIRED = "dataset.retired"
SNAPSHOT_TAKEN = "dataset.snapshot_taken"
BATCH_REFUSED = "dataset.batch_refused"
BATCH_RELEASED = "dataset.batch_released"
BATCH_GONE = "dataset.batch_gone"
State = Literal["accepted", "refused", "released", "gone"]  # gone: refused, then corrected or taken out of the source
_DURATION = re.compile(r"(\d+)\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)\Z")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
Scalar = str | int | float | bool
_VALUES: dict[ColumnType, Any] = {
    "string": str,
    "float": int | float,
    "integer": int,
    "boolean": bool,
    "timestamp": str,
}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one column must hold. `max_missing` is the share of rows, 0 to 1, that may be empty (null or NaN);
    `minimum` and `maximum` are inclusive; `allowed` lists the values."""

    name: str
    type: ColumnType
    max_missing: float = 0.0
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    allowed: tuple[Scalar, ...] = ()

    def __post_init__(self) -> None:
        for limit in (self.minimum, self.maximum):
            if limit is not None and not _comparable(self.type, limit):
                raise Invalid(
                    f"The limit {limit!r} of {self.name!r} cannot be compared with a {self.type}.",
                    "Write a number, or an ISO 8601 time for a timestamp.",
                )
        kinds = _VALUES[self.type]
        if not all(isinstance(value, kinds) for value in self.allowed):
            raise Invalid(f"The allowed values of {self.name!r} are not of its type.", f"They must be {self.type}.")


def _comparable(kind: ColumnType, limit: float | str) -> bool:
    if kind == "timestamp":
        from_text(str(limit))
        return True
    return kind != "boolean" and isinstance(limit, str) == (kind == "string")


class Contract(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a batch must be before anything uses it.

    `unique`: the columns that together name a row. `closed`: columns beyond those listed are refused. `fresh_within`:
    how old the newest `fresh_by` time may be when the batch arrives ("36h", "7 days").
    """

    columns: Sequence[Rule]
    unique: Sequence[str] = ()
    minimum_rows: int = 1
    maximum_rows: int | None = None
    closed: bool = False
    fresh_by: str = ""
    fresh_within: str = ""

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.columns]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise Invalid(f"The contract names {', '.join(doubled)} twice.", "Keep one rule a column.")
        for name in (*self.unique, *([self.fresh_by] if self.fresh_by else [])):
            if name not in names:
                raise Invalid(f"The contract uses {name!r} without a rule for it.", f'Add column("{name}", …).')
        if bool(self.fresh_by) != bool(self.fresh_within):
            raise Invalid("A contract gives fresh_by and fresh_within together.", "Give both, or none.")
        if self.fresh_within:
            seconds(self.fresh_within)

    def check(self, table: Any, now: str | None = None) -> ContractReport:
        """Check a table (Arrow, pandas or Polars); `now` is ISO 8601 text, by default the present."""
        from loopline.usecases.datasets.checking import check

        return check(self, table, now)


def column(
    name: str,
    type: ColumnType,  # noqa: A002  (the word that people expect here)
    *,
    nullable: bool = False,
    max_missing: float | None = None,
    minimum: int | float | str | None = None,
    maximum: int | float | str | None = None,
    allowed: Sequence[Scalar] = (),
) -> Rule:
    """One column of a contract. `nullable` lets any share of it be empty, `max_missing` a share from 0 to 1."""
    kinds = ColumnType.__args__  # type: ignore[attr-defined]
    if type not in kinds:
        raise Invalid(f"{type!r} is no type for the column {name!r}.", f"Choose one of {', '.join(kinds)}.")
    share = (1.0 if nullable else 0.0) if max_missing is None else float(max_missing)
    if not 0 <= share <= 1:
        raise Invalid(f"max_missing of {name!r} is {share}.", "It is a share between 0 and 1.")
    return Rule(name=name, type=type, max_missing=share, minimum=minimum, maximum=maximum, allowed=tuple(allowed))


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that a batch breaks: on how many rows, with some of them as `row 17: -3`."""

    rule: str
    column: str
    rows: int
    message: str
    examples: tuple[str, ...] = ()


class ContractReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: how many rows were read, how many rules checked, which are broken."""

    rows: int
    checked: int
    broken: tuple[Broken, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.broken

    def text(self) -> str:
        """One line for each broken rule, for people."""
        if self.ok:
            return f"{self.checked} rules hold on {self.rows:,} rows"
        lines = [line.message + (f" ({'; '.join(line.examples)})" if line.examples else "") for line in self.broken]
        return "\n".join(lines)


class Source(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where batches come from: a folder of Parquet and CSV files, or a query.

    `url` of a query is sqlite:///FILE or postgresql://…; `${NAME}` in it is read from the environment and never stored.
    """

    folder: str = ""
    url: str = ""
    query: str = ""

    def __post_init__(self) -> None:
        if bool(self.folder) == bool(self.query):
            raise Invalid("A dataset has one source.", "Give either a folder, or a query with its url.")
        if self.query and not self.url:
            raise Invalid("A query needs the url of its database.", "Write url: sqlite:///data.db or postgresql://….")
        if re.search(r"://[^/@]*:(?!\$\{)[^/@]+@", self.url):
            raise Invalid("The url of a database holds a password.", "Write ${NAME} and set NAME in the environment.")


def wish_of(source: Source, contract: Contract | None) -> dict[str, Any]:
    """A declaration as plain data: where the batches come from, and the digest of what they must be."""
    from blake3 import blake3

    digest = None if contract is None else blake3(msgspec.json.encode(contract, order="sorted")).hexdigest()
    return {"folder": source.folder, "url": source.url, "query": source.query, "contract": digest}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a snapshot: a blob in the format parquet, csv or arrow; `types` are Arrow's, by column."""

    name: str
    digest: str
    format: str
    rows: int
    types: dict[str, str]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was once seen, whether it is used or kept aside."""

    dataset: str
    name: str
    digest: str
    format: str
    rows: int
    bytes: int
    types: dict[str, str]
    state: State
    seen_at: str
    stamp: str = ""
    report: ContractReport | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable state of a dataset; the digest names its manifest (a blob listing its parts).

    `new` says whether the call that answered this made it; `refused` names the batches that are kept aside.
    """

    dataset: str
    digest: str
    parent: str | None
    rows: int
    bytes: int
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    seq: int
    taken_at: str
    taken_by: str
    new: bool = False
    refused: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.dataset


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as declared, and how many batches and snapshots it has."""

    name: str
    source: Source
    contract: Contract | None
    latest: str | None
    snapshots: int
    refused: int
    created_at: str
    created_by: str


def seconds(text: str) -> int:
    """`36h`, `7 days`, … in seconds; Invalid for anything else."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise Invalid(f"{text!r} is no duration.", "Write 30m, 36h, 7d or 2w.")
    return int(match[1]) * _SECONDS[match[2][0]]


def manifest(parts: Sequence[Part]) -> bytes:
    """The bytes whose digest names a snapshot."""
    return msgspec.json.encode({"parts": parts}, order="sorted")
