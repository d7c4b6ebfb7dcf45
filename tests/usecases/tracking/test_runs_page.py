"""The page of runs as it leaves the server: what it shows stands in its address, and its forms do what they say."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from loopline.shells.http.control import application, host_names
from loopline.testing.factories import installation
from loopline.usecases.tracking.model import Point
from loopline.usecases.tracking.web.runs import caret, where

pytestmark = pytest.mark.integration
TOKEN = "loop_first_token_of_the_page_tests"


@pytest.fixture
def tracking(tmp_path: Any) -> Iterator[Any]:
    with installation(tmp_path) as loopline:
        loopline.access.first(TOKEN)
        for number in range(6):
            run = loopline.tracking.start(
                f"run {number}",
                actor="ann",
                experiment=("flights", "weather")[number % 2],
                run_id=f"{number:032x}",
                params={"model": ("tree", "net", "linear")[number % 3]},
                started_at=f"2026-01-01T00:00:{number:02}.000Z",
            )
            loopline.tracking.log(run.id, [Point("auc", number / 10), Point("my loss", 1.0)], tags={"team": "blue"})
        loopline.tracking.loopline = loopline
        yield loopline.tracking


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass
class Client:
    """Asks the application as a person's browser does."""

    app: Any
    token: str = TOKEN

    def get(self, address: str) -> Answer:
        return asyncio.run(self._ask("GET", address, b""))

    def post(self, address: str, **fields: Any) -> Answer:
        return asyncio.run(self._ask("POST", address, urlencode(fields, doseq=True).encode()))

    async def _ask(self, method: str, address: str, body: bytes) -> Answer:
        path, _, query = address.partition("?")
        headers = {"host": "127.0.0.1", "authorization": f"Bearer {self.token}"}
        headers["content-type"] = "application/x-www-form-urlencoded"
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "raw_path": path.encode(),
            "root_path": "",
            "client": ("127.0.0.1", 5),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        text = b"".join(one.get("body", b"") for one in sent[1:]).decode()
        return Answer(sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, text)


@pytest.fixture
def client(tracking: Any) -> Client:
    return Client(application(tracking.loopline, host_names("127.0.0.1", 80)))


def shown(client: Client, address: str = "") -> list[str]:
    answer = client.get(f"/runs?{address}")
    assert answer.status == 200
    return re.findall(r'<a href="/runs/[0-9a-f]{32}">([^<]*)</a>', answer.text)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("", ["run 5", "run 4", "run 3", "run 2", "run 1", "run 0"]),
        ("experiment=flights", ["run 4", "run 2", "run 0"]),
        ("q=RUN+3", ["run 3"]),
        ("filter=metrics.auc+>+0.2&sort=metrics.auc&order=asc", ["run 3", "run 4", "run 5"]),
        ("filter=params.model+=+'tree'&status=running", ["run 3", "run 0"]),
        ("sort=metrics.`my loss`", ["run 5", "run 4", "run 3", "run 2", "run 1", "run 0"]),
        ("group=params.model&open=%3Dnet", ["run 4", "run 1"]),
        ("group=tags.other&open=null&filter=metrics.auc+<+0.2", ["run 1", "run 0"]),
        ("group=params.model", []),
        ("state=archived", []),
        ("status=finished", []),
        ("experiment=nowhere", []),
        ("page=garbage", []),
        ("filter=metrics.auc+>", []),
        ("sort=nothing", []),
        ("group=metrics.auc", []),
        ("columns=,,x,metrics.,params.model,ended_at", ["run 5", "run 4", "run 3", "run 2", "run 1", "run 0"]),
    ],
)
def test_the_address_says_what_is_shown(client: Client, address: str, names: list[str]) -> None:
    assert shown(client, address) == names


def test_a_mistake_is_pointed_at(client: Client) -> None:
    text = client.get("/runs?q=run&filter=" + quote("metrics.auc > 'x' and status = 'failed'")).text
    assert "at character 15 is not understood" in text
    assert "\n" + " " * 14 + "^^^</pre>" in text
    assert caret(None, "x") is None


def test_filters_are_one_search_in_which_places_stay() -> None:
    query = {"filter": "metrics.auc > 1", "q": "it's", "kind": "", "status": "failed"}
    assert where(query) == "metrics.auc > 1 and name ILIKE \"%it's%\" and status = 'failed'"


def test_columns_are_chosen_in_the_address(client: Client) -> None:
    def heads(address: str) -> list[str]:
        text = client.get(f"/runs?{address}").text
        table = text[text.index("<thead>") : text.index("</thead>")]
        return [re.sub(r"<[^>]*>|[↓↑]", "", one).strip() for one in re.findall(r"<th[^>]*>(.*?)</th>", table, re.S)]

    fixed, by = ["Name", "Status", "Started", "Took"], ["By"]
    assert heads("") == [*fixed, "auc", "my loss", "model", *by]
    assert heads("columns=tags.team,metrics.`my+loss`,kind") == [*fixed, "team", "my loss", "Kind", *by]
    assert heads("columns=metrics.auc&columns=params.model") == [*fixed, "auc", "model", *by], "as a form sends it"


def test_groups_are_counted_and_measured(client: Client) -> None:
    text = client.get("/runs?group=params.model&measure=auc&open=%3Dnet").text
    assert "3 groups by params.model, with auc." in text
    assert "2 runs · auc mean 0.2500, from 0.1000 to 0.4000" in text
    assert text.count('aria-expanded="true"') == 1


def test_chosen_runs_are_tagged_archived_deleted_and_restored(client: Client, tracking: Any) -> None:
    some = [f"{number:032x}" for number in (1, 2)]

    def send(path: str, **fields: Any) -> Answer:
        return client.post(f"/runs/{path}", back="experiment=flights", **fields)

    answer = send("tag", runs=some, key="best", value="yes")
    assert (answer.status, answer.headers["location"]) == (303, "/runs?experiment=flights")
    assert len(tracking.find("tags.best = 'yes'").runs) == 2
    assert send("archive", runs=some[0]).status == 303
    assert shown(client, "state=archived") == ["run 1"]
    assert send("restore", runs=some[0]).status == 303
    assert send("delete", runs=some).status == 303
    assert shown(client, "state=deleted") == ["run 2", "run 1"]
    assert send("delete").status == 400
    assert "0 runs were named" in send("delete").text
    assert send("archive", runs="no-such-run").status == 404
    assert client.post("/runs/archive", runs=some[0]).headers["location"] == "/runs?"
    answer = client.post("/runs/archive", runs=some[0], back="//evil.example")
    assert answer.headers["location"].startswith("/runs?")


def test_a_viewer_changes_nothing(client: Client, tracking: Any) -> None:
    secret = tracking.loopline.access.new("eve", "viewer", "ada").secret
    client.token = secret
    assert "Archive" not in client.get("/runs").text
    assert client.post("/runs/delete", runs=f"{1:032x}").status == 403
    assert client.post("/runs/views", name="x").status == 403


def test_views_and_experiments_change_from_the_page(client: Client, tracking: Any) -> None:
    client.post("/runs/views", name="best & <b>", query="sort=metrics.auc&page=x", back="")
    text = client.get("/runs").text
    assert '<a href="/runs?sort=metrics.auc"' in text
    assert "best &amp; &lt;b&gt;" in text
    client.post("/runs/views/drop", name="best & <b>")
    assert tracking.views() == []
    (flights,) = tracking.experiment_numbers(["flights"])
    client.post(f"/runs/experiments/{flights}/rename", name="late flights")
    assert shown(client, "experiment=late+flights") == ["run 4", "run 2", "run 0"]
    client.post(f"/runs/experiments/{flights}/delete")
    assert shown(client) == ["run 5", "run 3", "run 1"]
    assert "Restore with its runs" in client.get("/runs?state=deleted").text
    client.post(f"/runs/experiments/{flights}/restore")
    assert len(shown(client)) == 6


def test_pages_follow_each_other(client: Client, tracking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["loopline.usecases.tracking.web.runs"], "PAGE_SIZE", 4)
    text = client.get("/runs?sort=metrics.auc&order=asc").text
    following = re.search(r'href="(/?[^"]*page=[^"]*)">Next page', text)
    assert following is not None
    assert shown(client, following[1].partition("?")[2].replace("&amp;", "&")) == ["run 4", "run 5"]
