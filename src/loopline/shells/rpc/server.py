"""The life of the gRPC process: bind, serve, and on SIGTERM finish what is under way."""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loopline.core.errors import Invalid, Unavailable
from loopline.shells.rpc.upstream import Upstream
from loopline.usecases.serving.waiting import address

LARGEST_MESSAGE = 64 << 20
MOST_CALLS = 4096
OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 1),  # the supervisor holds the port's place while we restart
)


async def serve(home: Path, host: str, port: int, router: str | None, ca: Path | None, grace_s: float) -> None:
    """Serve until SIGTERM or SIGINT. Unavailable when the port is taken or the extra `grpc` is missing."""
    grpc = library()
    from loopline.shells.rpc.service import Service

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    upstream = found(home, router, ca)
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MOST_CALLS)
    server.add_generic_rpc_handlers((Service(upstream).handler(),))
    place = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{place}:{port}")
    except RuntimeError:
        raise Unavailable(f"{place}:{port} cannot be listened on.", "Choose another port.") from None
    await server.start()
    print(f"gRPC: {place}:{bound}", file=sys.stderr, flush=True)
    await stopping.wait()
    await server.stop(grace_s)
    upstream.close()


def library() -> Any:
    """grpcio, or Unavailable with what to install."""
    try:
        import_module("google.protobuf")
        import grpc
        import grpc.aio
    except ImportError:
        raise Unavailable("gRPC needs packages that are not installed.", "`pip install 'loopline[grpc]'`.") from None
    return grpc


def found(home: Path, router: str | None, ca: Path | None) -> Upstream:
    """The router at `router`: a unix socket's path or an address; else where it announced itself."""
    router = router or address(home)["url"]
    if "://" not in router:
        return Upstream(router)
    parts = urlsplit(router)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{router!r} is not the address of a router.", "Write it as http://127.0.0.1:8401.")
    secure = None
    if parts.scheme == "https":
        import ssl

        secure = ssl.create_default_context(cafile=str(ca) if ca else None)
    return Upstream((parts.hostname, parts.port or (443 if secure else 80)), secure)
