"""Who presents a token: answers are kept for a moment, under a keyed hash, so that requests need no look-up."""

from __future__ import annotations

import contextlib
import hashlib
import os
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from loopline.core.verbs import Caller
from loopline.shells.dataplane.answers import Fault

Found = Callable[[Caller | None, bool], None]
LIFE_S = 2.0
MOST = 4096


class Tokens:
    """`verify(secret)` is asked in a thread. A token is known by a keyed hash only: looking one up takes the same
    time whatever is presented. An unknown token is asked for anew each time; `forget` drops everything."""

    def __init__(self, verify: Callable[[str], Caller | None], loop: Any, executor: Executor) -> None:
        self._verify = verify
        self._loop = loop
        self._executor = executor
        self._secret = os.urandom(32)
        self._known: dict[bytes, tuple[Caller, float]] = {}
        self._asked: dict[bytes, list[Found]] = {}

    def known(self, token: bytes) -> Caller | None:
        """The caller, when that was found out less than two seconds ago."""
        return self.holder(self.key(token))

    def key(self, token: bytes) -> bytes:
        """Under what a token is known: a keyed hash."""
        return hashlib.blake2b(token, key=self._secret, digest_size=16).digest()

    def holder(self, key: bytes) -> Caller | None:
        """As `known`, for the key of a token."""
        found = self._known.get(key)
        if found is None or found[1] < self._loop.time():
            return None
        return found[0]

    def look_up(self, token: bytes, then: Found) -> None:
        """Find out, then call `then` on the loop with the caller or None, and whether it could be found out at all.

        When it could not, who was known before stays known: serving does not stop because the database does."""
        key = self.key(token)
        asked = self._asked.setdefault(key, [])
        asked.append(then)
        if len(asked) == 1:
            future = self._loop.run_in_executor(self._executor, self._ask, token)
            future.add_done_callback(lambda done: self._told(key, done))

    def forget(self) -> None:
        """Ask again for every token: one may have been revoked."""
        self._known = {key: (caller, 0.0) for key, (caller, _) in self._known.items()}

    def _ask(self, token: bytes) -> Caller | None:
        try:
            return self._verify(token.strip().decode("ascii"))
        except UnicodeDecodeError:
            return None

    def _told(self, key: bytes, done: Any) -> None:
        broken = done.cancelled() or done.exception() is not None
        caller = self._known.get(key, (None,))[0] if broken else done.result()
        if caller is None:
            self._known.pop(key, None)
        else:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = (caller, self._loop.time() + LIFE_S)
        for then in self._asked.pop(key, ()):
            then(caller, broken)


def presented(header: bytes | None) -> bytes:
    """The token of an Authorization header: as a bearer's, or as the password of clients that know only passwords.
    Fault when there is none."""
    if header is not None and 0 < len(header) <= 4096:
        if header[:7].lower() == b"bearer ":
            return header[7:]
        if header[:6].lower() == b"basic ":
            with contextlib.suppress(ValueError):
                return b64decode(header[6:].strip(), validate=True).partition(b":")[2]
    raise unknown("The request carries no token.")


def unknown(message: str) -> Fault:
    """The refusal of a caller whom nobody knows."""
    return Fault(
        401,
        message,
        "Send Authorization: Bearer TOKEN; `loopline token new` makes one.",
        b"www-authenticate: Bearer\r\n",
    )
