"""The metrics, read by a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataplane_router import TOKEN, Router

from loopline.kit.exposition import Gauge
from loopline.shells.dataplane.metrics import COUNTERS, Metrics

pytestmark = pytest.mark.integration

CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: loopline-serving
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """The program, scraping one router."""

    def __init__(self, folder: Path, port: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "token").write_text(TOKEN)
        (folder / "prometheus.yml").write_text(CONFIG.format(token=folder / "token", port=port))
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"],
        )  # fmt: skip

    def ask(self, query: str) -> list[Any]:
        """What an instant query answers; nothing while it does not listen yet."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return list(json.load(answer)["data"]["result"])
        except OSError:
            return []

    def wait_for(self, query: str, patience: float = 30.0) -> list[Any]:
        until = time.monotonic() + patience
        while True:
            found = self.ask(query)
            if found or time.monotonic() > until:
                return found
            time.sleep(0.1)


@pytest.fixture
def prometheus(tmp_path: Path, live: Router) -> Iterator[Prometheus]:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    made = Prometheus(folder, live.port)
    yield made
    made.process.terminate()
    made.process.wait(20)


def test_a_real_prometheus_reads_them(live: Router, prometheus: Prometheus) -> None:
    for _ in range(5):
        assert live.predict()[0] == 200
    assert live.predict({})[0] == 400
    found = prometheus.wait_for('loopline_requests_total{endpoint="late",status="200"} >= 5')
    assert found[0]["metric"]["revision"] == "1"
    assert prometheus.wait_for('histogram_quantile(0.99, loopline_request_seconds_bucket{endpoint="late"}) < 10')
    assert prometheus.wait_for("loopline_endpoint_live")[0]["metric"]["version"] == "1"
    assert prometheus.wait_for("process_resident_memory_bytes > 1e6")
    assert prometheus.ask("up")[0]["value"][1] == "1"


def test_every_query_of_the_dashboard_is_about_metrics_that_there_are(live: Router, prometheus: Prometheus) -> None:
    live.predict()
    assert prometheus.wait_for("loopline_requests_total")
    _, text = live.ask("GET", "/metrics")
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    told |= {f"loopline_{name}_total" for name in COUNTERS}
    dashboard = json.loads((Path(__file__).parents[3] / "deploy" / "grafana" / "serving.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) >= 8
    for query in queries:
        plain = query.replace("$endpoint", "late").replace("$__rate_interval", "1m")
        address = f"http://127.0.0.1:{prometheus.port}/api/v1/query?{urllib.parse.urlencode({'query': plain})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert json.load(answer)["status"] == "success"
        names = set(re.findall(r"\b(?:loopline|process)_[a-z_]+", plain))
        assert names
        for name in names:
            assert name in told or name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") in told, (
                name
            )


def test_its_own_checker_finds_nothing_to_say(live: Router) -> None:
    live.predict()
    _, text = live.ask("GET", "/metrics")
    assert shutil.which("promtool"), "install Debian's prometheus"
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_labels_are_escaped() -> None:
    metrics = Metrics()
    metrics.add("swaps", 2, endpoint='a"b\\c\nd')
    text = metrics.text([Gauge("x", "An x.", [({"of": '"'}, 1.5)])])
    assert 'loopline_swaps_total{endpoint="a\\"b\\\\c\\nd"} 2' in text
    assert 'loopline_x{of="\\""} 1.5' in text
