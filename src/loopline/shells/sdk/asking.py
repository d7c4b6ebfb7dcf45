"""From a verb's name and fields to its checked request, the same for both clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Verb


def request_for(verb: Verb, fields: Mapping[str, Any]) -> Any:
    """The verb's request, checked; Invalid names the field that is wrong."""
    known = {field.encode_name for field in msgspec.structs.fields(verb.request)}
    for unknown in sorted(fields.keys() - known):
        raise Invalid(f"{verb.name} takes no {unknown!r}.", f"It takes {', '.join(sorted(known)) or 'nothing'}.")
    try:
        return msgspec.convert(msgspec.to_builtins(dict(fields)), verb.request, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{verb.name} was called wrongly: {error}.", verb.summary + ".") from None
