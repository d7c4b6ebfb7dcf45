"""MLflow's route for searching runs; the language of filters and orders is tracking's own, which is MLflow's."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.tracking.wire_mlflow import experiments, telling
from loopline.usecases.tracking.wire_mlflow.messages import Field, Values, int32, read, text

USUAL = 1_000
SEARCH = (
    Field("experiment_ids", text, many=True),
    Field("filter", text),
    Field("run_view_type", experiments.VIEW),
    Field("max_results", int32),
    Field("order_by", text, many=True),
    Field("page_token", text),
)


def search(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """A page of the runs of some experiments (of none when none is named)."""
    given = read(SEARCH, fields)
    ids, following = tracking.find_ids(
        given["filter"] or "",
        given["order_by"],
        experiments=[*dict.fromkeys(experiments.numbers(given["experiment_ids"]))],
        states=experiments.VIEWS[given["run_view_type"] or experiments.ACTIVE],
        limit=experiments.checked_count(given["max_results"], USUAL),
        page=given["page_token"] or "",
    )
    runs = [telling.run(one) for one in tracking.records(ids)]
    answer: Values = {"runs": runs} if runs else {}
    return answer | ({"next_page_token": following} if following else {})


ROUTES = (Route("POST", "runs/search", Role.VIEWER, search),)
