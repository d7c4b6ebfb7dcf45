"""A model's signature as a contract for requests: plain rows and Open Inference Protocol tensors become row tuples."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.core.times import to_ms, to_text
from loopline.shells.dataplane.answers import Fault
from loopline.usecases.serving.records.writing import NO_TIME

INT64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
INT32 = Annotated[int, Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
TYPES: dict[str, Any] = {"float": float, "integer": INT64, "string": str, "boolean": bool, "timestamp": datetime}
KEY = Annotated[str, Meta(max_length=1000)] | INT64 | None
WORDS = {"float": "a number", "integer": "an integer", "string": "text", "boolean": "true or false",
         "timestamp": "a time as in 2013-04-01T12:00:00Z"}  # fmt: skip
GIVEN = {"str": "text", "int": "an integer", "float": "a number with a fraction", "bool": "true or false",
         "array": "a list", "object": "an object", "null": "null"}  # fmt: skip
DATATYPES: dict[str, dict[str, Any]] = {
    "float": {"FP64": float, "FP32": float, "INT64": INT64, "INT32": INT32},
    "integer": {"INT64": INT64, "INT32": INT32},
    "boolean": {"BOOL": bool},
    "string": {"BYTES": str},
    "timestamp": {"BYTES": datetime},
}
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`\Z", re.S)
_ROW = re.compile(r"\.rows\[(?P<row>[0-9]+|\.\.\.)\](?:\.(?P<field>.*))?\Z", re.S)


class Tensor(msgspec.Struct, gc=False):
    """One input of the Open Inference Protocol."""

    name: str
    shape: list[Annotated[int, Meta(ge=0)]]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] | None = None


class Infer(msgspec.Struct, gc=False):
    """A request of the Open Inference Protocol."""

    inputs: list[Tensor]
    id: Annotated[str, Meta(max_length=1000)] | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Any] | None = None


_INFER = msgspec.json.Decoder(Infer)


class Rows:
    """What one endpoint takes. A row tuple holds the inputs in order, then key and event time where they are no input.

    `key_at` and `event_at` are their places in the tuple, or None.
    """

    def __init__(self, signature: Signature, key: str | None, event_time: str | None, most_rows: int) -> None:
        self.columns = signature.inputs
        self.most_rows = most_rows
        names = [column.name for column in signature.inputs]
        self.extra = [name for name in (key, event_time) if name is not None and name not in names]
        self.fields = names + self.extra
        self.key_at = None if key is None else self.fields.index(key)
        self.event_at = None if event_time is None else self.fields.index(event_time)
        self.times = [place for place, column in enumerate(self.columns) if column.type == "timestamp"]
        self._types = {column.name: column for column in self.columns}
        self._extra_types: dict[str, Any] = {}
        if key in self.extra:
            self._extra_types[str(key)] = KEY
        if event_time in self.extra:
            self._extra_types[str(event_time)] = datetime | None
        self._decoder = self._made_decoder()

    def from_plain(self, body: bytes) -> list[tuple[Any, ...]]:
        """The rows of `{"rows": [{…}]}`; a Fault names what is wrong."""
        try:
            request = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._fault(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json(error) from None
        astuple = msgspec.structs.astuple
        rows = [astuple(row) for row in request.rows]
        return [self._timed(row, place) for place, row in enumerate(rows)] if self.times else rows

    def from_tensors(self, body: bytes) -> tuple[list[tuple[Any, ...]], str | None]:
        """The rows of an Open Inference Protocol request, and its id; a Fault names what is wrong."""
        request = decoded(_INFER, body)
        given: dict[str, list[Any]] = {}
        for tensor in request.inputs:
            if tensor.name in given:
                raise Fault(400, f"The input {tensor.name[:100]!r} is there twice.", self._expected())
            given[tensor.name] = self._values(tensor)
        rows = self._row_count(given)
        for column in self.columns:
            if column.name not in given:
                raise Fault(400, f"The input {column.name!r} is missing.", self._expected())
        values = [given.get(name) or [None] * rows for name in self.fields]
        found = list(zip(*values, strict=True))
        return [self._timed(row, place) for place, row in enumerate(found)] if self.times else found, request.id

    def _made_decoder(self) -> msgspec.json.Decoder[Any]:
        fields: list[Any] = [
            (f"f{place}", TYPES[column.type] | None if column.nullable else TYPES[column.type])
            for place, column in enumerate(self.columns)
        ]
        for place, name in enumerate(self.extra, len(fields)):
            fields.append((f"f{place}", self._extra_types[name], None))
        rename = {f"f{place}": name for place, name in enumerate(self.fields)}
        row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True, gc=False)
        rows = Annotated[list[row], Meta(min_length=1, max_length=self.most_rows)]  # type: ignore[valid-type]
        request = msgspec.defstruct("Request", [("rows", rows)], forbid_unknown_fields=True, gc=False)
        return msgspec.json.Decoder(request)

    def _timed(self, row: tuple[Any, ...], number: int) -> tuple[Any, ...]:
        """The row with its times as text in UTC, the form in which models get them."""
        values = list(row)
        for place in self.times:
            try:
                values[place] = text_of_time(values[place])
            except OverflowError:
                name = self.fields[place]
                raise Fault(400, f"Row {number}: the field {name!r} is out of range.", self._expected()) from None
        return tuple(values)

    def _fault(self, text: str) -> Fault:
        """A library's complaint in our words."""
        found = _AT.search(text)
        path, what = (found["path"], text[: found.start()]) if found else ("", text)
        where = _ROW.match(path)
        if where is None:
            return Fault(400, self._about_rows(what), 'Send {"rows": [{…}]} with one object for each row.')
        row = f"Row {where['row']}: "
        if where["field"] is None:
            return Fault(400, row + self._about_row(what), self._expected())
        name = self._named(where["field"])
        return Fault(400, row + self._about_value(name, what), self._expected())

    def _about_rows(self, what: str) -> str:
        if "length >= 1" in what:
            return "There are no rows in the request."
        if "length <=" in what:
            return f"A request may have {self.most_rows} rows."
        if "missing required" in what:
            return "The field 'rows' is missing."
        if "unknown field" in what:
            return f"The field {what.split('`')[1][:100]!r} is unknown beside 'rows'."
        return f"The body is not an object with 'rows': {plain(what)}."

    def _about_row(self, what: str) -> str:
        if "missing required" in what:
            return f"the field {what.split('`', 1)[1][:-1]!r} is missing."
        if "unknown field" in what:
            return f"the field {what.split('`', 1)[1][:-1][:100]!r} is unknown."
        return f"it is not an object: {plain(what)}."

    def _about_value(self, name: str, what: str) -> str:
        column = self._types.get(name)
        word = WORDS[column.type] if column else "text or an integer" if self._is_key(name) else WORDS["timestamp"]
        if what.endswith("got `null`"):
            return f"the field {name!r} may not be null; it is {word}."
        if "out of range" in what or what.startswith("Expected `int` "):
            return f"the field {name!r} is too large for {word}."
        return f"the field {name!r} must be {word}{', not ' + given(what) if given(what) else ''}."

    def _is_key(self, name: str) -> bool:
        return self.key_at is not None and self.fields[self.key_at] == name

    def _named(self, path: str) -> str:
        """The field that a path leads into, whose name may itself hold dots."""
        return max((name for name in self.fields if path.startswith(name)), key=len, default=path[:100])

    def _expected(self) -> str:
        told = [f"{column.name} ({column.type}{', or null' if column.nullable else ''})" for column in self.columns]
        also = f"; also taken: {', '.join(self.extra)}" if self.extra else ""
        return f"The model takes {', '.join(told)}{also}."

    def _values(self, tensor: Tensor) -> list[Any]:
        """The values of one tensor of shape [n] or [n,1], of the right type."""
        name, data, shape = tensor.name[:100], tensor.data, tensor.shape
        if tensor.name not in self.fields:
            raise Fault(400, f"The input {name!r} is unknown.", self._expected())
        if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
            raise Fault(
                400, f"The input {name!r} has the shape {shape[:8]}.", "Send one column an input: [n] or [n, 1]."
            )
        if data and isinstance(data[0], list):
            if not all(isinstance(each, list) and len(each) == 1 for each in data):
                raise Fault(400, f"The input {name!r} has rows that are not of length 1.", "Send shape [n, 1].")
            data = [each[0] for each in data]
        if len(data) != shape[0]:
            raise Fault(400, f"The input {name!r} has {len(data)} values but the shape {shape}.", "Make them agree.")
        return self._typed(tensor, data)

    def _typed(self, tensor: Tensor, data: list[Any]) -> list[Any]:
        name, column = tensor.name, self._types.get(tensor.name)
        if column is None:
            taken: tuple[str, ...] = ("BYTES", "INT64") if self._is_key(name) else ("BYTES",)
            kind = self._extra_types[name]
        else:
            kinds = DATATYPES[column.type]
            taken = tuple(kinds)
            kind = kinds.get(tensor.datatype)
            kind = kind | None if kind is not None and column.nullable else kind
        if tensor.datatype not in taken:
            raise Fault(
                400,
                f"The input {name!r} has the datatype {tensor.datatype[:20]!r}.",
                f"Send it as {' or '.join(taken)}.",
            )
        try:
            return msgspec.convert(data, list[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            found = _AT.search(str(error))
            place = (found["path"] if found else "").strip("[]")
            raise Fault(
                400, f"Row {place}: {self._about_value(name, _AT.sub('', str(error)))}", self._expected()
            ) from None

    def _row_count(self, given: dict[str, list[Any]]) -> int:
        counts = {len(values) for values in given.values()}
        if len(counts) > 1:
            raise Fault(400, "The inputs have different numbers of rows.", "Send equally many values for each input.")
        rows = counts.pop() if counts else 0
        if not 0 < rows <= self.most_rows:
            message = f"A request may have {self.most_rows} rows." if rows else "There are no rows in the request."
            raise Fault(400, message, self._expected())
        return rows


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """The decoded body, or a Fault that says where it is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        where = f"{found['path'].lstrip('.')}: " if found and found["path"] else "The body: "
        raise Fault(400, f"{where}{plain(_AT.sub('', str(error)))}.", "See the API's description.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def not_json(error: Exception) -> Fault:
    """The fault for bytes that are no JSON."""
    if isinstance(error, RecursionError):
        return Fault(400, "The JSON is nested too deeply.", "Send flat rows.")
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


def text_of_time(value: datetime | None) -> str | None:
    """A time of a row as text in UTC."""
    return None if value is None else to_text(value if value.tzinfo else value.replace(tzinfo=UTC))


def ms_of_time(value: Any) -> int:
    """A time of a row, or of an input that is one as text, in milliseconds; NO_TIME for anything else."""
    if isinstance(value, str):
        with contextlib.suppress(Invalid):
            return to_ms(value)
    if not isinstance(value, datetime):
        return NO_TIME
    return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)


def metadata(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Columns as the Open Inference Protocol describes tensors."""
    return [{"name": c.name, "datatype": next(iter(DATATYPES[c.type])), "shape": [-1]} for c in columns]
