"""The outbox: written with the fact, in order for each incident, no more than a channel takes, given up at last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.adapters.databases.sqlite import SQLite
from loopline.app.migrations.runner import bring_up_to_date
from loopline.core.errors import NotFound, Unavailable
from loopline.ports.notify import Message
from loopline.testing.fakes import FixedClock
from loopline.usecases.monitoring.incidents import Incidents
from loopline.usecases.monitoring.messages import Messages
from loopline.usecases.monitoring.model import messages as rules
from loopline.usecases.monitoring.model.alerts import Alert, Finding

pytestmark = pytest.mark.unit


@dataclass
class Receiver:
    """A channel that remembers; `away` makes it refuse, `after` is called with each message that it took."""

    taken: list[Message] = field(default_factory=list)
    away: bool = False
    after: Callable[[Message], None] = lambda message: None

    def send(self, message: Message) -> None:
        if self.away:
            raise Unavailable("The receiver is away.")
        self.taken.append(message)
        self.after(message)

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.taken]


@dataclass
class Box:
    """An outbox over a real database, its channels and their receivers."""

    database: SQLite
    clock: FixedClock
    messages: Messages
    incidents: Incidents
    channels: list[dict[str, Any]]
    receivers: dict[str, Receiver]
    window: int = 0

    def settle(self, state: str, cause: str = "latency", endpoint: str = "late", **changes: Any) -> None:
        """One more window of an endpoint that is "wrong" or "well"."""
        self.window += 1
        window = f"2013-04-{self.window % 28 + 1:02d}T00:00:00.000Z"
        if self.window > 28:
            window = f"20{13 + self.window // 28}-04-{self.window % 28 + 1:02d}T00:00:00.000Z"
        known: dict[str, Any] = {"first_window": window, "version": 1, "value": 9.0, "limit": 5.0}
        known["message"] = f"p99 latency of {endpoint} is 9 ms (at most 5 ms)"
        finding = Finding(cause=cause, state=state, window=window, **(known | changes))  # type: ignore[arg-type]
        at = self.clock.text()
        self.database.write(lambda tx: self.incidents.settle(tx, endpoint, "delays", [finding], {}, "monitor", at))


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    (tmp_path / "run").mkdir()
    bring_up_to_date(tmp_path)
    database, clock = SQLite(tmp_path / "loopline.db"), FixedClock("2013-06-01T12:00:00Z")
    seqs = iter(range(1, 10_000))
    ledger: Any = SimpleNamespace(append=lambda *_: SimpleNamespace(seq=next(seqs)))
    channels = [{"project": "flights", "name": "night", "env": "NIGHT", "endpoints": ["late"]}]
    receivers = {"mail": Receiver(), "chat": Receiver()}
    monkeypatch.setenv("NIGHT", "mail")
    monkeypatch.setenv("DAY", "chat")
    projects: Any = SimpleNamespace(channels=lambda: channels, monitor=lambda endpoint: None)
    messages = Messages(database, clock, projects, lambda address: receivers[address], tmp_path)
    yield Box(database, clock, messages, Incidents(ledger), channels, receivers)
    database.close()


def test_an_alert_is_told_once_when_it_opens_and_once_when_it_is_over(box: Box) -> None:
    box.settle("wrong")
    assert box.messages.due()
    assert box.messages.send_due() == 1
    box.settle("wrong")
    assert box.messages.send_due() == 0
    box.settle("well")
    assert box.messages.send_due() == 1
    opened, resolved = box.receivers["mail"].taken
    assert opened.title == "Alert: late - latency"
    assert "at most 5 ms" in opened.text
    assert "loopline ack" in opened.text
    assert resolved.title == "Resolved: late - latency"
    assert (opened.thread, resolved.thread) == (opened.key.split("-")[0], opened.key.split("-")[0])
    assert not box.messages.due()


def test_what_was_over_before_anybody_was_told_is_told_as_one(box: Box) -> None:
    box.settle("wrong")
    box.settle("well")
    assert box.messages.send_due() == 1
    assert [message.title for message in box.receivers["mail"].taken] == ["Resolved: late - latency"]


def test_an_endpoint_whose_monitor_names_no_channel_is_told_nowhere(box: Box) -> None:
    box.settle("wrong", endpoint="other")
    assert box.messages.send_due() == 0
    assert not box.messages.due()


def test_trouble_of_the_installation_is_told_everywhere(box: Box) -> None:
    box.channels.append({"project": "other", "name": "day", "env": "DAY", "endpoints": []})
    box.settle("wrong", cause="disk", endpoint="")
    assert box.messages.send_due() == 2
    assert box.receivers["chat"].taken[0].title == "Alert: the installation - disk"


def test_a_receiver_that_is_away_gets_each_message_once_in_order_when_it_is_back(box: Box) -> None:
    mail = box.receivers["mail"]
    mail.away = True
    box.settle("wrong")
    assert box.messages.send_due() == 1
    box.settle("well")
    for _ in range(6):
        box.clock.move(seconds=30)
        box.messages.send_due()
    mail.away = False
    box.clock.move(hours=1)
    assert box.messages.send_due() == 2
    assert [message.title.split(":")[0] for message in mail.taken] == ["Alert", "Resolved"]
    assert box.messages.channels()[0].error == ""


def test_tries_come_ever_later_and_end(box: Box) -> None:
    box.receivers["mail"].away = True
    box.settle("wrong")
    tries = 0
    for _ in range(200):
        tries += box.messages.send_due()
        box.clock.move(hours=1.3)
    assert tries == rules.MOST_TRIES
    (channel,) = box.messages.channels()
    assert (channel.dead, channel.waiting, channel.error) == (1, 0, "The receiver is away.")
    delays = [rules.delay_s(tries, luck=0.5) for tries in range(1, 15)]
    assert delays[:3] == [2.0, 4.0, 8.0]
    assert delays[-1] == 3600.0
    assert rules.delay_s(3, luck=0.0) == 6.0
    assert rules.delay_s(3, luck=1.0) == 10.0


def test_more_than_a_channel_takes_in_an_hour_comes_as_one(box: Box) -> None:
    box.channels[0] |= {"per_hour": 3, "endpoints": [f"e{each}" for each in range(9)]}
    for each in range(7):
        box.settle("wrong", endpoint=f"e{each}")
    box.messages.send_due()
    mail = box.receivers["mail"]
    assert len(mail.taken) == 3
    assert mail.taken[-1].title == "5 messages about alerts"
    assert mail.taken[-1].text.count("p99 latency") == 5
    box.settle("wrong", endpoint="e7")
    box.settle("wrong", endpoint="e8")
    assert box.messages.send_due() == 0
    box.clock.move(hours=1, seconds=1)
    box.messages.send_due()
    assert len(mail.taken) == 5


def test_an_incident_in_a_digest_that_is_on_its_way_stays_in_order(box: Box) -> None:
    box.channels[0] |= {"per_hour": 2, "endpoints": ["a", "b", "c", "late"]}
    for name in ("a", "b", "c"):
        box.settle("wrong", endpoint=name)
    mail = box.receivers["mail"]
    mail.away = True
    box.messages.send_due()
    box.settle("well", endpoint="c")
    box.settle("wrong", endpoint="late")
    mail.away = False
    for _ in range(8):
        box.clock.move(hours=1, seconds=1)
        box.messages.send_due()
    told = [message.text for message in mail.taken]
    opened = next(place for place, text in enumerate(told) if "- Alert: c" in text or "of c" in text)
    resolved = next(place for place, message in enumerate(mail.taken) if "Resolved: c" in message.title + message.text)
    assert opened < resolved
    assert len(mail.keys) == len(set(mail.keys))


def test_trouble_of_a_channel_goes_to_another(box: Box) -> None:
    box.channels.append({"project": "flights", "name": "day", "env": "DAY", "endpoints": []})
    box.settle("wrong", cause="channel", endpoint="", details={"channels": ["flights/night"]})
    box.messages.send_due()
    assert not box.receivers["mail"].taken
    assert len(box.receivers["chat"].taken) == 1


def test_a_channel_is_tried_and_an_address_that_is_not_there_is_named_by_its_place(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.messages.test("night", "anna").name == "night"
    assert "anna tries" in box.receivers["mail"].taken[0].text
    with pytest.raises(NotFound, match="no channel 'nobody'"):
        box.messages.test("nobody", "anna")
    monkeypatch.delenv("NIGHT")
    with pytest.raises(Unavailable, match="variable NIGHT"):
        box.messages.test("night", "anna")


def test_an_address_in_a_file_is_read_anew_each_time(box: Box, tmp_path: Path) -> None:
    place = tmp_path / "address"
    box.channels[0] |= {"env": None, "file": str(place)}
    box.settle("wrong")
    box.messages.send_due()
    assert "holds no address" in box.messages.deliveries()[0].error
    place.write_text("mail\n")
    box.clock.move(minutes=1)
    box.messages.send_due()
    assert box.messages.deliveries()[0].state == "sent"


def test_what_only_grew_and_what_closed_is_reduced() -> None:
    alert = Alert(
        id="a1", endpoint="late", cause="latency", state="open", model="m", version=1, first_window="", last_window="",
        value=None, limit=None, message="", opened_at="", changed_at="", changed_by="",
    )  # fmt: skip
    notes = [
        rules.Note(id=f"a1-{state}", seq=place, alert=alert, state=state, created_at="")
        for place, state in enumerate(("opened", "grew", "resolved"))
    ]
    assert [note.state for note in rules.reduced(notes)] == ["resolved"]
    assert [note.state for note in rules.reduced(notes[:1])] == ["opened"]
