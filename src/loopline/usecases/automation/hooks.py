"""Signed deliveries from outside: who holds the secret of a webhook may set its policy off, once for each delivery."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid, LooplineError, Refused

LARGEST_BODY = 256 * 1024
WINDOW_S = 300
LONGEST_NAME = 200
SIGNATURE, TIMESTAMP, DELIVERY = "x-loopline-signature", "x-loopline-timestamp", "x-loopline-delivery"
GITHUB_SIGNATURE, GITHUB_DELIVERY, GITHUB_EVENT = "x-hub-signature-256", "x-github-delivery", "x-github-event"
NO_SECRET = os.urandom(32)


class Delivery(msgspec.Struct, frozen=True):
    """A delivery whose signature is right. `names` are all that it is known by: its id, and its signature, which no
    one can change who sends it again."""

    names: tuple[str, ...]
    body: Mapping[str, Any]


def refused() -> LooplineError:
    """The one answer to every delivery that is not right: it tells nothing about policies and secrets."""
    return Refused("This delivery is not signed for here.", "Sign it as docs/automation.md says.")


def received(secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> Delivery:
    """Check a delivery. `headers` have names in small letters, `now` is in seconds since 1970 UTC.

    Our signature is HMAC-SHA256 over the timestamp, a dot and the body, good for five minutes around the timestamp;
    GitHub's is over the body alone. Raises Refused for a wrong one, Invalid for a body that is no JSON object.
    """
    key = secret or NO_SECRET
    ours = headers.get(SIGNATURE, "")
    timestamp = headers.get(TIMESTAMP, "")
    given = ours or headers.get(GITHUB_SIGNATURE, "")
    signed = f"{timestamp}.".encode() + body if ours else body
    right = hmac.compare_digest(signature(key, signed).encode(), given.encode())
    if not (right and secret and (not ours or _is_recent(timestamp, now))):
        raise refused()
    if len(body) > LARGEST_BODY:
        raise Invalid("The delivery is too large.", f"At most {LARGEST_BODY} bytes are taken.")
    name = headers.get(DELIVERY if ours else GITHUB_DELIVERY, "")[:LONGEST_NAME]
    event = {"event": headers[GITHUB_EVENT]} if GITHUB_EVENT in headers and not ours else {}
    return Delivery((*((f"id:{name}",) if name else ()), given), {**event, **_object(body)})


def signature(secret: bytes, signed: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 in hexadecimal."""
    return "sha256=" + hmac.new(secret, signed, sha256).hexdigest()


def secret_of(source: Mapping[str, str], folder: str) -> bytes:
    """The secret where a policy says it stands ({env: NAME} or {file: path from the project's folder}); empty when it
    is not there. Read anew each time, kept nowhere."""
    if "env" in source:
        return os.environ.get(source["env"], "").encode()
    if "file" not in source:
        return b""
    try:
        return Path(folder, source["file"]).read_bytes().strip()
    except OSError:
        return b""


def _is_recent(timestamp: str, now: float) -> bool:
    return timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15 and abs(now - int(timestamp)) <= WINDOW_S


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        data = None
    if not isinstance(data, dict):
        raise Invalid("The delivery is not a JSON object.", 'Send one, as {"days": 7}.')
    return data
