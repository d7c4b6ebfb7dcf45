"""MLflow's scoring forms: `dataframe_split`, `dataframe_records`, `instances`, `inputs` and CSV become rows.

As in MLflow 3's scoring server, except that the signature decides: a column that the model does not take is refused
unless the endpoint ignores such, and no type is guessed. Forms without names give the columns in the signature's order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.rows import Rows, decoded
from loopline.shells.dataplane.values import Scalar

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
HINT = f"Send one of {', '.join(FORMS)}."
EMPTY = frozenset(
    ("", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "<NA>")
)  # of those that pandas takes for a gap
TRUTHS = {"true": True, "false": False}
Cell = Scalar | list[Scalar]
Row = tuple[Any, ...]
ABSENT = msgspec.Raw(b"")


class Body(msgspec.Struct, gc=False):
    """A request; `params` and whatever else is sent are not looked at, as this kind of model takes none."""

    dataframe_split: msgspec.Raw = ABSENT
    dataframe_records: msgspec.Raw = ABSENT
    instances: msgspec.Raw = ABSENT
    inputs: msgspec.Raw = ABSENT


class Split(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A table as pandas' `to_dict(orient="split")` has it."""

    data: list[list[Scalar]]
    columns: list[str | int] | None = None
    index: list[Cell] | None = None


_BODY = msgspec.json.Decoder(Body)
_SPLIT = msgspec.json.Decoder(Split)
_RECORDS = msgspec.json.Decoder(list[dict[str, Scalar]])
_INSTANCES = msgspec.json.Decoder(list[Scalar | list[Cell] | dict[str, Cell]])
_INPUTS = msgspec.json.Decoder(Scalar | list[Scalar | list[Cell] | dict[str, Cell]] | dict[str, Scalar | list[Cell]])


def from_json(contract: Rows, body: bytes) -> list[Row]:
    """The rows of a JSON body; a Fault names what is wrong."""
    request = decoded(_BODY, body)
    given = {name: getattr(request, name) for name in FORMS if getattr(request, name) is not ABSENT}
    if len(given) != 1:
        told = f"has {' and '.join(given)}" if given else f"has none of {', '.join(FORMS)}"
        raise Fault(400, f"The body {told}.", HINT)
    name, raw = given.popitem()
    return READERS[name](contract, raw)


def from_csv(contract: Rows, body: bytes) -> list[Row]:
    """The rows of text with a line of names first; a Fault names what is wrong."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, [])
        rows = [line for line in lines if line]
    except UnicodeDecodeError:
        raise Fault(400, "The body is not text in UTF-8.", "Encode it as UTF-8.") from None
    except csv.Error as error:
        raise Fault(
            400, f"The body is not CSV: {error}.", "Send comma-separated values with names in the first line."
        ) from None
    columns = _columns(contract, names, rows)
    columns.pop("", None)  # the index that pandas writes
    kinds = dict(zip(contract.fields, contract.kinds, strict=True))
    typed = {
        name: [_cell(text, kinds[name][0]) for text in values] for name, values in columns.items() if name in kinds
    }
    return _from_columns(contract, {**columns, **typed})


def _split(contract: Rows, raw: msgspec.Raw) -> list[Row]:
    table = decoded(_SPLIT, raw)
    if table.columns is None:
        return _from_lists(contract, table.data)
    return _from_columns(contract, _columns(contract, [str(name) for name in table.columns], table.data))


def _records(contract: Rows, raw: msgspec.Raw) -> list[Row]:
    return _from_records(contract, decoded(_RECORDS, raw))


def _instances(contract: Rows, raw: msgspec.Raw) -> list[Row]:
    return _from_list(contract, decoded(_INSTANCES, raw))


def _inputs(contract: Rows, raw: msgspec.Raw) -> list[Row]:
    found = decoded(_INPUTS, raw)
    if isinstance(found, dict):
        whole = {name: values if isinstance(values, list) else [values] for name, values in found.items()}
        return _from_columns(contract, {name: [_single(value) for value in values] for name, values in whole.items()})
    return _from_list(contract, found if isinstance(found, list) else [found])


READERS = {"dataframe_split": _split, "dataframe_records": _records, "instances": _instances, "inputs": _inputs}


def _from_list(contract: Rows, found: Sequence[Any]) -> list[Row]:
    """Rows as objects, as lists, or as the bare values of a single column."""
    if all(isinstance(each, dict) for each in found):
        return _from_records(contract, [{name: _single(value) for name, value in each.items()} for each in found])
    rows = [[_single(value) for value in each] if isinstance(each, list) else [each] for each in found]
    return _from_lists(contract, rows)


def _from_records(contract: Rows, records: Sequence[Mapping[str, Any]]) -> list[Row]:
    if not 0 < len(records) <= contract.most_rows:
        raise contract.too_many(len(records), contract.most_rows)
    return contract.from_records(records)


def _from_lists(contract: Rows, rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows without names: the model's inputs in order."""
    return _from_columns(contract, _columns(contract, [column.name for column in contract.columns], rows))


def _columns(contract: Rows, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Sequence[Any]]:
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise Fault(400, f"The column {twice[:100]!r} is there twice.", contract.expected())
    if not 0 < len(rows) <= contract.most_rows:
        raise contract.too_many(len(rows), contract.most_rows)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Fault(400, f"Row {number}: it has {len(row)} values for {len(names)} columns.", contract.expected())
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _from_columns(contract: Rows, given: Mapping[str, Sequence[Any]]) -> list[Row]:
    return contract.from_columns({name: values for name, values in given.items() if contract.is_known(name)})


def _single(value: Any) -> Any:
    """The value in a list of one, as tensors of shape [1] are sent."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _cell(text: str, kind: str) -> Any:
    """A field of CSV as the column's type would have it; what does not fit stays text and is refused later."""
    if kind in ("string", "timestamp", "key"):
        return text or None
    if text.strip() in EMPTY:
        return None
    if kind == "boolean":
        return TRUTHS.get(text.strip().lower(), text)
    try:
        return (
            text
            if "_" in text
            else int(text)
            if kind == "integer" and "." not in text and "e" not in text.lower()
            else float(text)
        )
    except ValueError:
        return text
