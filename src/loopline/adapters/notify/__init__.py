"""Ways to reach people: a channel for each kind of address."""

from __future__ import annotations

from loopline.ports.notify import Channel

LINES = "lines:"


def channel_at(address: str) -> Channel:
    """The channel of an address: `lines:PATH` writes lines of JSON to a file, any other is one of Apprise's.

    Unavailable for an address that nothing understands, or when the extra `notify` is not installed.
    """
    if address.startswith(LINES):
        from loopline.adapters.notify.lines import Lines

        return Lines(address.removeprefix(LINES))
    from loopline.adapters.notify.apprise import Apprised

    return Apprised(address)
