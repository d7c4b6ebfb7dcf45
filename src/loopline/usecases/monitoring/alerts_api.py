"""The verbs of alerts, channels and messages as the outside calls them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.alerts import Alert, Precision
from loopline.usecases.monitoring.model.messages import ChannelStanding, Delivery


class Nothing(msgspec.Struct):
    pass


class One(msgspec.Struct):
    alert: str


class Judgement(msgspec.Struct):
    """`verdict`: "real" or "false"; "" takes an earlier one back."""

    alert: str
    verdict: Literal["real", "false", ""]
    note: str = ""


class PrecisionOf(msgspec.Struct):
    """`endpoint`: '' for all."""

    endpoint: str = ""


class DeliveriesOf(msgspec.Struct):
    """`channel` is "project/name"; '' leaves channel or alert open."""

    channel: str = ""
    alert: str = ""
    limit: int = 100


class ChannelNamed(msgspec.Struct):
    channel: str


def alert(monitoring: Any, request: One, caller: Caller) -> Alert:
    found: Alert = monitoring.alert(request.alert)
    return found


def judge(monitoring: Any, request: Judgement, caller: Caller) -> Alert:
    found: Alert = monitoring.judge(request.alert, request.verdict, caller.name, request.note)
    return found


def precision(monitoring: Any, request: PrecisionOf, caller: Caller) -> list[Precision]:
    return list(monitoring.precision(request.endpoint))


def channels(monitoring: Any, request: Nothing, caller: Caller) -> list[ChannelStanding]:
    return list(monitoring.messages.channels())


def try_channel(monitoring: Any, request: ChannelNamed, caller: Caller) -> ChannelStanding:
    found: ChannelStanding = monitoring.messages.test(request.channel, caller.name)
    return found


def deliveries(monitoring: Any, request: DeliveriesOf, caller: Caller) -> list[Delivery]:
    return list(monitoring.messages.deliveries(request.channel, request.alert, request.limit))


_ALERT = "/alerts/{alert}"
VERBS: tuple[Verb, ...] = (
    Verb("monitoring.alert", "GET", _ALERT, Role.VIEWER, One, alert, "Show one alert"),
    Verb("monitoring.judge", "POST", _ALERT + "/judge", Role.EDITOR, Judgement, judge, "Say whether an alert was real"),
    Verb(
        "monitoring.precision", "GET", "/alert-precision", Role.VIEWER, PrecisionOf, precision,
        "Show what share of past alerts was real",
    ),
    Verb("monitoring.channels", "GET", "/channels", Role.VIEWER, Nothing, channels, "List channels and how they stand"),
    Verb(
        "monitoring.try_channel", "POST", "/channels/{channel}/try", Role.EDITOR, ChannelNamed, try_channel,
        "Send a test message to a channel",
        loads=lambda monitoring, request: monitoring.messages.named(request.channel),
    ),
    Verb("monitoring.deliveries", "GET", "/messages", Role.VIEWER, DeliveriesOf, deliveries, "List messages sent"),
)  # fmt: skip
