"""How long names and values may be, and which names may be given: the rules of MLflow's own store, in its wording."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from loopline.core.errors import Invalid
from loopline.usecases.tracking.wire_mlflow.messages import missing, wrong

LONGEST_KEY = 250
LONGEST_TAG = 8_000
LONGEST_PARAM = 6_000
LONGEST_EXPERIMENT_TAG = 20_000
LONGEST_EXPERIMENT = 500
LONGEST_LOCATION = 2_048
MOST_METRICS = 1_000
MOST_PARAMS = 100
MOST_TAGS = 100
MOST_TOGETHER = 1_000
LARGEST_BATCH = 1_000_000
_KEY = re.compile(r"[/\w.\- :]*\Z")
_SIGNS = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."


def checked_key(path: str, key: str, what: str = "") -> str:
    """A key that stays what it is when it is taken for a path below a folder, or Invalid. `path` names the field,
    `what` the thing in the refusal of one that is too long."""
    if not key:
        raise missing(path)
    if not _KEY.match(key):
        raise wrong(path, key, _SIGNS)
    if normal(key) != key:
        raise wrong(
            path,
            key,
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {posixpath.normpath(key)[:LONGEST_KEY]!r}",
        )
    return within(what or path, key, LONGEST_KEY)


def normal(key: str) -> str:
    """The key when it is its own path below a folder, else something that no key is."""
    found = posixpath.normpath(key)
    return "" if found == "." or found.startswith(("..", "/")) else found


def within(path: str, text: str, longest: int) -> str:
    """A text that is not too long, or Invalid."""
    if len(text) <= longest:
        return text
    raise Invalid(f"'{path}' exceeds the maximum length of {longest} characters.", "Send a shorter one.")


def few(what: str, most: int, count: int) -> None:
    """Invalid when a batch holds too many of something."""
    if count > most:
        raise Invalid(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}.",
            f"Please split up {what} across multiple requests and try again.",
        )


def checked_size(metrics: int, params: int, tags: int) -> None:
    """Invalid when a batch holds more than one request may."""
    few("metrics", MOST_METRICS, metrics)
    few("params", MOST_PARAMS, params)
    few("tags", MOST_TAGS, tags)
    few("metrics, params, and tags", MOST_TOGETHER, metrics + params + tags)


def each_once(keys: Sequence[str]) -> None:
    """Invalid when a param comes twice in one batch."""
    seen: set[str] = set()
    twice = [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if twice:
        raise Invalid(
            f"Duplicate parameter keys have been submitted: {twice}.",
            "Please ensure the request contains only one param value per param key.",
        )
