"""All of Apprise's services by their address: mail, Slack, Teams, PagerDuty, webhooks and a hundred others.

Imports the package only when something is sent."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from loopline.core.errors import Unavailable
from loopline.ports.notify import Message

KEY_HEADER, THREAD_HEADER = "X-Loopline-Message", "X-Loopline-Thread"
LONGEST_REASON = 300
_one_at_a_time = threading.Lock()


class Apprised:
    """One address. Unavailable when nothing understands it, or Apprise is not installed."""

    def __init__(self, address: str) -> None:
        self._hidden = secrets_in(address)
        self._service = _service(address)

    def send(self, message: Message) -> None:
        """See the port. Mail has the key as its Message-ID, mail and webhooks have it in the header
        `X-Loopline-Message`."""
        import apprise

        service = self._service
        if isinstance(getattr(service, "headers", None), dict):
            service.headers |= {KEY_HEADER: message.key, THREAD_HEADER: message.thread or message.key}
        html = message.html and service.notify_format == apprise.NotifyFormat.HTML
        capture: Any = apprise.LogCapture
        with _one_at_a_time, _steady(message.key), capture(level=30, fmt="%(message)s") as told:
            try:
                done = service.notify(
                    title=message.title,
                    body=message.html if html else _plain(message),
                    body_format=apprise.NotifyFormat.HTML if html else apprise.NotifyFormat.TEXT,
                    notify_type=apprise.NotifyType(message.tone),
                    attach=_attached(message) if service.attachment_support else None,
                )
            except Exception as error:  # a service's own trouble is a message not sent
                raise Unavailable(self._said(f"{type(error).__name__}: {error}")) from None
            if not done:
                raise Unavailable(self._said(told.getvalue()), "`loopline channels --test NAME` tries it again.")

    def _said(self, text: str) -> str:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = masked("; ".join(lines), self._hidden)[:LONGEST_REASON]
        return f"The receiver did not take the message: {reason or 'it gave no reason'}".rstrip(".") + "."


def _service(address: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise Unavailable("Apprise is not installed.", "Run `pip install 'loopline[notify]'`.") from None
    try:
        logging.getLogger("apprise").propagate = False  # what it says may hold the address
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports old modules of Python when its services are first looked for
            found = apprise.Apprise.instantiate(address.strip(), suppress_exceptions=True)
    except Exception:
        found = None
    if found is None:
        raise Unavailable(
            "No service understands the address of the channel.",
            "Write it as Apprise does, such as mailto://… or json://….",
        )
    found.request_rate_per_sec = 0  # who sends keeps to a rate
    found.socket_connect_timeout = found.socket_read_timeout = 10.0
    return found


def _plain(message: Message) -> str:
    return f"{message.text}\n\n{message.url}" if message.url and message.url not in message.text else message.text


def _attached(message: Message) -> Any:
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    if message.plot is None:
        return None
    memory: Any = AttachMemory
    picture = memory(content=message.plot, name="plot.png", mimetype="image/png")
    attached = AppriseAttachment()
    attached.add(picture)
    return attached


@contextlib.contextmanager
def _steady(key: str) -> Iterator[None]:
    """Mail gets a Message-ID that is the same when it is sent again: servers drop a repeat by it."""
    import apprise.plugins.email.base

    base: Any = apprise.plugins.email.base
    usual = base.make_msgid
    base.make_msgid = lambda idstring=None, domain=None: f"<{key}@{domain or 'loopline'}>"
    try:
        yield
    finally:
        base.make_msgid = usual


def secrets_in(address: str) -> tuple[str, ...]:
    """The address and all its parts but the scheme, longest first: what may not be told."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(address.strip())
        pieces = re.split(r"[/:@?&=,;+]+", address.strip().removeprefix(f"{parts.scheme}:"))
        found = {address.strip(), *pieces, *(unquote(piece) for piece in pieces)}
        return tuple(sorted((piece for piece in found if len(piece) > 2), key=len, reverse=True))
    return (address,)


def masked(text: str, hidden: tuple[str, ...]) -> str:
    """The text without any of `hidden`."""
    for piece in hidden:
        text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return text
