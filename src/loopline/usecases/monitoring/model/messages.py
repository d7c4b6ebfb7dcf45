"""Messages about alerts: to which channels, how often, and what they say. Pure rules."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from loopline.usecases.monitoring.model.alerts import Alert

OPENED, GREW, AGAIN, CLOSED = "opened", "grew", "again", "resolved"
WAITING, SENT, FOLDED, DEAD = "waiting", "sent", "folded", "dead"
PER_HOUR = 30
MOST_TRIES = 20
FIRST_DELAY_S, LONGEST_DELAY_S = 2.0, 3600.0
MOST_LISTED = 50
_BEGINS = {OPENED: "Alert", GREW: "Alert, more of it", AGAIN: "Still open", CLOSED: "Resolved"}
_TONES = {OPENED: "failure", GREW: "failure", AGAIN: "warning", CLOSED: "success"}


class ChannelRules(msgspec.Struct, frozen=True, kw_only=True):
    """A channel of an applied project: in which variable or file its address stands (the address itself is read when
    something is sent, and kept nowhere), and how many messages an hour it takes at most."""

    project: str
    name: str
    env: str = ""
    file: str = ""
    per_hour: int = PER_HOUR
    description: str = ""

    @property
    def key(self) -> str:
        return f"{self.project}/{self.name}"


class ChannelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A channel and how it stands: messages that wait, that were given up, the last one sent, the last error since."""

    project: str
    name: str
    description: str = ""
    per_hour: int = PER_HOUR
    address: str = ""
    waiting: int = 0
    dead: int = 0
    last_sent: str = ""
    error: str = ""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told of an alert once, wherever it goes: the alert as it was when it changed to `state`."""

    id: str
    seq: int
    alert: Alert
    state: str
    created_at: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way to one channel ("project/name"). `state`: waiting, sent, folded (another, `carried_by`, holds
    it), dead (given up). `message` is the note's id, "" for a digest of others."""

    id: str
    channel: str
    message: str
    seq: int
    alert: str
    endpoint: str
    state: str = WAITING
    tries: int = 0
    not_before: str = ""
    error: str = ""
    carried_by: str = ""
    created_at: str = ""
    ended_at: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A message in words."""

    title: str
    text: str
    html: str
    tone: Any = "info"


def delivery(note: str, channel: str, alert: str, endpoint: str, seq: int, at: str) -> Delivery:
    """A note on its way to a channel; its id is the same whoever asks for it."""
    name = f"{note}-{channel.replace('/', '.')}"
    return Delivery(id=name, channel=channel, message=note, seq=seq, alert=alert, endpoint=endpoint, created_at=at)


def addressees(alert: Alert, named: Sequence[str], channels: Iterable[ChannelRules]) -> list[str]:
    """The keys of the channels that are told: those that the endpoint's monitor names; all where no monitor is asked
    (trouble of the installation). Trouble of channels goes to others, any of the project where it must."""
    silent = set(alert.details.get("channels") or ())
    known = [channel for channel in channels if channel.key not in silent]
    wanted = [channel.key for channel in known if channel.key in named]
    return wanted if wanted or (named and not silent) else [channel.key for channel in known if not alert.endpoint]


def reduced(notes: Sequence[Note]) -> list[Note]:
    """Notes that nobody was told of yet: of each alert only its end, or else what came first, as the alert is now."""
    of_alert: dict[str, list[Note]] = {}
    for note in notes:
        of_alert.setdefault(note.alert.id, []).append(note)
    return [
        last if last.state == CLOSED else msgspec.structs.replace(first, alert=last.alert)
        for first, last in ((together[0], together[-1]) for together in of_alert.values())
    ]


def delay_s(tries: int, luck: float | None = None) -> float:
    """Seconds before the next try: twice as long each time, an hour at most, a quarter more or less by `luck` (0 to 1)."""
    spread = random.random() if luck is None else luck  # noqa: S311  (no secret)
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** max(tries - 1, 0)) * (0.75 + 0.5 * spread))


def to_fold(waiting: Sequence[Delivery], room: int) -> list[Delivery]:
    """Which of a channel's waiting messages go together as one, when `room` more may be sent this hour: those that came
    last, so many that the rest has room. A message that was tried before stays alone, as it may have arrived."""
    fresh = [one for one in waiting if not one.tries and one.message]
    alone = max(room - (len(waiting) - len(fresh)) - 1, 0)
    return fresh[alone:] if 0 < room < len(waiting) and len(fresh) - alone > 1 else []


def told(note: Note) -> Told:
    """An alert in words: what changed, which way, by how much, where, since when, its cost, and what to do next."""
    alert, state = note.alert, note.state
    about = alert.endpoint or "the installation"
    title = f"{_BEGINS.get(state, state)}: {about} - {alert.cause.replace('_', ' ')}"
    lines = [alert.message[:1].upper() + alert.message[1:], *facts_of(alert)]
    if state == CLOSED:
        lines = [alert.note or "It is over.", f"It was: {alert.message}", f"Open since {shown(alert.opened_at)}."]
    commands = [str(each) for each in alert.details.get("commands") or ()]
    judge = f"loopline judge {alert.id} real|false"
    commands = [judge] if state == CLOSED else [*commands, f"loopline ack {alert.id}", judge]
    text = "\n".join([*lines, "", "Next:", *(f"  {command}" for command in commands)])
    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    html += "<p>Next:</p><pre>" + escape("\n".join(commands)) + "</pre>"
    return Told(title=title, text=text, html=html, tone=_TONES.get(state, "info"))


def facts_of(alert: Alert) -> list[str]:
    """What an alert's details say, a line each."""
    details: Mapping[str, Any] = alert.details
    found = [("What changed", details.get("effect")), ("Direction", details.get("direction"))]
    found += [
        ("Since", shown(alert.first_window)),
        ("Version", f"{alert.model}:{alert.version}" if alert.version else ""),
    ]
    worst = [str(each.get("text")) for each in details.get("segments") or () if isinstance(each, Mapping)]
    found += [("Worst in", "; ".join(worst[:3])), ("Chance", details.get("evidence"))]
    share = details.get("truth_share")
    found += [("Truth arrived", None if share is None else f"{100 * share:.0f} %")]
    cost = details.get("cost")
    found += [("Likely cost", cost.get("text") if isinstance(cost, Mapping) else None)]
    found += [("Also", each.get("message")) for each in details.get("also") or () if isinstance(each, Mapping)]
    return [f"{name}: {value}" for name, value in found if value]


def digest(notes: Sequence[Note]) -> Told:
    """Several messages as one."""
    lines = []
    for note in notes[:MOST_LISTED]:
        about = note.alert.endpoint or "the installation"
        lines.append(
            f"{_BEGINS.get(note.state, note.state)}: {about} - {note.alert.cause.replace('_', ' ')}: {note.alert.message}"
        )
    if len(notes) > MOST_LISTED:
        lines.append(f"… and {len(notes) - MOST_LISTED} more")
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return Told(
        title=f"{len(notes)} messages about alerts",
        text="\n".join(["More came than the channel takes in an hour:", *(f"- {line}" for line in lines), "", "Next:", "  loopline alerts"]),
        html=f"<p>More came than the channel takes in an hour:</p><ul>{listed}</ul><pre>loopline alerts</pre>",
        tone="warning",
    )  # fmt: skip


def shown(at: str) -> str:
    """A time as people read it, in UTC: its day, and hour and minute unless it is midnight."""
    day, _, rest = at.partition("T")
    return day if rest[:5] in ("", "00:00") else f"{day} {rest[:5]} UTC"
