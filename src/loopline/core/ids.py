"""Names for things: random ids, and the rule that every name from a client must obey."""

from __future__ import annotations

import os
import re

from loopline.core.errors import Invalid

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


def new_id() -> str:
    """32 hexadecimal digits, random (the form of a run id)."""
    return os.urandom(16).hex()


def checked_name(kind: str, name: object) -> str:
    """`name`, or Invalid when it could not serve as a file name, address or key everywhere.

    `kind` is the word for the thing in the error ("endpoint", "model", …).
    """
    if isinstance(name, str) and NAME.match(name):
        return name
    raise Invalid(
        f"{name!r} cannot be the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}.",
        "Use 1 to 100 letters, digits, dots, dashes or underscores, beginning with a letter or digit.",
    )
