"""One export, from its first experiment to its last registered model."""

from __future__ import annotations

from loopline.usecases.imports.bringing import Tell
from loopline.usecases.imports.model import Home, Report
from loopline.usecases.imports.targets import Target


def borne(source: Home, target: Target, tell: Tell, dry_run: bool = False) -> Report:
    """Write all that the source holds into the target."""
    report = Report(source=target.name, dry_run=dry_run)
    done, total = 0, source.count()
    for experiment in source.experiments(report):
        number = "" if dry_run else target.experiment(experiment, report)
        for portion in source.runs(experiment, report):
            if dry_run:
                report.runs += len(portion)
            else:
                target.runs(number, portion, source, report)
            done += len(portion)
            tell(done, total, experiment.name)
        for models in source.logged_models(experiment, report):
            if dry_run:
                report.logged_models += len(models)
            else:
                target.models(number, models, source, report)
    for one in source.registered(report):
        if dry_run:
            report.models += 1
        else:
            target.registered(one, source, report)
    return report
