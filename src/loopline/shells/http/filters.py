"""How values look on a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from loopline.core.times import from_text

DASH = "–"
TONES = {
    "good": "passed finished live healthy sealed resolved ran hit ok promoted current matured mature accepted taken ready done released in_step kept advanced",
    "live": "running requested scheduled serving started wanted beside",
    "warn": "not_run acknowledged provisional waiting skipped late silent killed estimated cancelled stale missing immature differs leftovers unreadable",
    "bad": "failed refused open opened error drifted rejected down orphan rolled_back stopped",
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words.split()}


def moment(text: str | None) -> str:
    """A time as people read it: 2013-04-01 12:00:05 (UTC)."""
    return "" if not text else text[:19].replace("T", " ").removesuffix("Z")


def clock(text: str | None) -> str:
    """Only the hour of a time: 12:00:05 (UTC)."""
    return "" if not text else text[11:19]


def ago(text: str | None) -> str:
    """How long a time lies back, in one unit; the date when that is more than ten days."""
    if not text:
        return ""
    seconds = (datetime.now(UTC) - from_text(text)).total_seconds()
    if not -60 < seconds < 864_000:
        return text[:10]
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def number(value: Any, digits: int = 4) -> str:
    """A number without noise; a dash for nothing."""
    if value is None or value != value:
        return DASH
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def fixed(value: Any, digits: int = 4) -> str:
    """A number with so many decimals, so that a column lines up; a dash for nothing."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if usable and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.{digits}f}" if usable else DASH if value is None or value != value else str(value)


def signed(value: Any, digits: int = 4) -> str:
    """A difference with its sign."""
    return DASH if value is None or value != value else f"{value:+.{digits}f}"


def brief(text: Any) -> str:
    """A text that may be a number with too many digits."""
    try:
        return f"{float(text):.6g}" if len(str(text)) > 8 and "." in str(text) else str(text)
    except ValueError:
        return str(text)


def percent(value: Any, digits: int = 1) -> str:
    """A share as a percentage."""
    return DASH if value is None or value != value else f"{100 * value:.{digits}f} %"


def seconds(value: Any) -> str:
    """A duration in seconds, in the unit that fits."""
    if value is None or value != value:
        return DASH
    if value < 0.9995:
        return f"{1000 * value:.3g} ms"
    if value < 120:
        return f"{value:.1f} s"
    if value < 7200:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value / 3600:.1f} h" if value < 172_800 else f"{value / 86_400:.1f} d"


def between(start: str | None, end: str | None) -> str:
    """The duration from one time to another; a dash while it is open."""
    return seconds((from_text(end) - from_text(start)).total_seconds()) if start and end else DASH


def size(value: int | None) -> str:
    """Bytes as people read them."""
    if value is None:
        return DASH
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value} bytes"


def short(digest: str | None) -> str:
    """The first twelve signs of a digest or id."""
    return (digest or "")[:12]


def tone(word: Any) -> str:
    """The colour that goes with a status: good, live, warn, bad or none."""
    return TONE_OF.get(str(word).lower().replace(" ", "_"), "")


def words(name: Any) -> str:
    """A name as words: not_run becomes not run."""
    return str(name).replace("_", " ")


def plain(value: Any) -> str:
    """Data as JSON text for an attribute (the template escapes it); numbers that JSON lacks become null."""
    return msgspec.json.encode(value).decode()


def told(value: Any) -> str:
    """A setting in words: yes and no, lists with commas, what is not set as nothing."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(key)} {told(one)}" for key, one in value.items() if told(one))
    if isinstance(value, list | tuple):
        return "; ".join(told(one) for one in value)
    return brief(number(value) if isinstance(value, float) else value)


def pretty(value: Any) -> str:
    """Data as JSON that people read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def link(query: Mapping[str, Any], **changes: Any) -> str:
    """The same page with some of its filters changed: "?sort=auc"; what is empty is left out."""
    return "?" + urlencode({key: value for key, value in {**query, **changes}.items() if value not in ("", None)})


def part(text: Any) -> str:
    """A name as one piece of a path."""
    return quote(str(text), safe="")


FILTERS: dict[str, Callable[..., str]] = {
    "moment": moment,
    "clock": clock,
    "ago": ago,
    "number": number,
    "fixed": fixed,
    "signed": signed,
    "brief": brief,
    "percent": percent,
    "seconds": seconds,
    "between": between,
    "size": size,
    "short": short,
    "tone": tone,
    "words": words,
    "plain": plain,
    "told": told,
    "pretty": pretty,
    "link": link,
    "part": part,
}
