"""Where an installation lives and how it listens: read once, from the command line and the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loopline.core.errors import Invalid

LOCAL = ".loopline"


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's data folder on this system."""
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def find_home(given: str | None = None, environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> Path:
    """The installation to use: the one given, LOOPLINE_HOME, a ./.loopline of this project, or the user's own."""
    chosen = given or environ.get("LOOPLINE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    start = (folder or Path.cwd()).absolute()
    for place in (start, *start.parents):
        if (place / LOCAL).is_dir():
            return place / LOCAL
    return data_folder(environ) / "loopline"


@dataclass(frozen=True)
class Listen:
    """Addresses of both planes. `hosts` are further names by which clients may call the server; gRPC is spoken where
    `grpc_port` is given. With `tls_cert` and `tls_key` all of them speak TLS alone, and with `tls_client_ca` only with
    clients that show a certificate of those authorities."""

    host: str = "127.0.0.1"
    port: int = 8400
    serving_port: int = 8401
    hosts: tuple[str, ...] = ()
    grpc_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    @property
    def scheme(self) -> str:
        """How addresses begin."""
        return "http" if self.tls_cert is None else "https"

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_cert):
            raise Invalid("TLS needs a certificate and its key.", "Give both --tls-cert and --tls-key.")
        named = (("--port", self.port), ("--serving-port", self.serving_port), ("--grpc-port", self.grpc_port or 0))
        for name, port in named:
            if not 0 <= port <= 65535:
                raise Invalid(
                    f"{name} {port} is not a TCP port.", "Choose a number from 1 to 65535, or 0 for any free one."
                )


def actor_name(environ: Mapping[str, str] = os.environ) -> str:
    """The name under which facts are written when there is no token: LOOPLINE_ACTOR or the user of this machine."""
    import getpass

    given = environ.get("LOOPLINE_ACTOR")
    if given:
        return given[:100]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"
