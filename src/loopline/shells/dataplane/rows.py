"""A model's signature as a contract for requests: rows and columns of every door become row tuples, or a refusal that
names the row, the field and what it must be. Every door ends here, so that all of them take and refuse the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from loopline.core.errors import Invalid
from loopline.core.tables import Signature
from loopline.core.times import to_ms
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.limits import variable
from loopline.shells.dataplane.ranges import Count, Ranges
from loopline.shells.dataplane.values import GIVEN, KEY, TYPES, Wrong, settled, text_of_time
from loopline.usecases.serving.options import DEFAULTS, Options
from loopline.usecases.serving.records.writing import NO_TIME

FORM = 'Send {"rows": [{…}]} with one object for each row.'
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`\Z", re.S)
_ODD = re.compile(r'[\\"\x00-\x1f]')  # in a name of which msgspec makes no field
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|\bNaN\b')


class Raws(msgspec.Struct, gc=False):
    """Plain rows not looked at yet."""

    rows: list[msgspec.Raw]


_ASTUPLE = msgspec.structs.astuple
_RAWS = msgspec.json.Decoder(Raws)
_RECORD = msgspec.json.Decoder(dict[str, msgspec.Raw])


def nobody(field: str, reason: str, outcome: str) -> None:
    """Count nothing."""


class Rows:
    """What one endpoint takes. A row tuple holds the inputs in order, then key and event time where they are no input.

    `key_at` and `event_at` are their places in the tuple, or None. `count` is told of every value that was refused,
    clipped or let pass outside its range: field (empty for one that is unknown), reason, outcome.
    """

    def __init__(
        self, signature: Signature, key: str | None, event_time: str | None, most_rows: int,
        options: Options = DEFAULTS, count: Count = nobody, most_columnar: int = 0,
    ) -> None:  # fmt: skip
        self.columns = signature.inputs
        self.most_rows = most_rows
        self.most_columnar = most_columnar or most_rows
        names = [column.name for column in signature.inputs]
        self.extra = [name for name in (key, event_time) if name is not None and name not in names]
        self.fields = names + self.extra
        self.key_at = None if key is None else self.fields.index(key)
        self.event_at = None if event_time is None else self.fields.index(event_time)
        self.times = [place for place, column in enumerate(self.columns) if column.type == "timestamp"]
        self.ignores = options.unknown == "ignore"
        self.kinds: list[tuple[str, bool]] = [(column.type, column.nullable) for column in self.columns]
        self.kinds += [("key" if name == key else "timestamp", True) for name in self.extra]
        self._names = set(self.fields)
        self._count = count
        self._ranges = Ranges(self.columns, options.ranges, count)
        self._decoder = self._made_decoder() if not any(_ODD.search(name) for name in self.fields) else None

    def quick(self, body: bytes) -> list[tuple[Any, ...]] | None:
        """`from_plain` in one step, as nearly always is possible; None where it must look at each value."""
        if self._decoder is None:
            return None
        try:
            request = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return self._finished(list(map(_ASTUPLE, request.rows)))

    def from_plain(self, body: bytes) -> list[tuple[Any, ...]]:
        """The rows of `{"rows": [{…}]}`; a Fault names what is wrong."""
        if self._decoder is None:
            return self._slowly(body, "")
        try:
            request = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            return self._slowly(body, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if b"NaN" in body and isinstance(error, msgspec.DecodeError):
                return self._slowly(body, "")
            raise not_json(error) from None
        return self._finished(list(map(_ASTUPLE, request.rows)))

    def from_records(self, records: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Rows as mappings of plain values; a Fault names what is wrong."""
        columns: dict[str, list[Any]] = {name: [] for name in self.fields}
        needed = len(self.columns)
        for number, record in enumerate(records):
            complaint = self._complaint(record, needed)
            if complaint:
                if number:
                    self.from_columns(columns, number)  # a row before it may be wrong
                raise Fault(400, f"Row {number}: {complaint}", self.expected())
            for name, values in columns.items():
                values.append(record.get(name))
        return self.from_columns(columns)

    def from_columns(self, given: Mapping[str, Sequence[Any]], most: int = 0) -> list[tuple[Any, ...]]:
        """Rows from columns of plain values; a Fault names what is wrong. `most` rows where not the usual limit holds."""
        rows = self._row_count(given, most or self.most_rows)
        wrong: list[tuple[int, int, Wrong]] = []
        columns: list[Sequence[Any]] = []
        for place, (name, (kind, nullable)) in enumerate(zip(self.fields, self.kinds, strict=True)):
            values = given.get(name)
            if values is None:
                if place < len(self.columns):
                    self._count(name, "missing", "reject")
                    raise Fault(400, f"The input {name!r} is missing.", self.expected())
                columns.append([None] * rows)
                continue
            try:
                columns.append(settled(kind, nullable, values))
            except Wrong as error:
                wrong.append((error.row, place, error))
        if wrong:
            raise self._refused(*min(wrong, key=lambda each: each[:2]))
        return self._finished(list(zip(*columns, strict=True)))

    def expected(self) -> str:
        """What the model takes, as a hint."""
        told = [f"{column.name} ({column.type}{', or null' if column.nullable else ''})" for column in self.columns]
        also = f"; also taken: {', '.join(self.extra)}" if self.extra else ""
        return f"The model takes {', '.join(told)}{also}."

    def is_known(self, name: str) -> bool:
        """Whether a field is taken; Fault for one that is neither taken nor ignored."""
        if name in self._names:
            return True
        if not self.ignores:
            self._count("", "unknown", "reject")
            raise Fault(400, f"The input {name[:100]!r} is unknown.", self.expected())
        return False

    def _finished(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Rows of the right types, within their ranges, with times as text in UTC: the form in which models get them."""
        if self.times:
            rows = [self._timed(row, place) for place, row in enumerate(rows)]
        return self._ranges.apply(rows) if self._ranges else rows

    def _made_decoder(self) -> msgspec.json.Decoder[Any]:
        fields: list[Any] = [
            (f"f{place}", TYPES[column.type] | None if column.nullable else TYPES[column.type])
            for place, column in enumerate(self.columns)
        ]
        for place, (kind, _) in enumerate(self.kinds[len(fields) :], len(fields)):
            fields.append((f"f{place}", KEY if kind == "key" else datetime | None, None))
        rename = {f"f{place}": name for place, name in enumerate(self.fields)}
        row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=not self.ignores, gc=False)
        rows = Annotated[list[row], Meta(min_length=1, max_length=self.most_rows)]  # type: ignore[valid-type]
        request = msgspec.defstruct("Request", [("rows", rows)], forbid_unknown_fields=True, gc=False)
        return msgspec.json.Decoder(request)

    def _timed(self, row: tuple[Any, ...], number: int) -> tuple[Any, ...]:
        values = list(row)
        for place in self.times:
            try:
                values[place] = text_of_time(values[place])
            except OverflowError:
                raise self._refused(number, place, Wrong(number, "type", "is out of range")) from None
        return tuple(values)

    def _slowly(self, body: bytes, told: str) -> list[tuple[Any, ...]]:
        """Plain rows that the typed decoder refused, looked at value by value: taken after all, or refused in our words."""
        found = _AT.search(told)
        path, what = (found["path"], told[: found.start()]) if found else ("", told)
        if told and not path.startswith(".rows["):
            raise Fault(400, self._about_rows(what), FORM)
        raws = decoded(_RAWS, body).rows
        if not 0 < len(raws) <= self.most_rows:
            raise self.too_many(len(raws), self.most_rows)
        return self.from_records(_record(raw, number, self._names) for number, raw in enumerate(raws))

    def _about_rows(self, what: str) -> str:
        if "length >= 1" in what:
            return "There are no rows in the request."
        if "length <=" in what:
            raise self.too_many(self.most_rows + 1, self.most_rows)
        if "missing required" in what:
            return "The field 'rows' is missing."
        if "unknown field" in what:
            return f"The field {what.split('`')[1][:100]!r} is unknown beside 'rows'."
        return f"The body is not an object with 'rows': {plain(what)}."

    def _complaint(self, record: Mapping[str, Any], needed: int) -> str:
        """What is wrong with the names of a row; empty when nothing is."""
        missing = next((name for name in self.fields[:needed] if name not in record), None)
        if missing is not None:
            self._count(missing, "missing", "reject")
            return f"the field {missing!r} is missing."
        if not self.ignores and not record.keys() <= self._names:
            self._count("", "unknown", "reject")
            return f"the field {next(name for name in record if name not in self._names)[:100]!r} is unknown."
        return ""

    def _refused(self, row: int, place: int, wrong: Wrong) -> Fault:
        self._count(self.fields[place], wrong.reason, "reject")
        return Fault(400, f"Row {row}: the field {self.fields[place]!r} {wrong.told}.", self.expected())

    def _row_count(self, given: Mapping[str, Sequence[Any]], most: int) -> int:
        counts = {len(values) for values in given.values()}
        if len(counts) > 1:
            raise Fault(400, "The inputs have different numbers of rows.", "Send equally many values for each input.")
        rows = counts.pop() if counts else 0
        if not 0 < rows <= most:
            raise self.too_many(rows, most)
        return rows

    def too_many(self, rows: int, most: int) -> Fault:
        """The refusal of no rows, or of more than `most`."""
        if not rows:
            return Fault(400, "There are no rows in the request.", self.expected())
        if most == self.most_rows:
            more = f"Send an Arrow stream, which may have {self.most_columnar}, {variable('ROWS', most * 2)}."
        else:
            more = f"Send several requests, {variable('COLUMNAR_ROWS', most * 2)}."
        return Fault(400, f"A request may have {most} rows.", more)


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Any:
    """The decoded body, in which NaN may stand for null; or a Fault that says where it is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        where = f"{found['path'].lstrip('.')}: " if found and found["path"] else "The body: "
        raise Fault(400, f"{where}{plain(_AT.sub('', str(error)))}.", "See the API's description.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        whole = bytes(body)
        if b"NaN" in whole and isinstance(error, msgspec.DecodeError):
            without = without_nan(whole)
            if without != whole:
                return decoded(decoder, without)
        raise not_json(error) from None


def not_json(error: Exception) -> Fault:
    """The fault for bytes that are no JSON."""
    if isinstance(error, RecursionError):
        return Fault(
            400, "The JSON is nested too deeply: no form of a request has more than five levels.", "Send flat rows."
        )
    if isinstance(error, UnicodeDecodeError):
        return Fault(400, "The body is not text in UTF-8.", "Encode it as UTF-8.")
    return Fault(400, f"The body is not JSON: {str(error).removeprefix('JSON is malformed: ')}.", "Send JSON.")


def given(what: str) -> str:
    """What a library says was there instead, in our words."""
    found = re.search(r"got `(\w+)`", what)
    return GIVEN.get(found[1], found[1]) if found else ""


def plain(what: str) -> str:
    """A library's complaint without its quotes."""
    return what.replace("`", "'")[:1].lower() + what.replace("`", "'")[1:200]


def ms_of_time(value: Any) -> int:
    """A time of a row, or of an input that is one as text, in milliseconds; NO_TIME for anything else."""
    if isinstance(value, str):
        with contextlib.suppress(Invalid):
            return to_ms(value)
    if not isinstance(value, datetime):
        return NO_TIME
    return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)


def without_nan(body: bytes) -> bytes:
    """JSON in which the numbers NaN that some clients write are null; text is left as it is."""
    return _TOKEN.sub(lambda found: b"null" if found[0] == b"NaN" else found[0], body)


def _record(raw: msgspec.Raw, number: int, names: set[str]) -> dict[str, Any]:
    """A row as its plain values; what is not among `names`, and lists and objects, are not looked into."""
    try:
        record = _RECORD.decode(raw)
    except msgspec.ValidationError as error:
        raise Fault(400, f"Row {number}: it is not an object: {plain(_AT.sub('', str(error)))}.", FORM) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
    return {name: _scalar(bytes(value)) if name in names else None for name, value in record.items()}


def _scalar(raw: bytes) -> Any:
    if raw[:1] in b"[{":
        return [] if raw[:1] == b"[" else {}
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:  # 1e999
        return float("inf")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
