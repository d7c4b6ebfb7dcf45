"""The process of one model revision: loads the model, warms it, then answers batches until the router lets go."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes import isolation
from loopline.core.errors import LooplineError
from loopline.core.tables import Signature
from loopline.kit.processes import die_with_parent
from loopline.shells.dataplane.frames import FAILED, READY, framed, messages
from loopline.shells.dataplane.models import Model
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.warming import misfit, recorded

EXAMPLES = 32
COMPILE_S = 60.0
ORDINARY: dict[str, Any] = {
    "float": 0.0, "integer": 0, "string": "", "boolean": False, "timestamp": "2013-01-01T00:00:00.000Z",
}  # fmt: skip


def warm(model: Model, signature: Signature, examples: Any, ruled: bool = False) -> str | None:
    """Run the model once on held-out rows, or on made-up ones where there are none; answers why it is unfit, or None.

    A made-up text may be one that a sound model refuses: then a failure says nothing. Rules may refuse rows: of real ones
    they must let some through.
    """
    packed = _real_rows(examples, signature)
    real = packed is not None
    if packed is None:
        made_up = [None if column.nullable else ORDINARY[column.type] for column in signature.inputs]
        packed = [pack(kind_of(column), [value]) for column, value in zip(signature.inputs, made_up, strict=True)]
    faults = model.predict(packed)[1]
    texts = any(column.type == "string" for column in signature.inputs)
    if not faults or ((texts or ruled) and not real):
        return None
    if ruled and examples is not None and len(faults) < examples.num_rows:
        return None
    return f"it cannot score row {faults[0][0]} of its warm-up: {faults[0][1]}"


def load(arguments: argparse.Namespace) -> Model:
    """The model, loaded from the installation and warmed. Raises LooplineError when it is unfit."""
    module, _, name = arguments.installation.partition(":")
    installation = getattr(importlib.import_module(module), name)(Path(arguments.home))
    try:
        serving = installation.serving
        deployment = serving.revision(arguments.endpoint, arguments.revision)
        signature = deployment.signature
        prepare(arguments, serving)
        found = serving.load(arguments.model, arguments.version)
        told = offer(found, deployment, installation) if arguments.inline else {}
        loaded = serving.ruled(found, deployment)
        # A compiled model has answered its held-out rows already; reading them again would cost more than the model.
        proven = deployment.rules is None and getattr(found, "choice", None) is not None
        seen = recorded(Path(arguments.home), arguments.endpoint, signature, EXAMPLES)
        known = proven or seen is not None
        examples = None if known else serving.examples(arguments.model, arguments.version, EXAMPLES)
    finally:
        installation.close()
    model = Model(loaded, signature)
    model.told |= told
    if seen is not None:  # what was asked a moment ago will be asked again
        reason = misfit(model.predict(seen[0])[1], seen[1])
    else:
        reason = warm(model, signature, examples, deployment.rules is not None)
    if reason is not None:
        raise LooplineError(f"The model {arguments.model}/{arguments.version} is unfit: {reason}.")
    return model


def prepare(arguments: argparse.Namespace, serving: Any) -> None:
    """Have an engine chosen for the version, when that was not done here yet, by a process that takes the libraries away
    with it. Whatever becomes of it, the model can be loaded as it is."""
    if serving.compiled(arguments.model, arguments.version):
        return
    options = ("--home", "--installation", "--model", "--version")
    given = [str(each) for name in options for each in (name, getattr(arguments, name[2:]))]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-P", "-m", "loopline.shells.dataplane.compile_process", *given],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LOOPLINE_PARENT": str(os.getpid())},
            timeout=COMPILE_S,
            check=False,
        )


def offer(found: Any, deployment: Any, installation: Any) -> dict[str, Any]:
    """What the router may run itself, as {"inline": (engine, its bytes)}; else {"not_inline": why}."""
    choice = getattr(found, "choice", None)
    if deployment.rules is not None:
        return {"not_inline": "the endpoint has rules, which are code of its own"}
    if choice is None or choice.content is None:
        return {"not_inline": "no engine was kept for this version, so its library runs it"}
    return {"inline": (choice.rung, installation.get("blobs").get(choice.content))}


def serve(connection: socket.socket, model: Model) -> None:
    """Answer batches until the router closes its side."""
    for number, packed, explain in messages(connection):
        predictions, faults = model.predict(packed)
        explained = model.explain(packed) if explain else None
        connection.sendall(framed([number, predictions, faults, explained]))


def _real_rows(examples: Any, signature: Signature) -> list[Any] | None:
    """Held-out rows packed; None where there are none that the signature allows."""
    from loopline.usecases.serving.checks import checked_columns

    try:
        return checked_columns(examples, signature, 0) if examples is not None and examples.num_rows else None
    except LooplineError:
        return None


def main(given: Sequence[str] | None = None) -> int:
    """Run until the socket closes; exit code 0, or 1 when the model is unfit (the reason went to the router)."""
    parser = argparse.ArgumentParser(prog="loopline.shells.dataplane.model_process")
    for name in ("--home", "--endpoint", "--model", "--installation"):
        parser.add_argument(name, required=True)
    for name in ("--fd", "--revision", "--version", "--parent"):
        parser.add_argument(name, required=True, type=int)
    parser.add_argument("--inline", action="store_true", help="hand over what the router itself can run")
    arguments = parser.parse_args(given)
    for number in (signal.SIGINT, signal.SIGTERM):  # the router says when to end, by closing the socket
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(arguments.parent)
    isolation.enter()
    connection = socket.socket(fileno=arguments.fd)
    connection.set_inheritable(False)  # or what the model starts would hide our end from the router
    os.register_at_fork(after_in_child=connection.close)
    try:
        model = load(arguments)
    except Exception as error:  # the reason must reach whoever asked for the deployment
        reason = error.message if isinstance(error, LooplineError) else f"{type(error).__name__}: {str(error)[:500]}"
        connection.sendall(framed([FAILED, reason]))
        return 1
    try:
        connection.sendall(framed([READY, model.told]))
        serve(connection, model)
    except (EOFError, ConnectionError, BrokenPipeError):
        return 0
    finally:
        model.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
