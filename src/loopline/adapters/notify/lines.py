"""Messages as lines of JSON at the end of a file: for other programs, and for trying things out."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from loopline.core.errors import Unavailable
from loopline.ports.notify import Message


class Lines:
    """The file at `path`, made when it is missing; its folder must be there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def send(self, message: Message) -> None:
        """See the port. A line holds key, title, text, html, tone, thread, url and the plot in base64."""
        told = {name: getattr(message, name) for name in message.__struct_fields__}
        told["plot"] = base64.b64encode(message.plot).decode() if message.plot else None
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(told) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(
                f"The file of the channel cannot be written ({error.strerror}).", "Name a file in a folder that exists."
            ) from None
