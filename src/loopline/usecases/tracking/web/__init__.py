"""Pages of tracking."""

from __future__ import annotations

from loopline.core.pages import Form, Page
from loopline.usecases.tracking.web.artifact import artifact
from loopline.usecases.tracking.web.comparing import compare
from loopline.usecases.tracking.web.run import log, now, run
from loopline.usecases.tracking.web.runs import runs
from loopline.usecases.tracking.web.traces import trace, traces

PAGES = (
    Page("/runs", "runs.html", runs, tab="runs"),
    Page("/runs/compare", "compare.html", compare, tab="runs"),
    Page("/runs/{run_id}", "run.html", run, tab="runs"),
    Page("/runs/{run_id}/now", "standing_page.html", now, tab="runs"),
    Page("/runs/{run_id}/printed", "log_page.html", log, tab="runs"),
    Page("/runs/{run_id}/artifact", "artifact.html", artifact, tab="runs"),
    Page("/traces", "traces.html", traces, tab="runs"),
    Page("/traces/{trace_id}", "trace.html", trace, tab="runs"),
)
FORMS = tuple(
    Form(f"/runs/{{run_id}}/{verb}", f"tracking.{verb}", "/runs/{run_id}#edit-title")
    for verb in ("edit", "tag", "untag", "archive", "delete", "restore")
)
FORMS += tuple(
    Form(f"/runs/{path}", f"tracking.{verb}", "/runs?{back}")
    for path, verb in (
        ("tag", "tag_runs"),
        ("archive", "archive_runs"),
        ("restore", "restore_runs"),
        ("delete", "delete_runs"),
        ("views", "save_view"),
        ("views/drop", "drop_view"),
        ("experiments/{number}/rename", "rename_experiment"),
        ("experiments/{number}/delete", "delete_experiment"),
        ("experiments/{number}/restore", "restore_experiment"),
    )
)
