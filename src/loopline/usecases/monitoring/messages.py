"""Messages about alerts on their way to people: written with the alert's fact, sent by a process of their own.

At least once: who is killed after a receiver took a message and before that was noted sends it again, under the same key.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import LooplineError, NotFound, Unavailable
from loopline.core.times import to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.ports.notify import Channel, Message
from loopline.usecases.monitoring.model import messages as rules
from loopline.usecases.monitoring.model.messages import ChannelRules, ChannelStanding, Delivery, Note
from loopline.usecases.monitoring.needs import Projects
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import messages as store
from loopline.usecases.monitoring.store import windows as window_store

HOUR = timedelta(hours=1)
LONGEST_ADDRESS = 10_000
Notify = Callable[[str], Channel]


class Declared(dict[str, ChannelRules]):
    """Channels by key; `endpoints` are those whose monitors name each."""

    def __init__(self, written: Iterable[Mapping[str, Any]]) -> None:
        super().__init__()
        self.endpoints: dict[str, frozenset[str]] = {}
        for each in written:
            known = {name: each[name] for name in ChannelRules.__struct_fields__ if each.get(name) is not None}
            channel = msgspec.convert(known, ChannelRules)
            self[channel.key] = channel
            self.endpoints[channel.key] = frozenset(each.get("endpoints") or ())


class Messages:
    """The outbox. `notify` answers the channel at an address; `home` is the installation's folder."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        projects: Projects,
        notify: Notify | None = None,
        home: Path | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects
        self._notify = notify
        self._home = home

    def channels(self) -> list[ChannelStanding]:
        """All channels of applied projects and how they stand, without their addresses."""
        counts = self._database.read(store.counts)
        return [self._standing(channel, counts) for channel in self._declared().values()]

    def deliveries(self, channel: str = "", alert: str = "", limit: int = 100) -> list[Delivery]:
        """Messages on their way and where they ended, newest first; of a channel ("project/name") or an alert."""
        return self._database.read(lambda tx: store.deliveries(tx, channel, alert, max(1, min(limit, 1000))))

    def due(self) -> bool:
        """Whether there is something to send just now; one or two short queries."""
        at = self._database.read(store.due_at)
        return at is not None and at <= self._clock.text()

    def test(self, name: str, actor: str) -> ChannelStanding:
        """Send a test message to a channel (its name, or "project/name" where several have it) and wait for the answer.

        NotFound when there is no such channel, Unavailable when its address or its receiver is not there.
        """
        channel = self.named(name)
        text = f"{actor} tries whether messages about alerts arrive here.\nThis one did."
        key = f"test-{channel.name}-{self._clock.now().timestamp():.3f}"
        message = Message(key=key, title=f"Test of the channel {channel.name}", text=text, html=f"<p>{text}</p>")
        self._channel(channel).send(message)
        return self._standing(channel, self._database.read(store.counts))

    def tell(self, alert: str, channels: Sequence[str]) -> None:
        """Have channels ("project/name") told of an alert, once each, whoever asks; NotFound when there is none."""
        now = self._clock.text()

        def work(tx: Transaction) -> None:
            found = alert_store.alert(tx, alert)
            if found is None:
                raise NotFound(f"There is no alert {alert[:40]!r}.", "`loopline alerts` lists them.")
            note = f"{alert}-{rules.OPENED}"
            if not store.notes(tx, [note]):
                store.post(tx, found, rules.OPENED, alert_store.seq_of(tx, alert), now)
            seq = store.notes(tx, [note])[0].seq
            store.add(tx, [rules.delivery(note, key, alert, found.endpoint, seq, now) for key in channels])

        self._database.write(work)

    def named(self, name: str) -> ChannelRules:
        """The channel of that name; NotFound when there is none."""
        found = [channel for channel in self._declared().values() if name in (channel.name, channel.key)]
        if not found:
            raise NotFound(
                f"There is no channel {name[:40]!r}.", "`loopline channels` lists those of applied projects."
            )
        return found[0]

    def send_due(self) -> int:
        """Send what is due, in order for each incident, and answer how many tries that took. One process at a time
        does; 0 when another one is at it."""
        with self._alone() as alone:
            return sum(1 for _ in self._tries()) if alone else 0

    def _tries(self) -> Iterator[None]:
        declared = self._declared()
        self._database.write(lambda tx: self._address(tx, declared))
        while (one := self._next(declared)) is not None:
            self._try(one, declared)
            yield
            declared = self._declared()
            self._database.write(lambda tx, declared=declared: self._address(tx, declared))  # type: ignore[misc]

    def _address(self, tx: Transaction, declared: Declared) -> None:
        """Decide where new notes go, and put together what is more than a channel takes in an hour."""
        fresh, now = store.unaddressed(tx), self._clock.text()
        if fresh:
            kept = rules.reduced(fresh)
            for note in kept:
                store.renew(tx, note)
            store.add(tx, [one for note in kept for one in _addressed(note, declared, now)])
            store.addressed(tx, [note.id for note in fresh])
        waiting = sorted(store.waiting(tx), key=lambda one: (one.channel, one.seq))
        for key, of_channel in groupby(waiting, lambda one: one.channel):
            members = rules.to_fold(list(of_channel), self._room(tx, key, declared))
            if members:
                store.fold(tx, members, _digest(members[0], now), now)

    def _room(self, tx: Transaction, key: str, declared: Declared) -> int:
        """How many messages a channel takes just now."""
        per_hour = declared[key].per_hour if key in declared else rules.PER_HOUR
        return per_hour - len(store.sent_since(tx, key, to_text(self._clock.now() - HOUR), per_hour))

    def _next(self, declared: Declared) -> Delivery | None:
        """The oldest delivery that is due, whose channel has room, and whose incident has none before it on its way."""

        def work(tx: Transaction) -> Delivery | None:
            now, before, rooms = self._clock.text(), set[tuple[str, str]](), dict[str, int]()
            for one in store.waiting(tx):
                if one.channel not in rooms:
                    rooms[one.channel] = self._room(tx, one.channel, declared)
                about = [each.alert for each in store.carried(tx, one.id)] if not one.message else [one.alert]
                blocked = any((one.channel, alert) in before for alert in about)
                before |= {(one.channel, alert) for alert in about}
                if not blocked and one.not_before <= now and rooms[one.channel] > 0:
                    return one
            return None

        return self._database.read(work)

    def _try(self, one: Delivery, declared: Declared) -> None:
        channel = declared.get(one.channel)
        tries = one.tries + 1
        try:
            if channel is None:
                tries = rules.MOST_TRIES
                raise Unavailable("The channel is not declared any more.")
            self._channel(channel).send(self._message(one))
        except LooplineError as error:
            self._failed(one, tries, str(error))
            return
        self._database.write(lambda tx: store.end(tx, one, rules.SENT, tries, "", self._clock.text()))

    def _failed(self, one: Delivery, tries: int, error: str) -> None:
        now = self._clock.now()
        later = to_text(now + timedelta(seconds=rules.delay_s(tries)))

        def work(tx: Transaction) -> None:
            if tries >= rules.MOST_TRIES:
                store.end(tx, one, rules.DEAD, tries, error, to_text(now))
            else:
                store.later(tx, one, tries, later, error)

        self._database.write(work)

    def _message(self, one: Delivery) -> Message:
        """What is sent: the same words each time."""

        def work(tx: Transaction) -> list[Note]:
            ids = [one.message] if one.message else [each.message for each in store.carried(tx, one.id)]
            return store.notes(tx, ids)

        notes = self._database.read(work)
        if not notes:
            raise Unavailable("What was to be told was removed.")
        said = rules.told(notes[0]) if one.message else rules.digest(notes)
        plot = self._plot(notes[0]) if one.message else None
        endpoint = notes[0].alert.endpoint if one.message else ""
        return Message(
            key=one.id,
            title=said.title,
            text=said.text,
            html=said.html,
            tone=said.tone,
            thread=one.alert or one.id,
            plot=plot,
            url=f"{self._url()}/monitors/{endpoint}" if self._url() and endpoint else "",
        )

    def _plot(self, note: Note) -> bytes | None:
        from loopline.usecases.monitoring.plotting import picture

        alert = note.alert
        if not alert.endpoint:
            return None
        windows = self._database.read(lambda tx: window_store.windows_of(tx, alert.endpoint, "", "", ""))
        return picture(alert, windows)

    def _channel(self, channel: ChannelRules) -> Channel:
        """The channel itself. Its address is read now, and forgotten."""
        if self._notify is None:
            raise Unavailable("This installation sends no messages.")
        return self._notify(address_of(channel))

    def _declared(self) -> Declared:
        """The channels of applied projects, with the endpoints whose monitors name each."""
        return Declared(self._projects.channels())

    def _standing(self, channel: ChannelRules, counts: dict[tuple[str, str], tuple[int, str]]) -> ChannelStanding:
        return ChannelStanding(
            project=channel.project,
            name=channel.name,
            description=channel.description,
            per_hour=channel.per_hour,
            address=f"variable {channel.env}" if channel.env else f"file {channel.file}",
            waiting=counts.get((channel.key, rules.WAITING), (0, ""))[0],
            dead=counts.get((channel.key, rules.DEAD), (0, ""))[0],
            last_sent=counts.get((channel.key, rules.SENT), (0, ""))[1],
            error=self._database.read(lambda tx: store.last_error(tx, channel.key)),
        )

    def _url(self) -> str:
        """Where the pages are; "" while no server runs."""
        try:
            running = json.loads((self._home / "run" / "server.json").read_bytes()) if self._home else {}
        except (OSError, ValueError):
            return ""
        return str(running.get("url") or "")

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """A lock that the kernel lets go of when its process ends."""
        if self._home is None:
            yield True
            return
        with open(self._home / "run" / "send.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def address_of(channel: ChannelRules) -> str:
    """The address that stands in a channel's variable or file now; Unavailable when there is none."""
    if channel.env:
        found = os.environ.get(channel.env, "").strip()
        where = f"The variable {channel.env} of the channel {channel.name!r}"
        hint = "Set it where the server is started."
    else:
        where, hint = f"The file of the channel {channel.name!r}", "Write the address into it."
        try:
            with open(Path(channel.file).expanduser(), encoding="utf-8") as file:
                found = file.read(LONGEST_ADDRESS).strip()
        except (OSError, ValueError):
            found = ""
    if not found:
        raise Unavailable(f"{where} holds no address.", hint)
    return found


def _addressed(note: Note, declared: Declared, now: str) -> Iterator[Delivery]:
    endpoint = note.alert.endpoint
    named = [key for key, asking in declared.endpoints.items() if endpoint in asking]
    projects = {declared[key].project for key in named}
    near = [channel for channel in declared.values() if not endpoint or channel.project in projects]
    for key in rules.addressees(note.alert, named, near):
        yield rules.delivery(note.id, key, note.alert.id, endpoint, note.seq, now)


def _digest(first: Delivery, now: str) -> Delivery:
    return msgspec.structs.replace(
        first, id=f"{first.id}-digest", message="", alert="", endpoint="", created_at=now, not_before=""
    )
