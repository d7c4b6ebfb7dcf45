"""A real control plane on a temporary home, filled through the real verbs, and a real browser to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import textwrap
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopline.app.wiring import Loopline, open_home, verb_named
from loopline.core.verbs import Caller, Role
from loopline.kit.installed import installed
from loopline.usecases.releases.locking import Pin, declared_in, written
from loopline.usecases.tracking.trace_rows import Span

CHROMIUM = os.environ.get("LOOPLINE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
HOSTILE = "<script>alert('run')</script>"
ADA = Caller("ada", Role.ADMIN)
TOKEN = "loop_first_token_of_the_browser_tests"
FIRST_WEEK = datetime(2013, 4, 1, tzinfo=UTC)
WEEKS, A_WEEK = 6, 350

PROJECT = """
    project: small-delays
    environments: {prod: {}}
    datasets:
      flights: {folder: data, contract: "contract.py:flights"}
    pipelines:
      training: {}
    gates:
      production:
        model: small-delays
        promote_to: production
        slices: [{column: carrier, minimum_rows: 100}]
        approvals: 1
        latency_ms: 2000
    endpoints:
      late: {model: small-delays, alias: production, key: flight, event_time: departs}
    monitors:
      late:
        endpoint: late
        window: week
        metric: auc
        lower_limit: 0.7
        slices: [carrier]
        minimum_labels: 50
        minimum_rows: 50
        data_quality: {missing_share: 0.5}
        latency_ms: 1.0
    policies:
      retrain: {on: alert, run: training, gate: production, cooldown: 7d}
"""
CONTRACT = """
    from loopline import Contract, column

    flights = Contract(
        columns=[
            column("strong", "float"),
            column("weak", "float"),
            column("carrier", "string", allowed=("AA", "B6", "UA")),
            column("late", "integer", minimum=0, maximum=1),
            column("event_time", "timestamp"),
        ]
    )
"""
PIPELINE = """
    import pyarrow as pa
    from loopline import Dataset, Model, pipeline, step


    @step
    def split(flights: Dataset) -> tuple[pa.Table, pa.Table]:
        print(f"{flights.num_rows} rows")
        half = flights.num_rows // 2
        return flights.slice(0, half), flights.slice(half)


    @step
    def train(rows: tuple[pa.Table, pa.Table], using: str) -> Model:
        from sklearn.compose import ColumnTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss, roc_auc_score
        from sklearn.pipeline import Pipeline

        inputs = ["strong", "weak", "carrier"]
        past, held_out = (table.to_pandas() for table in rows)
        chosen = ColumnTransformer([("chosen", "passthrough", [using])])
        model = Pipeline([("columns", chosen), ("classify", LogisticRegression())]).fit(past[inputs], past["late"])
        scores = model.predict_proba(held_out[inputs])[:, 1]
        metrics = {"auc": roc_auc_score(held_out["late"], scores), "log_loss": log_loss(held_out["late"], scores)}
        span = {"trained_from": str(past["event_time"].min()), "trained_until": str(past["event_time"].max())}
        example = rows[0].select(inputs)
        return Model(model, example=example, metrics=metrics, evaluation=rows[1],
                     profile=rows[0].select([*inputs, "event_time"]), metadata={**span, "label": "late"})


    @pipeline
    def training(flights: Dataset = "flights", using: str = "weak") -> Model:
        return train(split(flights), using)
"""


@dataclass
class Site:
    """The running control plane and what is in it."""

    url: str
    loopline: Loopline
    tokens: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, /, **fields: Any) -> Any:
        """What the API answers an admin."""
        return ask(self.loopline, name, **fields)


def ask(loopline: Loopline, name: str, /, **fields: Any) -> Any:
    """A verb as an admin, answering plain data."""
    verb = verb_named(name)
    request = msgspec.convert(fields, verb.request, strict=False)
    return msgspec.to_builtins(verb.call(loopline.get(name.partition(".")[0]), request, ADA))


def flights(rows: int, days: int, seed: int, start: datetime, noise: float = 0.5) -> pa.Table:
    """Rows in order of event time; `strong` tells much about `late` (less with more `noise`), `weak` little."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=rows) * 1.5 - 0.5
    moments = [start + timedelta(days=days * place / rows) for place in range(rows)]
    return pa.table(
        {
            "strong": truth + random.normal(size=rows) * noise,
            "weak": truth + random.normal(size=rows) * 3,
            "carrier": random.choice(["AA", "B6", "UA"], size=rows),
            "late": (random.random(rows) < 1 / (1 + np.exp(-2 * truth))).astype("int64"),
            "event_time": pa.array(moments, pa.timestamp("ms", tz="UTC")),
        }
    )


def sealed(loopline: Loopline, project: Path) -> str:
    """The digest of a release of the training pipeline that stands in prod, locked to what is installed here."""
    (project / "tests").mkdir()
    (project / "tests" / "test_parts.py").write_text("def test_parts():\n    assert 1 + 1 == 2\n")
    (project / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    pins = [Pin(name, version, ("sha256:" + "0" * 64,)) for name, version in installed().items() if name != "loopline"]
    (project / "requirements.lock").write_bytes(written(declared_in(project), pins))
    release = loopline.releases.seal(project, "training", actor="ada")
    loopline.releases.promote(release.digest, "prod", "grace")
    return str(release.digest)


def write_project(folder: Path) -> Path:
    """A project's folder with a good batch and one that breaks the contract."""
    (folder / "data").mkdir(parents=True)
    for name, text in (("loopline.yaml", PROJECT), ("contract.py", CONTRACT), ("pipeline.py", PIPELINE)):
        (folder / name).write_text(textwrap.dedent(text))
    good = flights(3000, 84, 1, datetime(2013, 1, 1, tzinfo=UTC))
    pq.write_table(good, folder / "data" / "january.parquet")
    bad = good.slice(0, 200).set_column(3, "late", pa.array([7] * 200, pa.int64()))
    pq.write_table(bad, folder / "data" / "broken.parquet")
    return folder


def fill(loopline: Loopline, folder: Path) -> dict[str, Any]:
    """One round of the loop through the real verbs: data, runs, versions, gates, an endpoint, late truth, an alert."""
    names: dict[str, Any] = {}
    project = write_project(folder)
    loopline.projects.apply(project, "ada")
    names["snapshot"] = loopline.datasets.snapshot("flights", "ada").digest
    for using in ("weak", "strong"):
        run = loopline.pipelines.run(project, "training", {"using": using}, actor="ada", executor="inline")
        assert run.version, run.error
        names[using] = run.run_id
    names["release"] = sealed(loopline, project)
    for number, month in enumerate(("february", "march")):
        pq.write_table(flights(300, 20, 5 + number, FIRST_WEEK), project / "data" / f"{month}.parquet")
        loopline.datasets.snapshot("flights", "ada")
    names["studies"] = [study(loopline, place) for place in range(5)]
    names["trace"] = traced(loopline)
    promote(loopline, names)
    serve(loopline, names)
    loopline.monitoring.evaluate("late", "loopline")
    loopline.automation.fire("retrain", "ada")
    return names


def study(loopline: Loopline, place: int) -> str:
    """A plain run with a history of metrics."""
    name = HOSTILE if place == 4 else f"study {place}"
    run = loopline.tracking.start(
        name, actor="ada", experiment="studies", params={"depth": str(place)}, tags={"by": name}
    )
    points = [{"key": "loss", "value": 1 / (1 + step) + place / 50, "step": step} for step in range(20)]
    ask(loopline, "tracking.log", run_id=run.id, metrics=points)
    loopline.tracking.put_artifact(run.id, "notes.md", b"# Notes\n<b>not bold</b>\n")
    loopline.tracking.finish(run.id, actor="ada", status="failed" if place == 3 else "finished")
    return str(run.id)


def traced(loopline: Loopline) -> str:
    """A trace of three spans, one of which failed and says so with markup."""
    trace_id, moment = "tr-" + "5" * 32, 1_700_000_000_000_000_000
    said = {"key": "mlflow.spanInputs", "value": {"string_value": f'{{"question": "{HOSTILE}"}}'}}
    spans = [
        Span(
            trace_id=trace_id,
            span_id=f"{place:016x}",
            parent_id="" if place == 1 else f"{1:016x}",
            name=name,
            type="CHAIN",
            status="ERROR" if name == HOSTILE else "OK",
            start_ns=moment + place * 10_000_000,
            end_ns=moment + 60_000_000 - place * 5_000_000,
            content={"attributes": [said]},
        )
        for place, name in enumerate(("answer", "retrieve", HOSTILE), 1)
    ]
    loopline.tracking.put_spans(0, spans)
    return trace_id


def promote(loopline: Loopline, names: dict[str, Any]) -> None:
    """Version 1 becomes production with an approval, version 2 passes its gate and waits, version 1 fails against 2."""
    for version in (1, 2):
        names[f"gate_{version}"] = loopline.promotion.gate("small-delays", version, "production", "ada").id
        if version == 1:
            loopline.promotion.approve("small-delays", 1, "ben", "production", "the first")
            loopline.promotion.promote("small-delays", 1, "production", "ben")


def serve(loopline: Loopline, names: dict[str, Any]) -> None:
    """Two revisions that answered, the second worse off; truth a day later, and only for half of the last week."""
    serving = loopline.serving
    serving.put_rules("flights", RULES, "ada")
    serving.configure("late", {"rules": "flights/1"}, "ada")
    serving.follow()
    serving.went_live("late", 1, "2013-04-01T00:00:00.000Z", "loopline")
    second = serving.deploy("late", 2, "ada").revision
    serving.went_live("late", second, "2013-04-22T00:00:00.000Z", "loopline")
    table = flights(WEEKS * A_WEEK, 7 * WEEKS, 2, FIRST_WEEK)
    late_weeks = np.arange(table.num_rows) >= 4 * A_WEEK
    shuffled = np.where(
        late_weeks, np.random.default_rng(3).permutation(table["late"].to_numpy()), table["late"].to_numpy()
    )
    half = 3 * A_WEEK
    names["predictions"] = [
        *log_predictions(loopline, 1, 1, table.slice(0, half)),
        *log_predictions(loopline, second, 2, table.slice(half)),
    ]
    log_truth(loopline, table, shuffled[: 5 * A_WEEK + A_WEEK // 2])


def log_predictions(loopline: Loopline, revision: int, version: int, table: pa.Table) -> list[str]:
    """Write rows to the prediction log as the data plane does; answers their ids."""
    from loopline.usecases.serving.records.ids import text_of
    from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header

    found = loopline.registry.version("small-delays", version)
    header = prediction_header("late", revision, revision, "small-delays", version, found.signature)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in ("strong", "weak", "carrier")}
    scores = loopline.registry.load("small-delays", version).predict(columns)
    count, moment = table.num_rows, round(datetime(2026, 1, revision, tzinfo=UTC).timestamp() * 1000)
    ms = [moment + place * 40 for place in range(count)]
    counters = [2 * place for place in range(count)]
    batch = Batch(
        rows=count,
        ms=array("q", ms).tobytes(),
        counter=array("q", counters).tobytes(),
        row=array("i", [-1] * count).tobytes(),
        latency=array("i", [800 + (place * 37) % 900 for place in range(count)]).tobytes(),
        event=array("q", event_ms(table)).tobytes(),
        key=[f"UA-{place}" for place in range(count)],
        prediction=array("d", scores).tobytes(),
        columns=[
            list(columns[name]) if name == "carrier" else array("d", columns[name]).tobytes()
            for name in ("strong", "weak", "carrier")
        ],
    )
    log = PredictionLog(loopline.home, header)
    log.write([batch])
    log.close()
    return [text_of(*parts) for parts in zip(ms, [revision] * count, counters, strict=True)]


def log_truth(loopline: Loopline, table: pa.Table, labels: Any) -> None:
    """Truth by key and event time, a day late."""
    from loopline.usecases.serving.records.writing import Truth, TruthLog

    half = 3 * A_WEEK
    records = [
        Truth(None, f"UA-{place % half}", event, float(label), event + 86_400_000)
        for place, (event, label) in enumerate(zip(event_ms(table), labels, strict=False))
    ]
    log = TruthLog(loopline.home, "late", 9)
    log.write(records)
    log.close()


def event_ms(table: pa.Table) -> list[int]:
    return [int(value) for value in table["event_time"].cast(pa.int64()).to_pylist()]


RULES = """# Nobody is told that a flight will surely be late.
CEILING = 0.95


def after(rows, predictions):
    return [min(value, CEILING) for value in predictions]


def test_the_ceiling():
    assert after([{}], [0.99]) == [0.95]
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The control plane of a filled installation, answering on a free port of this machine."""
    import uvicorn

    from loopline.shells.http.control import application, host_names

    root = tmp_path_factory.mktemp("site")
    loopline = open_home(root / "home")
    loopline.access.first(TOKEN)
    tokens = {
        role: loopline.access.new(f"{role}-person", role, "ada").secret for role in ("viewer", "editor", "approver")
    }
    names = fill(loopline, root / "small-delays")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            application(loopline, host_names("127.0.0.1", port)), log_level="error", lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield Site(f"http://127.0.0.1:{port}", loopline, {**tokens, "admin": TOKEN}, names)
        server.should_exit = True
        thread.join(10)
    loopline.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser; where there is none its tests are skipped by name, but not in CI."""
    if not CHROMIUM:
        assert os.environ.get("CI") != "true", "In CI the browser tests must run: apt-get install chromium"
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A signed-in person with a page, and everything that the browser complained about."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        answer = self.page.goto(self.url + path)
        assert answer is not None
        return answer

    def path(self) -> str:
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture(params=[True, False], ids=["script on", "script off"])
def script(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts."""
    return bool(request.param)


def enter(site: Site, chromium: Any, role: str, script: bool, theme: str) -> tuple[Any, Visitor]:
    """A browser window of a signed-in person, and its context."""
    context = chromium.new_context(
        java_script_enabled=script, color_scheme=theme, viewport={"width": 1280, "height": 860}
    )
    secret = site.loopline.access.sign_in_with(site.tokens[role])
    context.add_cookies([{"name": "loopline_session", "value": secret, "url": site.url}])
    visitor = Visitor(context.new_page(), site.url)
    visitor.page.on("console", lambda message: note(visitor, message))
    visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    return context, visitor


@pytest.fixture
def visit(site: Site, chromium: Any) -> Iterator[Any]:
    """`visit("approver", script=False)` opens a signed-in browser window of a person; no window may complain."""
    opened: list[tuple[Any, Visitor]] = []

    def start(role: str = "admin", script: bool = True, theme: str = "light") -> Visitor:
        opened.append(enter(site, chromium, role, script, theme))
        return opened[-1][1]

    yield start
    for context, visitor in opened:
        context.close()
        assert visitor.complaints == []


@pytest.fixture(scope="session", params=[True, False], ids=["script on", "script off"])
def walker(request: pytest.FixtureRequest, site: Site, chromium: Any) -> Iterator[tuple[Visitor, bool]]:
    """One window that walks through many pages, with and without script."""
    context, visitor = enter(site, chromium, "admin", request.param, "light")
    yield visitor, request.param
    context.close()


def note(visitor: Visitor, message: Any) -> None:
    if message.type in ("error", "warning") and "status of 4" not in message.text:
        visitor.complaints.append(message.text)
