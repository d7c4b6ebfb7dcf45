"""Addresses of the plug-in, and that nothing of MLflow is needed to look at it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from loopline.core.errors import Invalid
from loopline.shells.mlflow_store import places

pytestmark = pytest.mark.unit


def test_entry_points_need_no_mlflow_until_they_are_called() -> None:
    importlib.import_module("loopline.shells.mlflow_store")
    assert "mlflow" not in sys.modules


def test_a_folder_or_a_server() -> None:
    assert places.home_of("loopline:///srv/my%20home") == Path("/srv/my home")
    assert places.url_of("loopline+https://host:8400/") == "https://host:8400"
    assert [places.is_server(uri) for uri in ("loopline:///a", "loopline+http://a:1")] == [False, True]


def test_no_folder_is_refused() -> None:
    with pytest.raises(Invalid, match="names no installation"):
        places.home_of("loopline://host/path")


def test_artifacts_have_two_names_for_one_place() -> None:
    answer = {"runs": [{"info": {"artifact_uri": "mlflow-artifacts:/1/r/artifacts"}}], "source": "s3://bucket/x"}
    assert places.inward(answer) == {
        "runs": [{"info": {"artifact_uri": "loopline:/1/r/artifacts"}}],
        "source": "s3://bucket/x",
    }
    assert places.outward({"source": "loopline:/1/r/artifacts/model", "name": "loopline:/x"}) == {
        "source": "mlflow-artifacts:/1/r/artifacts/model",
        "name": "loopline:/x",
    }


def test_artifacts_are_found_by_the_tracking_uri_or_their_own() -> None:
    assert places.resolved("loopline:/1/r/artifacts", "loopline:///home") == ("loopline:///home", "1/r/artifacts")
    assert places.resolved("loopline+http://h:1/1/r", "loopline:///home") == ("loopline+http://h:1", "1/r")
