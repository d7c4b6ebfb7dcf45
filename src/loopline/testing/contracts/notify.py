"""What every channel must prove. Subclass `ChannelContract` and give it fixtures `reached` and `unreached`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from loopline.core.errors import Unavailable
from loopline.ports.notify import Channel, Message

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0c"
    b"IDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"
)
MESSAGE = Message(
    key="k1-opened",
    title="late: AUC fell – 0.61 < 0.70",
    text="AUC 0.61 is below 0.70.\nNext: loopline blame k1",
    html="<p>AUC 0.61 is below 0.70.</p><p>Next: <code>loopline blame k1</code></p>",
    tone="failure",
    thread="k1",
    plot=PNG,
    url="http://127.0.0.1:8400/monitors/late",
)


class Reached(NamedTuple):
    """A channel whose receiver is there; `received()` answers what arrived: maps with `title`, `text`, `key`, `plot`
    (bytes, or None where pictures are not taken)."""

    channel: Channel
    received: Callable[[], Sequence[Mapping[str, Any]]]


class Unreached(NamedTuple):
    """A channel whose receiver is away, and what of its address may not be told."""

    channel: Channel
    secrets: tuple[str, ...]


class ChannelContract:
    """The guarantees of `ports.notify.Channel`."""

    def test_what_was_sent_has_arrived_when_send_returns(self, reached: Reached) -> None:
        reached.channel.send(MESSAGE)
        (found,) = reached.received()
        assert found["title"] == MESSAGE.title
        assert "AUC 0.61 is below 0.70." in found["text"]
        assert "loopline blame k1" in found["text"]
        assert found["plot"] in (PNG, None)

    def test_a_message_that_is_sent_again_has_the_same_key(self, reached: Reached) -> None:
        reached.channel.send(MESSAGE)
        reached.channel.send(MESSAGE)
        assert [found["key"] for found in reached.received()] == ["k1-opened", "k1-opened"]

    def test_a_plain_message_needs_neither_picture_nor_page(self, reached: Reached) -> None:
        reached.channel.send(Message(key="k2", title="A test", text="It works."))
        (found,) = reached.received()
        assert "It works." in found["text"]
        assert found["plot"] is None

    def test_a_receiver_that_is_away_is_told_without_its_address(self, unreached: Unreached) -> None:
        with pytest.raises(Unavailable) as told:
            unreached.channel.send(MESSAGE)
        assert not [secret for secret in unreached.secrets if secret in str(told.value)]
