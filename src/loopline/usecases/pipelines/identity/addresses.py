"""Addresses that a step reads: the server's own mark for a content, or the content's digest."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from blake3 import blake3

from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Unavailable
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity.externals import bare, filled, hidden, of_path

TIMEOUT_S = 20.0
_BLOCK = 1 << 20
_OPENER = urllib.request.build_opener()


def of_url(written: str, folder: Path) -> str:
    """The digest of what lies at an address: by ETag, else Last-Modified and length, else the content itself."""
    whole = filled(written, f"the address {bare(written)}")
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:
        raise unknown(written) from None
    if parts.scheme == "file":
        return digest("url", of_path(folder / unquote(parts.path), bare(written)))
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise unknown(written)
    try:
        return _marked(parts) or _read(parts)
    except urllib.error.HTTPError as error:
        with error:
            raise answered(written, error.code) from None
    except (OSError, HTTPException, ValueError) as error:
        reason = hidden(str(getattr(error, "reason", "") or error), written, whole)
        raise Unavailable(
            f"The address {bare(written)}, which a step uses, cannot be reached: {reason}", "Try again later."
        ) from None


def unknown(written: str) -> Invalid:
    """The refusal of an address of another kind."""
    return Invalid(
        f"{bare(written)[:200]!r} is no address that a step can use.", "Write http://…, https://… or file:///…."
    )


def answered(written: str, status: int) -> LooplineError:
    """What an answer other than 200 means."""
    said = f"The address {bare(written)}, which a step uses, answers {status}."
    if status in (404, 410):
        return NotFound(said, "Correct uses=[Url(…)] of the step.")
    if status in (401, 403, 407):
        return Refused(said, "Put what it asks for into the address as ${NAME}, and set that variable.")
    return Unavailable(said, "Try again later.")


def _marked(parts: SplitResult) -> str:
    """The digest of the server's mark; empty when it gives none, or knows no HEAD."""
    try:
        with _opened(parts, "HEAD") as answer:
            return mark_of(answer.headers)
    except urllib.error.HTTPError as error:
        error.close()
        return ""


def mark_of(headers: HTTPMessage) -> str:
    """ETag, else Last-Modified with the length, as a digest."""
    if headers.get("ETag"):
        return digest("url", "etag", str(headers["ETag"]))
    if headers.get("Last-Modified"):
        return digest("url", "modified", str(headers["Last-Modified"]), str(headers.get("Content-Length") or ""))
    return ""


def _read(parts: SplitResult) -> str:
    hasher = blake3()
    with _opened(parts, "GET") as answer:
        expected = answer.headers.get("Content-Length")
        size = 0
        while block := answer.read(_BLOCK):
            hasher.update(block)
            size += len(block)
    if expected is not None and expected.isdigit() and int(expected) != size:
        raise OSError(f"it ended after {size} of {expected} bytes")
    return digest("url", "content", hasher.hexdigest())


def _opened(parts: SplitResult, method: str) -> Any:
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    headers = {"Accept-Encoding": "identity"}
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 (http and https alone)
    if parts.username is not None:  # sent to this host alone, not where it redirects to
        word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(word.encode()).decode()}")
    return _OPENER.open(request, timeout=TIMEOUT_S)
