"""Messages leave through a process of their own: real mail and webhooks, receivers that are away, kills in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.shells.worker.sending import Sending
from loopline.testing.receivers import free_port, mail_server, webhook_sink
from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.store import messages as store

pytestmark = pytest.mark.integration
PATIENCE_S = 60.0
PROJECT = """
project: flights
models: {delays: {}}
endpoints: {late: {model: delays, alias: production}}
channels:
  night: {env: NIGHT_ADDRESS}
  hook: {env: HOOK_ADDRESS}
monitors:
  late: {endpoint: late, notify: [night, hook]}
"""


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "loopline.yaml").write_text(PROJECT)
    with open_home(tmp_path / "home") as found:
        found.projects.apply(folder, "ada")
        yield found


def post(loopline: Loopline, name: str = "a1", state: str = "opened") -> None:
    alert = Alert(
        id=name, endpoint="late", cause="performance", state=state, model="delays", version=2,
        first_window="2013-04-08T00:00:00.000Z", last_window="2013-04-08T00:00:00.000Z", value=0.6, limit=0.7,
        message="auc 0.600 is below the limit 0.700", opened_at="2013-04-16T00:00:00.000Z", changed_at="",
        changed_by="monitor", details={"metric": "auc", "commands": [f"loopline blame {name}"]},
    )  # fmt: skip
    loopline.database.write(
        lambda tx: store.post(tx, alert, state, 1 + (state == "resolved"), "2013-04-16T00:00:00.000Z")
    )


def until(there: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (found := there()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
    return found


def test_the_worker_s_process_sends_mail_and_webhook_once(loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as mail, webhook_sink() as hook:
        monkeypatch.setenv("NIGHT_ADDRESS", f"mailto://127.0.0.1:{mail.port}?from=l@example.org&to=night@example.org")
        monkeypatch.setenv("HOOK_ADDRESS", f"json://127.0.0.1:{hook.port}/alerts")
        sending = Sending(loopline.home)
        post(loopline)
        try:
            until(lambda: sending.look(loopline.monitoring.messages.due()) or (mail.all() and hook.all()))
            post(loopline, state="resolved")
            until(lambda: sending.look(loopline.monitoring.messages.due()) or len(mail.all()) == len(hook.all()) == 2)
            until(lambda: {one.state for one in loopline.monitoring.messages.deliveries()} == {"sent"})
        finally:
            sending.close()
    assert [message["Subject"] for message in mail.all()] == [
        "Alert: late - performance",
        "Resolved: late - performance",
    ]
    assert "loopline blame a1" in hook.all()[0]["body"]["message"]


def test_a_receiver_that_comes_back_gets_it_once(loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HOOK_ADDRESS", f"json://127.0.0.1:{port}/alerts/secret-token")
    monkeypatch.setenv("NIGHT_ADDRESS", "nothing://that.is/known")
    post(loopline)
    messages = loopline.monitoring.messages
    assert messages.send_due() == 2
    assert {one.state for one in messages.deliveries()} == {"waiting"}
    assert "secret-token" not in "".join(one.error for one in messages.deliveries())
    with webhook_sink(port) as hook:
        until(lambda: messages.send_due() and hook.all())
        assert messages.send_due() in (0, 1)  # mail may be due
        assert len(hook.all()) == 1
    by_channel = {one.channel: one for one in messages.deliveries()}
    assert by_channel["flights/hook"].state == "sent"
    assert by_channel["flights/hook"].tries >= 2
    assert by_channel["flights/night"].state == "waiting"


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from loopline.adapters.notify import channel_at
    from loopline.app.wiring import open_home

    class Dying:
        def __init__(self, address):
            self.channel = channel_at(address)

        def send(self, message):
            self.channel.send(message)
            os.kill(os.getpid(), signal.SIGKILL)

    with open_home(Path(sys.argv[1])) as loopline:
        loopline.monitoring.messages._notify = Dying
        loopline.monitoring.messages.send_due()
"""


def test_who_is_killed_after_sending_sends_again_under_the_same_key(
    loopline: Loopline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook_sink() as hook:
        monkeypatch.setenv("HOOK_ADDRESS", f"json://127.0.0.1:{hook.port}/alerts")
        monkeypatch.setenv("NIGHT_ADDRESS", f"json://127.0.0.1:{hook.port}/night")
        post(loopline)
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(loopline.home)]
        assert subprocess.run(command, env=os.environ, check=False).returncode == -signal.SIGKILL
        assert len(hook.all()) == 1
        assert {one.state for one in loopline.monitoring.messages.deliveries()} == {"waiting"}
        assert loopline.monitoring.messages.send_due() == 2
        assert loopline.monitoring.messages.send_due() == 0
        keys = [call["headers"]["x-loopline-message"] for call in hook.all()]
    assert len(keys) == 3
    assert len(set(keys)) == 2
    assert {one.state for one in loopline.monitoring.messages.deliveries()} == {"sent"}


def test_two_processes_that_send_do_not_send_twice(loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook_sink() as hook:
        for name in ("HOOK_ADDRESS", "NIGHT_ADDRESS"):
            monkeypatch.setenv(name, f"json://127.0.0.1:{hook.port}/alerts")
        for place in range(6):
            post(loopline, f"a{place}")
        command = [sys.executable, "-m", "loopline.shells.worker.send", "--home", str(loopline.home)]
        processes = [subprocess.Popen(command) for _ in range(2)]
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0]
    keys = [call["headers"]["x-loopline-message"] for call in hook.all()]
    assert len(keys) == len(set(keys)) == 12
