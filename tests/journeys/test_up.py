"""The server as its operator meets it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

pytestmark = pytest.mark.journey


def get(url: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def command(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loopline", *words, "--home", str(home)], capture_output=True, text=True, timeout=60
    )


def test_it_starts_quickly_and_stays_small(up: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]) -> None:
    first = up()
    assert until(lambda: get(first.serving_url, "/health")[0] == 200)
    assert first.stop() == 0
    second = up(first.home)
    assert until(lambda: get(second.serving_url, "/health")[0] == 200)
    quickest = min(first.ready_s, second.ready_s)
    assert quickest <= 1.5, (first.ready_s, second.ready_s)
    time.sleep(10)
    assert sum(process.memory_full_info().pss for process in second.family()) <= 250e6


def test_a_crash_of_one_leaves_the_others_serving(up: Callable[..., Any], until: Callable[..., Any]) -> None:
    server = up()
    until(lambda: len(server.children()) == 3)
    for name, url in (("control", server.url), ("data", server.serving_url), ("worker", server.url)):
        others = {part: child.pid for part, child in server.children().items() if part != name}
        victim = server.children()[name].pid
        os.kill(victim, signal.SIGKILL)
        assert get(url, "/health")[0] == 200  # waits in the socket's queue when its plane is the one that fell
        until(lambda name=name, victim=victim: name in server.children() and server.children()[name].pid != victim)
        assert {part: child.pid for part, child in server.children().items() if part != name} == others


def test_serving_is_renewed_while_it_answers(up: Callable[..., Any], until: Callable[..., Any]) -> None:
    server = up()
    until(lambda: get(server.serving_url, "/health")[0] == 200)
    until(lambda: (server.home / "run" / "dataplane.json").exists())  # it answers a moment before it has said where
    before = server.children()["data"].pid
    done = command("restart", "serving", "--json", home=server.home)
    assert done.returncode == 0, done.stderr
    assert get(server.serving_url, "/health")[0] == 200
    until(lambda: server.children()["data"].pid != before and not psutil.pid_exists(before))
    assert (
        f'"pid": {server.children()["data"].pid}' in done.stdout
        or f'"pid":{server.children()["data"].pid}' in done.stdout
    )
    os.kill(server.children()["data"].pid, signal.SIGKILL)  # the supervisor watches the successor as it did the other
    assert get(server.serving_url, "/health")[0] == 200


def test_nothing_outlives_the_supervisor(up: Callable[..., Any], until: Callable[..., Any]) -> None:
    server = up()
    until(lambda: len(server.children()) == 3)
    family = server.family()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family), 30)
    again = up(server.home)
    assert again.ready_s <= 2.0
    assert command("audit", "verify", home=server.home).returncode == 0


def test_a_taken_port_and_a_second_server_are_told_in_one_sentence(up: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = command("up", "--no-browser", "--port", str(port), home=tmp_path / "other")
    assert (done.returncode, done.stdout) == (5, "")
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "--port" in done.stderr
    server = up()
    done = command("up", "--no-browser", "--port", "0", "--serving-port", "0", home=server.home)
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)
    assert "already runs" in done.stderr


def test_the_link_signs_in_once_and_tokens_guard_both_planes(up: Callable[..., Any]) -> None:
    server = up()
    path = server.link.removeprefix(server.url)
    assert get(server.url, path)[0] == 303
    assert get(server.url, path)[0] == 403
    for url in (server.url, server.serving_url):
        assert get(url, "/health")[0] == 200
        assert get(url, "/metrics")[0] == 401
        assert get(url, "/metrics", Authorization="Bearer journey-token-0123456789")[0] == 200
        assert get(url, "/metrics", Host="evil.example")[0] == 400


def test_commands_work_with_and_without_the_server(up: Callable[..., Any]) -> None:
    server = up()
    made = server.client.call("access.new", name="robot", role="viewer")
    names = [token["name"] for token in server.client.call("access.tokens")]
    assert names == ["first", "robot"]
    assert "robot" in command("token", "list", home=server.home).stdout
    viewer = made["secret"]
    done = subprocess.run(
        [sys.executable, "-m", "loopline", "token", "list", "--url", server.url],
        env=os.environ | {"LOOPLINE_TOKEN": viewer},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert "needs admin" in done.stderr
