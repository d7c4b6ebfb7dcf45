"""What nobody foresaw: the log gets all of it, the reader a number to ask about."""

from __future__ import annotations

import logging
import secrets

log = logging.getLogger("loopline.http")


def logged() -> str:
    """Write the error that is being dealt with into the log; answers its number."""
    number = secrets.token_hex(6)
    log.exception("error %s", number)
    return number
