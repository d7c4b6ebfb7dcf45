"""`python -m loopline.shells.rpc`: gRPC beside the router of an installation."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from loopline.core.errors import LooplineError
from loopline.kit.processes import die_with_parent
from loopline.shells.rpc.server import found, serve


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m loopline.shells.rpc", description=__doc__)
    parser.add_argument("--home", required=True, type=Path, help="the installation's folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8402)
    parser.add_argument(
        "--router", help="the router: a unix socket's path, or its address (default: as it announced itself)"
    )
    parser.add_argument("--ca", type=Path, help="whom to trust when the router speaks TLS")
    parser.add_argument("--tls-cert", type=Path, help="speak TLS: the certificate chain, in PEM form")
    parser.add_argument("--tls-key", type=Path, help="its key")
    parser.add_argument("--tls-client-ca", type=Path, help="take only clients with a certificate of these authorities")
    parser.add_argument("--grace-seconds", type=float, default=6.0, help="how long a stop waits for calls under way")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until told to stop; exit code 0, or that of the error."""
    wanted = arguments(given)
    parent = os.environ.get("LOOPLINE_PARENT")
    if parent:
        die_with_parent(int(parent), signal.SIGTERM)
    try:
        upstream = found(wanted.home, wanted.router, wanted.ca)
        tls = None if wanted.tls_cert is None else (wanted.tls_cert, wanted.tls_key, wanted.tls_client_ca)
        asyncio.run(serve(upstream, wanted.host, wanted.port, tls, wanted.grace_seconds))
    except LooplineError as error:
        print(f"gRPC: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
