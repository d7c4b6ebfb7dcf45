"""Markdown that people write, as HTML that may stand in our pages: no HTML of theirs, no images, only harmless links."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

DEEPER = 3
CAPTION = '<caption class="quiet">Table of the text</caption>\n'


def markdown(text: str) -> str:
    """HTML of CommonMark with tables. Headings begin at the fourth level; mark-up in `text` shows as text; a link leads to a
    page here, a site or mail, or is none."""
    reader = _reader()
    tokens = list(_tamed(reader.parse(text)))
    return str(reader.renderer.render(tokens, reader.options, {}))


@cache
def _reader() -> Any:
    from markdown_it import MarkdownIt

    reader: Any = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    reader.enable("table").disable(["image", "html_block", "html_inline"])
    reader.validateLink = harmless
    return reader


def _tamed(tokens: list[Any]) -> Iterator[Any]:
    from markdown_it.token import Token

    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + DEEPER)}"
        if token.type == "link_open":
            token.attrSet("rel", "nofollow noreferrer")
        token.attrs.pop("style", None)
        if token.children:
            token.children = list(_tamed(token.children))
        yield token
        if token.type == "table_open":
            yield Token("html_block", "", 0, content=CAPTION)


def harmless(address: str) -> bool:
    """Whether a link may be followed: to a page of ours, a site, or mail."""
    try:
        scheme = urlsplit(address.strip()).scheme.lower()
    except ValueError:
        return False
    return scheme in ("", "http", "https", "mailto") and not any(sign < " " for sign in address)
