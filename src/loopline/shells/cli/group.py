"""The table of commands, and the group that loads one only when it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from loopline import __version__

USECASE = "loopline.usecases.{}.cli"
DEPLOYING = "loopline.usecases.serving.deploy_cli"
CACHING = "loopline.usecases.pipelines.caching"
SHELL = "loopline.shells.cli.{}"
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "init": (USECASE.format("projects"), "init", "Make a new project from the built-in template."),
    "up": (SHELL.format("up"), "up", "Start the server: pages, API, serving, worker."),
    "open": (SHELL.format("up"), "open_page", "Print (and open) a sign-in link of the running server."),
    "restart": (SHELL.format("restart"), "restart", "Renew serving with new code while it goes on answering."),
    "run": (USECASE.format("pipelines"), "run", "Run a pipeline of this project."),
    "rerun": (USECASE.format("pipelines"), "rerun", "Run what a run ran once more, or take it up."),
    "cancel": (USECASE.format("pipelines"), "cancel", "End a running pipeline."),
    "logs": ("loopline.usecases.pipelines.logs", "logs", "Print what the steps of a run print, also as it comes."),
    "why": (USECASE.format("pipelines"), "why", "Say why a step ran or was taken from the cache."),
    "diff": (USECASE.format("pipelines"), "diff", "Compare two pipeline runs wholly."),
    "verify": (USECASE.format("pipelines"), "verify", "Run a pipeline twice; name what differs."),
    "cache": (CACHING, "cache", "Show the step cache, take over another installation's, or clear it up."),
    "gc": (USECASE.format("retention"), "gc", "Clear up: policies, trash, old results, bytes that nothing refers to."),
    "rm": (USECASE.format("retention"), "rm", "Remove a thing with all that belongs to it."),
    "trash": (USECASE.format("retention"), "trash", "List what was removed and can come back."),
    "restore": (USECASE.format("retention"), "restore", "Bring a thing back from the trash."),
    "retention": (USECASE.format("retention"), "retention", "Show and set which runs of an experiment are kept."),
    "room": (USECASE.format("retention"), "room", "Show what takes the room."),
    "lock": (USECASE.format("releases"), "lock", "Pin what the project needs: names, versions, hashes."),
    "release": (USECASE.format("releases"), "release", "Seal a pipeline as a release; list, show, compare, verify."),
    "runs": ("loopline.usecases.tracking.runs_cli", "runs", "List and search runs; archive, delete or tag several."),
    "show": (USECASE.format("tracking"), "show", "Show one run."),
    "export": (USECASE.format("imports"), "export", "Take runs, models and artifacts to MLflow."),
    "import": (USECASE.format("imports"), "import_", "Bring in runs, models and artifacts from MLflow."),
    "compare": (
        "loopline.usecases.tracking.compare_cli",
        "compare",
        "Compare runs side by side.",
    ),
    "sync": (USECASE.format("tracking"), "sync", "Deliver what was logged while the server was away."),
    "snapshot": (USECASE.format("datasets"), "snapshot", "Take a snapshot of a dataset, checked by its contract."),
    "datasets": (USECASE.format("datasets"), "datasets", "List datasets, snapshots and refused batches."),
    "plan": (USECASE.format("projects"), "plan", "Show what `apply` would change."),
    "apply": (USECASE.format("projects"), "apply", "Make the installation as loopline.yaml says."),
    "project": (USECASE.format("projects"), "project", "Merge a newer template into this project."),
    "models": (USECASE.format("registry"), "models", "List registered models."),
    "versions": (USECASE.format("registry"), "versions", "List a model's versions."),
    "compile": (
        "loopline.usecases.registry.engines_cli",
        "compile_version",
        "Choose the engine that runs a model version here.",
    ),
    "register": (SHELL.format("register"), "register", "Register a model file, a Python class or a program."),
    "card": (USECASE.format("registry"), "card", "Show a version's model card, or write sections of it."),
    "consumers": (USECASE.format("registry"), "consumers", "Show who uses a model."),
    "download": (USECASE.format("registry"), "download", "Fetch a model version as a folder."),
    "alias": (USECASE.format("registry"), "alias", "Show where an alias points and has pointed."),
    "gate": (USECASE.format("promotion"), "gate", "Compare a candidate with the champion."),
    "approve": (USECASE.format("promotion"), "approve", "Approve a candidate, or a release for an environment."),
    "promote": (
        USECASE.format("promotion"),
        "promote",
        "Move an alias to a version, or a release into an environment.",
    ),
    "rollback": (SHELL.format("rollback"), "rollback", "Go back to what was live before."),
    "deploy": (DEPLOYING, "deploy", "Deploy a model version at an endpoint, or beside what is live there."),
    "route": (DEPLOYING, "route", "Send all requests of an endpoint to one of its revisions."),
    "traffic": (DEPLOYING, "traffic", "Show how requests are shared out; change, promote or stop it."),
    "rules": ("loopline.usecases.serving.rules.cli", "rules", "Keep and show business rules."),
    "endpoint": ("loopline.usecases.serving.options_cli", "endpoint", "Show and change how an endpoint serves."),
    "endpoints": (USECASE.format("serving"), "endpoints", "List endpoints and what is live."),
    "log": ("loopline.usecases.serving.records_cli", "log", "Show or export logged predictions."),
    "erase": ("loopline.usecases.serving.records_cli", "erase", "Erase a person's records from an endpoint's log."),
    "explain": (
        "loopline.usecases.serving.records_cli",
        "explain",
        "Show what each input contributed to a prediction.",
    ),
    "predict": (USECASE.format("serving"), "predict", "Ask an endpoint for predictions."),
    "truth": (USECASE.format("serving"), "truth", "Send ground truth."),
    "score": (USECASE.format("serving"), "score", "Score a file of rows in batch."),
    "monitor": (USECASE.format("monitoring"), "monitor", "Show performance over time."),
    "report": (
        "loopline.usecases.monitoring.report_cli",
        "report",
        "Report on an endpoint, or on how two tables differ, as one file.",
    ),
    "quality": (
        "loopline.usecases.monitoring.quality_cli",
        "quality",
        "Show how good predictions turned out, with intervals.",
    ),
    "alerts": ("loopline.usecases.monitoring.alerts_cli", "alerts", "List alerts; how many were real."),
    "ack": ("loopline.usecases.monitoring.alerts_cli", "ack", "Acknowledge an alert, or close it."),
    "judge": ("loopline.usecases.monitoring.alerts_cli", "judge", "Say whether an alert was real or false."),
    "channels": ("loopline.usecases.monitoring.alerts_cli", "channels", "List and try where messages go."),
    "blame": ("loopline.usecases.monitoring.budget_cli", "blame", "Say what explains an alert."),
    "policies": (USECASE.format("automation"), "policies", "List policies and when they fired."),
    "trace": (SHELL.format("lineage"), "trace", "Walk from a prediction back to the data behind it."),
    "impact": (SHELL.format("lineage"), "impact", "Walk from a dataset snapshot to all that it touched."),
    "audit": (SHELL.format("audit"), "audit", "Verify the ledger, or list its facts."),
    "token": (SHELL.format("token"), "token", "Make, list and revoke access tokens."),
    "doctor": (SHELL.format("doctor"), "doctor", "Check this installation."),
}


class Commands(click.Group):
    """Imports a command's module when the command is called, never for the list of commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        return with_common(getattr(import_module(module), attribute))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS:
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, _, help_text) in COMMANDS.items()])


def set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Common).json = True


def set_home(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Common).home = value


def set_url(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Common).url = value


def set_ca(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        os.environ["LOOPLINE_CA"] = value  # where all that speaks TLS looks, also in a child


def common_options() -> list[click.Option]:
    """What every command takes."""
    return [
        click.Option(
            ["--home"], expose_value=False, callback=set_home, metavar="DIR", help="The installation's folder."
        ),
        click.Option(["--url"], expose_value=False, callback=set_url, metavar="URL", help="A server to ask instead."),
        click.Option(
            ["--ca"],
            expose_value=False,
            callback=set_ca,
            metavar="FILE",
            help="Whom to trust, for a server with https.",
        ),
        click.Option(["--json"], is_flag=True, expose_value=False, callback=set_json, help="Print one JSON document."),
    ]


def with_common(command: click.Command) -> click.Command:
    """Give a command (and its sub-commands) the common options, once."""
    taken = {text for param in command.params for text in param.opts}
    command.params += [option for option in common_options() if not taken & set(option.opts)]
    for child in getattr(command, "commands", {}).values():
        with_common(child)
    return command


class Common:
    """What a command finds as its context's `obj`: the client and the screen. See console.Screen."""

    def __init__(self) -> None:
        self.json = False
        self.home: str | None = None  # LOOPLINE_URL goes before LOOPLINE_HOME, as everywhere: see connect and find_home
        self.url: str | None = None
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The connection that --url, --home and the environment ask for, opened at first use."""
        if self._client is None:
            from loopline.shells.sdk import connect

            self._client = connect(self.url, None if self.url else self.home)
            click.get_current_context().find_root().call_on_close(self._client.close)
        return self._client

    @property
    def folder(self) -> Any:
        """The installation's folder, for commands that work on files."""
        from loopline.app.settings import find_home

        return find_home(self.home)

    def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
        """Print `data`: as JSON with --json; else `text`, or a table of the columns [(heading, key), …], or plainly."""
        from loopline.shells.cli.console import show

        show(data, self.json, table, text, title)

    def say(self, text: str) -> None:
        """A line for people (stderr when --json asks stdout to be kept clean)."""
        click.echo(text, err=self.json)


@click.group(cls=Commands, invoke_without_command=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="loopline")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Loopline carries a model from idea to production and round again, on one ledger."""
    ctx.ensure_object(Common)
