"""No script that somebody stored runs, framed or opened by itself, and none reads a cookie; files are shown for what they are."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.browser
STEAL = "document.documentElement.setAttribute('ran','1');fetch('/stolen?'+document.cookie);try{top.document.title='ran'}catch(e){}"
PAGE = f"""<!doctype html><h1 style="color: teal">Report</h1><script>{STEAL}</script><img src=/stolen-picture onerror="{STEAL}">
<body onload="{STEAL}"><iframe srcdoc="<script>{STEAL}</script>"></iframe><meta http-equiv=refresh content="0;url=/stolen-refresh">
<form action=/stolen-form><button>go</button></form><a href="javascript:{STEAL}">click</a>"""
DRAWING = f"""<svg xmlns="http://www.w3.org/2000/svg" width="90" height="40" onload="{STEAL}"><rect width="90" height="40" fill="teal"/>
<script>{STEAL}</script></svg>"""


@pytest.fixture(scope="session")
def keeper(site: Any) -> str:
    """A run with one file of each kind."""
    tracking = site.loopline.tracking
    run = tracking.start("keeper", actor="ada", experiment="files")
    put: Callable[..., Any] = lambda name, content, media="": tracking.put_artifact(run.id, name, content, media)  # noqa: E731
    put("report.html", PAGE.encode())
    put("drawing.svg", DRAWING.encode())
    put("hidden.txt", PAGE.encode(), "text/plain")
    put("odd.bin", PAGE.encode(), "application/xhtml+xml; charset=utf-8")
    put("rows.csv", b'name,delay\nAA,1\n"B,6",2\n')
    put("nested.json", b'{"a":{"b":[1,2]}}')
    put(
        "table.json",
        json.dumps({"columns": [{"name": "n", "type": "int64"}], "rows": [[1], [2]], "total": 9}).encode(),
        "application/vnd.loopline.table+json",
    )
    put(
        "confusion.json",
        json.dumps({"labels": ["cat", "dog"], "counts": [[8, 2], [1, 9]]}).encode(),
        "application/vnd.loopline.confusion+json",
    )
    put("broken.json", b'{"labels":', "application/vnd.loopline.confusion+json")
    put("figure.plotly.json", b'{"data":[]}', "application/vnd.plotly.v1+json")
    put("figure.svg", DRAWING.encode())
    put("model.pkl", b"\x80\x04\x95\x00\x00cos\nsystem\n")
    for name, content in (("rows.parquet", parquet()), ("tone.wav", tone())):
        put(name, content)
    tracking.finish(run.id, actor="ada")
    return str(run.id)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"place": list(range(300)), "word": ["x"] * 300}), buffer)
    return buffer.getvalue()


def tone() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 4000)
    return buffer.getvalue()


def reached(visitor: Any) -> list[str]:
    """The addresses that anything answers the visitor's browser from now on (what a policy stops is never sent)."""
    seen: list[str] = []
    visitor.page.on("response", lambda answer: seen.append(answer.url))
    return seen


def only_blocked(visitor: Any) -> None:
    """What the browser complained about is that it ran nothing and loaded nothing."""
    strange = [
        text
        for text in visitor.complaints
        if "Block" not in text and "Content Security Policy" not in text and "sandboxed" not in text
    ]
    assert strange == []
    visitor.complaints.clear()


@pytest.mark.parametrize("name", ["report.html", "drawing.svg", "odd.bin", "hidden.txt"])
def test_a_stored_script_does_not_run_when_opened_by_itself(site: Any, visit: Any, keeper: str, name: str) -> None:
    visitor = visit("admin")
    seen = reached(visitor)
    answer = visitor.open(f"/runs/{keeper}/shown/{name}")
    assert answer.status == 200
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    visitor.page.wait_for_timeout(400)
    assert visitor.page.evaluate("document.documentElement.getAttribute('ran')") is None
    assert [url for url in seen if "stolen" in url] == []
    assert visitor.page.evaluate("self.origin") == "null"
    assert visitor.page.evaluate(
        "(() => { try { return document.cookie } catch (error) { return error.name } })()"
    ) in ("", "SecurityError")
    only_blocked(visitor)


@pytest.mark.parametrize("name", ["report.html", "drawing.svg"])
def test_a_stored_script_does_not_run_when_framed(visit: Any, keeper: str, name: str) -> None:
    visitor = visit("admin")
    seen = reached(visitor)
    visitor.open(f"/runs/{keeper}/artifact?name={name}")
    visitor.page.wait_for_timeout(400)
    frame = visitor.page.frames[1]
    assert frame.evaluate("self.origin") == "null"
    assert frame.evaluate("document.documentElement.getAttribute('ran')") is None
    assert frame.locator("h1, rect").count() == 1, "the page itself is shown"
    assert visitor.page.title() != "ran"
    assert [url for url in seen if "stolen" in url] == []
    only_blocked(visitor)


def test_a_download_is_kept_and_never_shown(site: Any, visit: Any, keeper: str) -> None:
    visitor = visit("viewer")
    for name in ("report.html", "drawing.svg", "model.pkl"):
        answer = visitor.page.request.get(f"{site.url}/api/v1/tracking/runs/{keeper}/files/{name}")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_site_can_frame_neither_pages_nor_files(site: Any, visit: Any, keeper: str) -> None:
    visitor = visit("viewer")
    page = visitor.page.request.get(f"{site.url}/runs/{keeper}").headers["content-security-policy"]
    file = visitor.page.request.get(f"{site.url}/runs/{keeper}/shown/report.html").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page
    assert "frame-ancestors 'self'" in file
    assert "'unsafe" not in page


@pytest.mark.parametrize(
    ("name", "selector", "text"),
    [
        ("rows.csv", "tbody tr", "AA\t1|B,6\t2"),
        ("table.json", "tbody tr", "1|2"),
        ("rows.parquet", "caption", "The first 100 of 300 rows, 2 columns"),
        ("nested.json", "pre", '{\n  "a": {\n    "b": [\n      1,\n      2\n    ]\n  }\n}'),
        ("confusion.json", "tbody tr", "cat\t8\t2|dog\t1\t9"),
        ("model.pkl", ".notice", "Loading such a file can run code, so nothing of it is shown; it can be downloaded."),
        ("broken.json", "pre", '{"labels":'),
    ],
)
def test_a_file_is_shown_for_what_it_is(visit: Any, keeper: str, name: str, selector: str, text: str) -> None:
    visitor = visit("viewer", script=False)
    visitor.open(f"/runs/{keeper}/artifact?name={name}")
    assert "|".join(visitor.texts(f"main {selector}")) == text


def test_sounds_and_drawings_come_as_such(visit: Any, keeper: str) -> None:
    visitor = visit("viewer")
    visitor.open(f"/runs/{keeper}/artifact?name=tone.wav")
    visitor.page.wait_for_function("() => document.querySelector('audio').duration === 0.5")
    visitor.open(f"/runs/{keeper}/artifact?name=figure.plotly.json")
    visitor.page.wait_for_function("() => document.querySelector('.picture img').naturalWidth === 90")
    assert visitor.page.evaluate("document.documentElement.getAttribute('ran')") is None
