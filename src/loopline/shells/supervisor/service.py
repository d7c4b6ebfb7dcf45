"""Binds the sockets, starts control plane, data plane and worker, restarts what crashes, ends all of them."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from loopline.app.migrations.runner import found_schema
from loopline.app.settings import Listen
from loopline.app.wiring import make_home
from loopline.core.errors import Conflict, Invalid, Unavailable
from loopline.kit.durable import write_file

Say = Callable[[str], None]
Ready = Callable[[str, str, str], None]
BEAT_S = 0.1
GRACE_S = 8.0
READY_S = 30.0
LONGEST_PAUSE_S = 5.0
COMES_UP_S = 1.0
LONGEST_SOCKET = 100  # a unix socket's path may have some 107 bytes


class Child:
    """One supervised process: how to start it and how often it ended."""

    def __init__(self, name: str, arguments: list[str], handles: tuple[int, ...]) -> None:
        self.name = name
        self._arguments = arguments
        self._handles = handles
        self.process: subprocess.Popen[bytes] | None = None
        self.before: subprocess.Popen[bytes] | None = None  # works until its successor takes over
        self.restarts = 0
        self.started = 0.0
        self.not_before = 0.0

    def renew(self, log: IO[bytes]) -> None:
        """Start a successor, which takes over when it is ready; until then the one before goes on."""
        if self.before is None and self.process is not None:
            self.before = self.process
            self.start(log, "--replace")

    def settle(self) -> str:
        """What became of a renewal: "" while it is under way, or when there is none."""
        if self.before is None:
            return ""
        if self.before.poll() is not None:
            self.before = None
            return "its successor has taken over"
        if self.ended():
            self.process, self.before = self.before, None
            return "its successor did not come up; the one before goes on"
        return ""

    def start(self, log: IO[bytes], *more: str) -> None:
        environment = os.environ | {"LOOPLINE_PARENT": str(os.getpid())}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", *self._arguments, *more],  # -P: a project's html.py is not the one we import
            pass_fds=self._handles,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the others in order
        )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def plan_restart(self) -> None:
        """At once when it had come to its work; with growing pauses when it keeps falling before that."""
        lived = time.monotonic() - self.started
        self.restarts = 0 if lived > COMES_UP_S else self.restarts + 1
        pause = min(LONGEST_PAUSE_S, 0.1 * 2**self.restarts) if self.restarts > 1 else 0.0
        self.not_before = time.monotonic() + pause
        self.process = None


class Supervisor:
    """One running installation. `run` returns when it was told to end."""

    def __init__(self, home: Path, listen: Listen, say: Say) -> None:
        self._home = home
        self._listen = listen
        self._say = say
        self._children: list[Child] = []
        self._ending = False
        self._renewing = False
        self._ready_read = -1
        self._inner: socket.socket | None = None

    def run(self, ready: Ready) -> None:
        """Start everything; `ready(link, serving_url, grpc_address)` is called when the first page can be asked for. The
        last is "" where gRPC is not asked for."""
        make_home(self._home)
        with self._only_one():
            found_schema(self._home)  # here, so that what is wrong with the folder is said at once
            self._check_tls()
            control, serving = self._bind(self._listen.port), self._bind(self._listen.serving_port)
            rpc = self._reserved()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._end)
            signal.signal(signal.SIGUSR1, self._renew)
            try:
                self._start(control, serving, rpc)
                self._announce(control, serving, rpc, ready)
                self._watch()
            finally:
                self._stop()
                (self._home / "run" / "server.json").unlink(missing_ok=True)
                if self._inner is not None:
                    Path(self._inner.getsockname()).unlink(missing_ok=True)
                    self._inner.close()

    def _only_one(self) -> IO[str]:
        lock = open(self._home / "run" / "up.lock", "a")  # noqa: SIM115  (held as long as we live)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise Conflict(f"Loopline already runs in {self._home}.", "`loopline open` shows its pages.") from None
        return lock

    def _bind(self, port: int) -> socket.socket:
        listening = self._bound(port)
        listening.listen(1024)
        return listening

    def _bound(self, port: int, shared: bool = False) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._listen.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self._listen.host, port))
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError as error:
            bound.close()
            raise Unavailable(
                f"{self._listen.host}:{port} cannot be listened on ({error.strerror}).",
                "Choose another with --port, --serving-port and --grpc-port.",
            ) from error
        return bound

    def _reserved(self) -> socket.socket | None:
        """The port of gRPC, bound but not listened on: its library opens sockets itself, beside this one."""
        if self._listen.grpc_port is None:
            return None
        if find_spec("grpc") is None:
            raise Unavailable("gRPC needs packages that are not installed.", "`pip install 'loopline[grpc]'`.")
        return self._bound(self._listen.grpc_port, shared=True)

    def _start(self, control: socket.socket, serving: socket.socket, rpc: socket.socket | None) -> None:
        home = str(self._home)
        self._ready_read, ready_write = os.pipe()
        names = [part for name in self._listen.hosts for part in ("--host-name", name)] + self._tls()
        handles: tuple[int, ...] = (serving.fileno(),)
        inner: list[str] = []
        if rpc is not None:
            self._inner = self._inner_socket()
            handles += (self._inner.fileno(),)
            inner = ["--inner-fd", str(self._inner.fileno())]
        self._children = [
            Child(
                "control plane",
                [
                    "loopline.shells.http",
                    "--home",
                    home,
                    "--fd",
                    str(control.fileno()),
                    "--ready-fd",
                    str(ready_write),
                    *names,
                ],
                (control.fileno(), ready_write),
            ),
            Child(
                "data plane",
                ["loopline.shells.dataplane", "--home", home, "--fd", str(serving.fileno()), *names, *inner],
                handles,
            ),
            Child("worker", ["loopline.shells.worker", "--home", home], ()),
        ]
        if rpc is not None:
            self._children.append(self._rpc(rpc))
        for child in self._children:
            self._launch(child)

    def _inner_socket(self) -> socket.socket:
        """Where our own processes reach the router: a unix socket that only we may open, so that no TLS is needed."""
        path = str(self._home.absolute() / "run" / "router.sock")
        if len(path.encode()) > LONGEST_SOCKET:
            path = str(Path(tempfile.mkdtemp(prefix="loopline-")) / "router.sock")
        Path(path).unlink(missing_ok=True)
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inner.bind(path)
        os.chmod(path, 0o600)
        inner.listen(1024)
        return inner

    def _check_tls(self) -> None:
        """Invalid, said at once, for files that cannot be used."""
        listen = self._listen
        if listen.tls_cert is None or listen.tls_key is None:
            return
        from loopline.kit.tls import Certificates, Unusable

        try:
            Certificates(listen.tls_cert, listen.tls_key, listen.tls_client_ca)
        except Unusable as error:
            raise Invalid(str(error), "Give a certificate chain and its key, both in PEM form.") from None

    def _tls(self) -> list[str]:
        listen = self._listen
        files = (
            ("--tls-cert", listen.tls_cert), ("--tls-key", listen.tls_key), ("--tls-client-ca", listen.tls_client_ca)
        )  # fmt: skip
        return [word for name, file in files if file is not None for word in (name, str(file.absolute()))]

    def _rpc(self, rpc: socket.socket) -> Child:
        host, port = rpc.getsockname()[:2]
        router = self._inner.getsockname() if self._inner else ""
        where = ["--host", host, "--port", str(port), "--router", router, *self._tls()]
        return Child("grpc", ["loopline.shells.rpc", "--home", str(self._home), *where], ())

    def _launch(self, child: Child) -> None:
        with open(self._home / "logs" / f"{child.name.replace(' ', '-')}.log", "ab") as log:
            child.start(log)

    def _announce(
        self, control: socket.socket, serving: socket.socket, rpc: socket.socket | None, ready: Ready
    ) -> None:
        url, serving_url = self._url(control), self._url(serving)
        grpc_address = self._place(rpc) if rpc else ""
        said = self._wait_for_ready()
        running = {"url": url, "serving_url": serving_url, "grpc_address": grpc_address, "pid": os.getpid()}
        write_file(self._home / "run" / "server.json", json.dumps(running).encode(), 0o600)
        ready(f"{url}/sign-in?code={said['code']}", serving_url, grpc_address)

    def _url(self, listening: socket.socket) -> str:
        return f"{self._listen.scheme}://{self._place(listening)}"

    def _place(self, bound: socket.socket) -> str:
        host = self._listen.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
        return f"{f'[{shown}]' if ':' in shown else shown}:{bound.getsockname()[1]}"

    def _wait_for_ready(self) -> dict[str, Any]:
        until = time.monotonic() + READY_S
        while time.monotonic() < until and not self._ending:
            readable, _, _ = select.select([self._ready_read], [], [], BEAT_S)
            if readable:
                answer: dict[str, Any] = json.loads(os.read(self._ready_read, 65536).split(b"\n")[0])
                return answer
            if self._children[0].ended():
                break
        log = self._home / "logs" / "control-plane.log"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if self._children[0].ended() else []
        raise Unavailable("The control plane did not start.", " ".join([*last, f"Its log is {log}."]))

    def _watch(self) -> None:
        while not self._ending:
            self._renew_serving()
            for child in self._children:
                said = child.settle()
                if said:
                    self._say(f"{child.name}: {said}")
                if child.ended():
                    self._say(
                        f"{child.name} ended ({child.process.returncode if child.process else '?'}), starting it again"
                    )
                    child.plan_restart()
                if child.process is None and time.monotonic() >= child.not_before:
                    self._launch(child)
            time.sleep(BEAT_S)

    def _renew(self, *_: object) -> None:
        self._renewing = True

    def _renew_serving(self) -> None:
        """SIGUSR1: new code and settings for serving, on the same socket, without a pause."""
        if self._renewing:
            self._renewing = False
            for child in self._children:
                if child.name == "data plane":
                    with open(self._home / "logs" / "data-plane.log", "ab") as log:
                        child.renew(log)

    def _end(self, *_: object) -> None:
        self._ending = True

    def _stop(self) -> None:
        living = [each for child in self._children for each in (child.process, child.before) if each is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + GRACE_S
        for process in living:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
