"""Where messages are sent to people."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Tone = Literal["failure", "warning", "success", "info"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message in both forms: `text` is plain, `html` a fragment without scripts or remote pictures.

    `key` names the message for ever and is the same when it is sent again, so that a receiver can drop a repeat;
    `thread` is shared by messages about one incident. `plot` is a PNG picture or None; `url` is a page or "".
    """

    key: str
    title: str
    text: str
    html: str = ""
    tone: Tone = "info"
    thread: str = ""
    plot: bytes | None = None
    url: str = ""


class Channel(Protocol):
    """One way to reach somebody. Guarantees: what `send` returned from was accepted by the receiver, with title, text,
    picture (where the service takes pictures) and key; it ends within a minute. Error: Unavailable, for an address that
    nothing can be sent to as for a receiver that is away or refuses; its text never holds the address or a part of it."""

    def send(self, message: Message) -> None:
        """Hand the message over."""
