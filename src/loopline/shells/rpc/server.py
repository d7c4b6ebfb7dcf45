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

Files = tuple[Path, Path, Path | None]
LARGEST_MESSAGE = 64 << 20
MOST_CALLS = 4096
OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 1),  # the supervisor holds the port's place while we restart
)


async def serve(upstream: Upstream, host: str, port: int, tls: Files | None, grace_s: float) -> None:
    """Serve until SIGTERM or SIGINT, with `tls` in TLS alone. Unavailable when the port is taken or the extra `grpc` is
    missing; Invalid for files that cannot be used for TLS."""
    grpc = library()
    from loopline.shells.rpc.service import Service

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MOST_CALLS)
    server.add_generic_rpc_handlers((Service(upstream).handler(),))
    place = f"[{host}]" if ":" in host else host
    try:
        if tls is None:
            bound = server.add_insecure_port(f"{place}:{port}")
        else:
            bound = server.add_secure_port(f"{place}:{port}", credentials(grpc, *tls))
    except RuntimeError:
        raise Unavailable(f"{place}:{port} cannot be listened on.", "Choose another port.") from None
    await server.start()
    print(f"gRPC: {place}:{bound}", file=sys.stderr, flush=True)
    await stopping.wait()
    await server.stop(grace_s)
    upstream.close()


def credentials(grpc: Any, certificate: Path, key: Path, client_ca: Path | None) -> Any:
    """What TLS is spoken with; the files are looked at in each handshake. See `Certificates`."""
    from loopline.kit.tls import Certificates, Unusable

    def held() -> Any:
        chain = [(key.read_bytes(), certificate.read_bytes())]
        return grpc.ssl_server_certificate_configuration(chain, client_ca and client_ca.read_bytes())

    def renewed() -> Any:
        return held() if files.fresh() else None

    try:
        files = Certificates(certificate, key, client_ca)
    except Unusable as error:
        raise Invalid(str(error), "Give a certificate chain and its key, both in PEM form.") from None
    return grpc.dynamic_ssl_server_credentials(held(), renewed, client_ca is not None)


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
    """The router at `router`: a unix socket's path or an address; else where it announced itself. `ca` (or LOOPLINE_CA)
    says whom to trust."""
    router = router or address(home)["url"]
    if "://" not in router:
        return Upstream(router)
    parts = urlsplit(router)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{router!r} is not the address of a router.", "Write it as http://127.0.0.1:8401.")
    secure = None
    if parts.scheme == "https":
        from loopline.kit.tls import Unusable, trusting

        try:
            secure = trusting(ca)
        except Unusable as error:
            raise Invalid(str(error), "Name a file of certificates in PEM form.") from None
    return Upstream((parts.hostname, parts.port or (443 if secure else 80)), secure)
