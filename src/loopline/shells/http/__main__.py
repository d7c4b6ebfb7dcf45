"""The control plane's process: `python -m loopline.shells.http --home DIR --fd N`."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import LooplineError, Refused
from loopline.kit.processes import die_with_parent
from loopline.shells.http.control import host_names, serve


def main() -> None:
    arguments = parsed()
    parent = os.environ.get("LOOPLINE_PARENT")
    die_with_parent(int(parent) if parent else None)
    listening = socket.socket(fileno=arguments.fd)
    host, port = listening.getsockname()[:2]
    tls = certificates(arguments)
    loopline = open_home(Path(arguments.home))
    try:
        loopline.access.first(os.environ.get("LOOPLINE_TOKEN"))
    except LooplineError as error:
        loopline.close()
        sys.exit(str(error))

    def ready() -> None:
        if arguments.ready_fd is not None:
            os.write(arguments.ready_fd, json.dumps({"code": code_of(loopline)}).encode() + b"\n")

    try:
        serve(loopline, listening, host_names(host, port, tuple(arguments.host_name)), ready, tls)
    finally:
        loopline.close()


def certificates(arguments: argparse.Namespace) -> Any:
    """What TLS is spoken with; None where it is not asked for."""
    if arguments.tls_cert is None:
        return None
    from loopline.kit.tls import Certificates, Unusable

    try:
        return Certificates(arguments.tls_cert, arguments.tls_key, arguments.tls_client_ca)
    except Unusable as error:
        sys.exit(str(error))


def code_of(loopline: Loopline) -> str:
    """A code for the first link; "" where no admin is left, so that the link leads to the form."""
    try:
        return str(loopline.access.code())
    except Refused:
        return ""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loopline.shells.http")
    parser.add_argument("--home", required=True)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket, inherited")
    parser.add_argument("--ready-fd", type=int, help="a pipe that is told when requests are answered")
    parser.add_argument("--tls-cert", type=Path, help="speak TLS: the certificate chain, in PEM form")
    parser.add_argument("--tls-key", type=Path, help="its key")
    parser.add_argument("--tls-client-ca", type=Path, help="take only clients with a certificate of these authorities")
    parser.add_argument("--host-name", action="append", default=[], help="a further name to answer to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
