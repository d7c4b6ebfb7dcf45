"""`python -m loopline.shells.dataplane`: the router process of an installation."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, LooplineError
from loopline.kit.processes import die_with_parent
from loopline.shells.dataplane.forking import Nursery
from loopline.shells.dataplane.limits import Limits, configured
from loopline.shells.dataplane.residents import LOADED

OPEN_HOME = "loopline.app.wiring:open_home"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m loopline.shells.dataplane", description=__doc__)
    parser.add_argument("--home", required=True, type=Path, help="the installation's folder")
    parser.add_argument("--fd", type=int, help="a listening socket handed down by the parent")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8401)
    parser.add_argument("--host-name", action="append", default=[], help="a further name by which clients call us")
    parser.add_argument(
        "--warm-seconds", type=float, default=Limits.warm_s, help="how long the previous revision stays warm"
    )
    parser.add_argument("--grace-seconds", type=float, default=Limits.grace_s, help="how long a stop waits for clients")
    parser.add_argument(
        "--memory-mb", type=int, default=os.environ.get("LOOPLINE_SERVING_MEMORY_MB") or 0,
        help="memory for models; default: half of the machine's",
    )  # fmt: skip
    parser.add_argument(
        "--replace", action="store_true", help="take over from the data plane that runs, without a pause"
    )
    parser.add_argument("--tls-cert", type=Path, help="speak TLS: the certificate chain, in PEM form")
    parser.add_argument("--tls-key", type=Path, help="its key")
    parser.add_argument("--tls-client-ca", type=Path, help="take only clients with a certificate of these authorities")
    parser.add_argument("--inner-fd", type=int, help="a listening unix socket for our own processes, without TLS")
    parser.add_argument("--installation", default=OPEN_HOME, help="module:function that opens the home folder")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until told to stop; exit code 0, or that of the error."""
    wanted = arguments(given)
    try:
        limits = configured(os.environ)
    except LooplineError as error:
        print(f"data plane: {error}", file=sys.stderr)
        return error.exit_code
    limits = replace(limits, warm_s=wanted.warm_seconds, grace_s=wanted.grace_seconds)
    nursery = _nursery(wanted)
    from loopline.shells.dataplane.hosts import Hosts
    from loopline.shells.dataplane.server import Wanted, inherited, listening, serve
    from loopline.shells.dataplane.takeover import Lock

    _many_files()
    _bring_up_to_date(wanted.home)
    module, _, name = wanted.installation.partition(":")
    parent = os.environ.get("LOOPLINE_PARENT")
    if parent:  # the supervisor: when it dies, finish what is under way and end
        die_with_parent(int(parent), signal.SIGTERM)
    try:
        sock = listening(wanted.host, wanted.port) if wanted.fd is None else inherited(wanted.fd)
        opened = getattr(importlib.import_module(module), name)(wanted.home)
        lock = Lock(wanted.home)
        if not wanted.replace:
            lock.take()
        hosts = Hosts([*wanted.host_name, *([wanted.host] if wanted.fd is None else [])])
        inner = None if wanted.inner_fd is None else inherited(wanted.inner_fd)
        how = Wanted(wanted.home, hosts, limits, wanted.installation, wanted.memory_mb * 1_000_000, wanted.replace,
                     _certificates(wanted), inner, nursery)  # fmt: skip
        _run(serve(how, sock, opened, lock))
        opened.close()
        lock.free()
    except LooplineError as error:
        print(f"data plane: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _nursery(wanted: argparse.Namespace) -> Nursery:
    """Started before anything else is imported, where models wait to be loaded: both take their time, at the same time."""
    nursery = Nursery(wanted.installation)
    try:
        awaited = (wanted.home / LOADED).read_bytes() not in (b"", b"[]")
    except OSError:
        awaited = False
    if awaited:
        nursery.start()
    return nursery


def _certificates(wanted: argparse.Namespace) -> Any:
    """What TLS is spoken with; None where it is not asked for. Invalid for files that cannot be used."""
    if wanted.tls_cert is None:
        return None
    from loopline.kit.tls import Certificates, Unusable

    try:
        return Certificates(wanted.tls_cert, wanted.tls_key or wanted.tls_cert, wanted.tls_client_ca)
    except Unusable as error:
        raise Invalid(str(error), "Give a certificate chain and its key, both in PEM form.") from None


def _bring_up_to_date(home: Path) -> None:
    """Have an old schema changed by a process that ends: what it imports would stay here for ever."""
    from loopline.app.migrations.runner import NEWEST, stored

    if stored(home) != NEWEST:
        script = "import sys, pathlib; from loopline.app.wiring import open_home; open_home(pathlib.Path(sys.argv[1])).close()"
        subprocess.run([sys.executable, "-P", "-c", script, str(home)], check=False)


def _many_files() -> None:
    """As many connections as the system allows us."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run(work: Coroutine[Any, Any, None]) -> None:
    import asyncio

    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    sys.exit(main())
