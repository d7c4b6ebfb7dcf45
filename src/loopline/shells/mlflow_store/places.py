"""Addresses: which installation a tracking URI names, and how artifacts' addresses look from either side.

Over HTTP a run's artifacts lie at `mlflow-artifacts:/1/RUN/artifacts`, which the stock client can only resolve against an
http address. Through the plug-in the same place is `loopline:/1/RUN/artifacts`, resolved against the tracking URI.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from loopline.app.settings import find_home
from loopline.core.errors import Invalid

OVER_HTTP = "mlflow-artifacts:/"
HERE = "loopline:/"
SERVERS = ("loopline+http", "loopline+https")
FIELDS = frozenset({"artifact_uri", "artifact_location", "source", "storage_location", "root_uri"})


def is_server(uri: str) -> bool:
    """Whether the address names a server rather than a folder."""
    return uri.partition(":")[0] in SERVERS


def home_of(uri: str) -> Path:
    """The folder that `loopline:///path` names, or the installation found as the command line finds it for `loopline://`."""
    parts = urlsplit(uri)
    if parts.scheme != "loopline" or parts.netloc:
        raise Invalid(f"{uri!r} names no installation.", "Write loopline:///path/to/home or loopline+http://host:port.")
    return find_home(unquote(parts.path) or None)


def url_of(uri: str) -> str:
    """The http address that `loopline+http://host:port` stands for."""
    return uri.removeprefix("loopline+").rstrip("/")


def outward(fields: dict[str, Any]) -> dict[str, Any]:
    """A request's fields with the addresses of artifacts as everybody else knows them."""
    for name in FIELDS & fields.keys():
        value = fields[name]
        if isinstance(value, str) and value.startswith(HERE):
            fields[name] = OVER_HTTP + value.removeprefix(HERE).lstrip("/")
    return fields


def inward(answer: Any) -> Any:
    """An answer with the addresses of artifacts as the plug-in resolves them; changed in place."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if isinstance(value, (dict, list)):
                inward(value)
            elif name in FIELDS and isinstance(value, str) and value.startswith(OVER_HTTP):
                answer[name] = here(value)
    elif isinstance(answer, list):
        for one in answer:
            inward(one)
    return answer


def here(uri: str) -> str:
    """One address of artifacts as the plug-in resolves it."""
    return HERE + uri.removeprefix(OVER_HTTP).lstrip("/") if uri.startswith(OVER_HTTP) else uri


def resolved(artifact_uri: str, tracking_uri: str) -> tuple[str, str]:
    """The tracking URI that an artifact's address belongs to, and the path there."""
    parts = urlsplit(artifact_uri)
    if parts.scheme in SERVERS and parts.netloc:
        return f"{parts.scheme}://{parts.netloc}", unquote(parts.path).strip("/")
    return tracking_uri, artifact_uri.partition(":")[2].strip("/")
