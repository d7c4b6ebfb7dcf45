"""`loopline up` and `loopline open`."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Unavailable

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8400, show_default=True, help="Pages and API.")
@click.option("--serving-port", default=8401, show_default=True, help="Predictions and ground truth.")
@click.option("--grpc-port", type=int, help="Predictions over gRPC too, at this port (usually 8402).")
@click.option("--host-name", multiple=True, help="A further name by which clients call this server.")
@click.option("--tls-cert", type=FILE, help="Speak TLS: the certificate chain. It is read again when it changes.")
@click.option("--tls-key", type=FILE, help="The certificate's key.")
@click.option("--tls-client-ca", type=FILE, help="Take only clients that show a certificate of these authorities.")
@click.option("--no-browser", is_flag=True, help="Do not open the pages.")
@click.pass_obj
def up(
    obj: Any, host: str, port: int, serving_port: int, grpc_port: int | None, host_name: tuple[str, ...],
    tls_cert: Path | None, tls_key: Path | None, tls_client_ca: Path | None, no_browser: bool,
) -> None:  # fmt: skip
    """Start the server: pages, API, serving, worker. Ctrl-C ends it."""
    from loopline.app.settings import Listen
    from loopline.shells.supervisor import Supervisor

    def ready(link: str, serving_url: str, grpc_address: str) -> None:
        also = f"  gRPC      {grpc_address}\n" if grpc_address else ""
        obj.show(
            {"link": link, "serving_url": serving_url, "grpc_address": grpc_address or None, "home": str(obj.folder)},
            text=f"Loopline is up in {obj.folder}\n  pages     {link}\n  serving   {serving_url}\n{also}"
            "The link signs you in once, within ten minutes; `loopline open` prints another. Ctrl-C ends it.",
        )
        if not (no_browser or obj.json):
            open_browser(link)

    listen = Listen(host, port, serving_port, host_name, grpc_port, tls_cert, tls_key, tls_client_ca)
    Supervisor(obj.folder, listen, lambda text: click.echo(text, err=True)).run(ready)


@click.command("open")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.pass_obj
def open_page(obj: Any, no_browser: bool) -> None:
    """Print a one-time sign-in link of the running server, and open it."""
    running = server(obj.folder)
    code = obj.client.call("access.code")["code"]
    link = f"{running['url']}/sign-in?code={code}"
    obj.show({"link": link}, text=link)
    if not (no_browser or obj.json):
        open_browser(link)


def server(home: Path) -> dict[str, Any]:
    """Where the server of this installation listens; Unavailable when none runs."""
    try:
        found: dict[str, Any] = json.loads((home / "run" / "server.json").read_bytes())
    except (OSError, ValueError):
        found = {}
    if not found or not runs(home):
        raise Unavailable(f"No server runs on {home}.", "Start it with `loopline up`.")
    return found


def runs(home: Path) -> bool:
    """Whether a supervisor holds its lock; what it wrote to run/ outlives a supervisor that was killed."""
    try:
        with open(home / "run" / "up.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def open_browser(link: str) -> None:
    """Show the pages where there is a screen."""
    import os
    import sys
    import webbrowser

    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32")):
        webbrowser.open(link)
