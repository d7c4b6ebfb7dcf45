"""Channels keep the port's promises against real receivers: a mail server, a webhook sink, a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.adapters.notify import channel_at
from loopline.adapters.notify.apprise import masked, secrets_in
from loopline.core.errors import Unavailable
from loopline.testing.contracts.notify import MESSAGE, ChannelContract, Reached, Unreached
from loopline.testing.receivers import free_port, mail_server, webhook_sink

pytestmark = pytest.mark.integration
PASSWORD = "gReenHorse77"


def mailed(message: Any) -> dict[str, Any]:
    text = message.get_body(("plain",)) or message.get_body(("html",))
    pictures = [part.get_content() for part in message.walk() if part.get_content_type() == "image/png"]
    return {
        "title": message["Subject"],
        "text": text.get_content(),
        "key": message["X-Loopline-Message"],
        "plot": pictures[0] if pictures else None,
    }


def hooked(call: dict[str, Any]) -> dict[str, Any]:
    body = call["body"]
    pictures = [base64.b64decode(one["base64"]) for one in body["attachments"]]
    key = call["headers"]["x-loopline-message"]
    return {"title": body["title"], "text": body["message"], "key": key, "plot": pictures[0] if pictures else None}


class TestMail(ChannelContract):
    @pytest.fixture
    def reached(self) -> Iterator[Reached]:
        with mail_server() as server:
            channel = channel_at(f"mailto://127.0.0.1:{server.port}?from=loopline@example.org&to=night@example.org")
            yield Reached(channel, lambda: [mailed(one) for one in server.all()])

    @pytest.fixture
    def unreached(self) -> Unreached:
        address = f"mailto://anna:{PASSWORD}@127.0.0.1:{free_port()}?from=anna@example.org&to=night@example.org"
        return Unreached(channel_at(address), (PASSWORD, "anna", "127.0.0.1", "night@example.org"))

    def test_a_repeat_has_the_same_message_id_so_that_servers_drop_it(self, reached: Reached) -> None:
        with mail_server() as server:
            address = f"mailto://127.0.0.1:{server.port}?from=loopline@example.org&to=night@example.org"
            for _ in range(2):
                channel_at(address).send(MESSAGE)
            ids = {message["Message-ID"] for message in server.all()}
        assert len(server.all()) == 2
        assert len(ids) == 1
        assert "k1-opened" in ids.pop()


class TestWebhook(ChannelContract):
    @pytest.fixture
    def reached(self) -> Iterator[Reached]:
        with webhook_sink() as sink:
            channel = channel_at(f"json://127.0.0.1:{sink.port}/hooks/{PASSWORD}")
            yield Reached(channel, lambda: [hooked(one) for one in sink.all()])

    @pytest.fixture
    def unreached(self) -> Unreached:
        address = f"json://127.0.0.1:{free_port()}/hooks/{PASSWORD}"
        return Unreached(channel_at(address), (PASSWORD, "127.0.0.1"))

    def test_a_receiver_that_refuses_is_an_error(self) -> None:
        with webhook_sink() as sink:
            sink.refuse = True
            with pytest.raises(Unavailable, match="did not take"):
                channel_at(f"json://127.0.0.1:{sink.port}/").send(MESSAGE)


class TestLines(ChannelContract):
    @pytest.fixture
    def reached(self, tmp_path: Path) -> Reached:
        def received() -> list[dict[str, Any]]:
            found = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
            return [one | {"plot": one["plot"] and base64.b64decode(one["plot"])} for one in found]

        return Reached(channel_at(f"lines:{tmp_path / 'alerts.jsonl'}"), received)

    @pytest.fixture
    def unreached(self, tmp_path: Path) -> Unreached:
        place = tmp_path / "nowhere" / "alerts.jsonl"
        return Unreached(channel_at(f"lines:{place}"), (str(place), "nowhere"))


def test_an_address_that_nothing_understands_is_told_without_it() -> None:
    with pytest.raises(Unavailable) as told:
        channel_at(f"carrier-pigeon://{PASSWORD}")
    assert PASSWORD not in str(told.value)


def test_no_part_of_an_address_is_told() -> None:
    hidden = secrets_in("slack://tokenA/token%20B/tokenC?to=ops")
    told = masked("cannot post to https://hooks/tokena/Token B/tokenC for ops (token%20B)", hidden)
    assert not any(secret in told for secret in ("tokena", "Token B", "tokenC", "token%20B", "ops"))
