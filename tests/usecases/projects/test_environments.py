"""An environment takes everything from the file and replaces what it names; its secrets are read late and kept nowhere."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import Invalid, NotFound, Unavailable
from loopline.kit.masking import masked
from loopline.shells.cli import run as command
from loopline.usecases.projects import environments
from loopline.usecases.projects.checking import checked, checked_data, schema
from loopline.usecases.projects.folders import declared
from loopline.usecases.projects.secret import Variables, variables
from loopline.usecases.projects.service import Projects

pytestmark = pytest.mark.integration
SECRET = "k-4711-wxyz"
FROM_FILE = "hunter2-from-file"


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, two: Path) -> Path:
    """The project with two environments, and all that prod needs."""
    monkeypatch.setenv("KEY_OF_WEATHER", SECRET)
    monkeypatch.setenv("FLIGHTS_DB", str(two / "flights.db"))
    with closing(sqlite3.connect(two / "flights.db")) as db, db:
        db.execute("CREATE TABLE flights (carrier TEXT)")
        db.executemany("INSERT INTO flights VALUES (?)", [("AA",), ("DL",), ("UA",)])
    return two


@pytest.fixture
def text(two: Path) -> str:
    return (two / "loopline.yaml").read_text()


def test_an_environment_replaces_what_it_names(projects: Projects, ready: Path) -> None:
    projects.apply(ready, "ada")
    dev, prod = projects.environment("late", "dev"), projects.environment("late", "prod")
    assert dev.datasets == {"flights": "flights.dev", "weather": "weather"}
    assert (dev.params, dev.approvals, dev.checks) == ({"days": 7}, 0, ("tests", "verify", "contract"))
    assert dev.variables == {}
    assert prod.bindings == {"flights": "flights.prod"}
    assert prod.variables == {"WEATHER_KEY": SECRET, "DB_PASSWORD": FROM_FILE}
    assert (prod.approvals, prod.checks) == (2, ("tests", "contract"))
    assert prod.params_of("training") == {"days": 0, "trees": 300}
    assert prod.params_of("scoring") == {"days": 0}


def test_without_a_name_there_is_a_default(projects: Projects, ready: Path) -> None:
    projects.apply(ready, "ada")
    assert projects.environment("late").name == "prod"
    with pytest.raises(NotFound, match="no environment 'staging'") as caught:
        projects.environment("late", "staging")
    assert "dev, prod" in caught.value.hint
    for declared_names, otherwise, name in (
        ([], "prod", "default"),
        ([], "dev", ""),
        (["test"], "prod", "test"),
        (["test"], "dev", ""),
        (["a", "b"], "prod", ""),
        (["a", "prod"], "prod", "prod"),
        (["prod"], "dev", ""),
        (["dev", "prod"], "dev", "dev"),
    ):
        config = {"environments": dict.fromkeys(declared_names)}
        assert environments.chosen(config, "", otherwise)[0] == name, (declared_names, otherwise)


def test_each_environment_has_datasets_of_its_own(projects: Projects, loopline: Loopline, ready: Path) -> None:
    projects.apply(ready, "ada")
    found = {one.name: one for one in loopline.datasets.datasets()}
    assert sorted(found) == ["flights", "flights.dev", "flights.prod", "weather"]
    assert found["flights.dev"].source.folder == str(ready / "sample")
    assert found["flights.prod"].source.url == "sqlite:///${FLIGHTS_DB}"
    assert found["flights.prod"].contract == found["flights"].contract
    taken = projects.take_in(projects.environment("late", "prod"), "ada")
    assert loopline.datasets.latest("flights.prod").rows == 3
    assert taken["flights"] == loopline.datasets.latest("flights.prod").digest
    assert loopline.datasets.dataset("flights").latest is None


def test_a_run_is_told_of_its_environment(projects: Projects, loopline: Loopline, ready: Path) -> None:
    assert projects.pipeline(ready, "training", "ada", environment="prod") == {
        "pipeline_name": "training",
        "project": "late",
        "registers": "late",
        "environment": "prod",
        "bindings": {"flights": "flights.prod"},
        "params": {"days": 0, "trees": 300},
        "variables": {"WEATHER_KEY": SECRET, "DB_PASSWORD": FROM_FILE},
    }
    assert loopline.datasets.dataset("flights.dev").latest is None
    told = projects.pipeline(ready, "scoring", "ada")
    assert (told["environment"], told["bindings"], told["params"]) == ("dev", {"flights": "flights.dev"}, {"days": 7})
    assert loopline.datasets.latest("flights.dev").rows == 1
    with pytest.raises(NotFound, match="staging"):
        projects.pipeline(ready, "training", "ada", environment="staging")


def test_an_environment_of_the_working_copy_needs_no_application(projects: Projects, ready: Path, text: str) -> None:
    projects.apply(ready, "ada")
    (ready / "loopline.yaml").write_text(text.replace("  prod:\n", "  try: {params: {days: 1}}\n  prod:\n"))
    assert projects.pipeline(ready, "training", "ada", environment="try")["params"] == {"days": 1}
    with pytest.raises(NotFound):
        projects.environment("late", "try")


def test_missing_secrets_are_named_before_anything_happens(
    projects: Projects, loopline: Loopline, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEY_OF_WEATHER", raising=False)
    (two / "secrets" / "db.txt").unlink()
    with pytest.raises(Unavailable) as caught:
        projects.pipeline(two, "training", "ada", environment="prod")
    assert caught.value.message == (
        "2 secrets of the environment 'prod' are missing: WEATHER_KEY (variable KEY_OF_WEATHER: not set); "
        "DB_PASSWORD (file secrets/db.txt: No such file or directory)."
    )
    assert loopline.ledger.since(0) == []
    projects.apply(two, "ada")
    assert [one["name"] for one in projects.environments("late")] == ["dev", "prod"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "no UTF-8"), (b"a\x00b", "no text"), (b"x" * 70_000, "64 KB")],
)
def test_a_secret_that_no_variable_can_hold_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(Unavailable, match=reason):
        variables({"S": {"file": "s"}}, tmp_path, "prod")
    with pytest.raises(Unavailable, match="Is a directory"):
        variables({"S": {"file": str(tmp_path)}}, tmp_path, "prod")


def test_a_secret_is_kept_nowhere(projects: Projects, loopline: Loopline, ready: Path, tmp_path: Path) -> None:
    (ready / "link.txt").symlink_to(ready / "secrets" / "db.txt")
    projects.pipeline(ready, "training", "ada", environment="prod")
    projects.apply(ready, "ada")
    found = projects.environment("late", "prod")
    assert SECRET not in repr(found) + str(found.variables) + f"{found.variables}"
    answers = [projects.environments("late"), projects.stands("late"), projects.plan(ready), projects.project("late")]
    assert SECRET not in str(answers)
    loopline.close()
    home = tmp_path / "home"
    kept = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert len(kept) > 3
    assert [path for path, content in kept.items() if SECRET.encode() in content] == []
    assert [path for path, content in kept.items() if FROM_FILE.encode() in content] == []


def test_a_secret_in_a_databases_url_is_not_told(projects: Projects, ready: Path, text: str) -> None:
    url = "postgresql://me:${DB_PASSWORD}@127.0.0.1:1/nothing"
    (ready / "loopline.yaml").write_text(text.replace("sqlite:///${FLIGHTS_DB}", url))
    with pytest.raises(Unavailable) as caught:
        projects.pipeline(ready, "training", "ada", environment="prod")
    assert "${DB_PASSWORD}" in caught.value.message
    assert FROM_FILE not in str(caught.value)


def test_values_are_masked_in_every_form() -> None:
    hidden = Variables(A="top secret/1", B='quo"te', C="first line\nsecond line\n", D="top secret/1 and more", E="")
    text = 'A=top secret/1 D=top secret/1 and more url=top%20secret%2F1 json={"b": "quo\\"te"}\nsecond line here'
    assert masked(text, hidden) == 'A=*** D=*** url=*** json={"b": "***"}\n*** here'
    assert masked("nothing to hide", hidden) == "nothing to hide"
    assert masked("a", {}) == "a"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(min_size=1).filter(lambda value: value not in "***")))
def test_no_value_survives_masking(text: str, hidden: dict[str, str]) -> None:
    shown = masked(text.join(["", *hidden.values(), ""]), hidden)
    assert all(value not in shown.split("***") for value in hidden.values())


Change = tuple[str, str]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("      flights: {folder: sample}", "      flihgts: {folder: sample}"), 10, "did you mean 'flights'?"),
        (("{folder: sample}", "{folder: sample, query: SELECT 1}"), 10, "one source"),
        (("{folder: sample}", "{}"), 10, "one source"),
        (("{folder: sample}", "{query: SELECT 1}"), 10, "needs the url"),
        (("{folder: sample}", "{folder: sample, contract: x}"), 10, "'contract' is not known here"),
        (("sqlite:///${FLIGHTS_DB}", "postgresql://me:hunter2@host/db"), 14, "no password"),
        (("training: {trees", "trainin: {trees"), 15, "did you mean 'training'?"),
        (("params: {days: 7}", "params: {days: [7]}"), 11, "expected"),
        (("params: {days: 7}", "params: {7-days: 7}"), 11, "not written as it must be"),
        (("{env: KEY_OF_WEATHER}", "{env: A, file: b}"), 17, "one place"),
        (("{env: KEY_OF_WEATHER}", "{}"), 17, "one place"),
        (("{env: KEY_OF_WEATHER}", "{env: KEY OF WEATHER}"), 17, "where it is read"),
        (("{env: KEY_OF_WEATHER}", SECRET), 17, "write no secret here"),
        (("WEATHER_KEY:", "WEATHER-KEY:"), 17, "not written as it must be"),
        (("approvals: 2", "approvals: many"), 19, "a whole number"),
        (("approvals: 2", "aprovals: 2"), 19, "did you mean 'approvals'?"),
        (("[tests, contract]", "[tests, contrakt]"), 20, "did you mean contract?"),
        (("[tests, contract]", "[tests, tests]"), 20, "named twice"),
        (("  dev:\n    datasets:\n      flights: {folder: sample}\n    params: {days: 7}", "  dev: {aproval: 7}"), 8, "'approvals'"),
        (("  weather: {folder: weather}", "  weather: {folder: weather}\n  flights.dev: {folder: x}"), 11, "another has that name"),
        (("  late: {model", "  late: {modl: 1, model"), 22, "did you mean 'model'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(change: Change, line: int, words: str, text: str) -> None:
    assert change[0] in text
    with pytest.raises(Invalid) as caught:
        checked(text.replace(*change, 1))
    assert caught.value.message.startswith(f"loopline.yaml:{line}:"), caught.value.message
    assert words in caught.value.message
    assert SECRET not in caught.value.message


def test_policies_and_schedules_name_an_environment(text: str) -> None:
    more = "schedules:\n  monday: {cron: 0 6 * * 1, run: training, environment: prd}\n"
    more += "policies:\n  again: {on: alert, run: training, environment: prod}\n"
    with pytest.raises(Invalid, match=r"schedules\.monday\.environment: 'prd' is not known here; did you mean 'prod'"):
        checked(text + more)
    assert checked(text + more.replace("prd", "dev"))["schedules"]["monday"]["environment"] == "dev"


def test_the_short_form_is_one_of_params(text: str) -> None:
    config = checked("project: x\nenvironments:\n  dev: {DAYS: 7, fast: true}\n  prod:\n")
    assert config["environments"] == {"dev": {"params": {"DAYS": 7, "fast": True}}, "prod": None}
    assert checked_data({"project": "x", "environments": {"dev": {"DAYS": 7}}})["environments"]["dev"]
    stored = {"environments": {"dev": {"DAYS": 7}}}
    assert environments.declared(stored)["dev"] == {"params": {"DAYS": 7}}


def test_two_environments_cannot_have_one_dataset() -> None:
    text = """\
project: x
datasets: {a: {folder: a}, a.b: {folder: b}}
environments:
  b.c: {datasets: {a: {folder: c}}}
  c: {datasets: {a.b: {folder: d}}}
"""
    with pytest.raises(Invalid, match=r"loopline.yaml:5:\d+: 'a\.b\.c' would also be the dataset 'a' of .* 'b\.c'"):
        checked(text)
    with pytest.raises(Invalid, match="too long"):
        checked(text.replace("b.c:", "b" * 100 + ":"))


def test_data_behind_a_link_must_say_so(projects: Projects, two: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text("wind\n1\n")
    (two / "weather" / "a.csv").unlink()
    projects.apply(two, "ada")
    (two / "weather").rmdir()
    (two / "weather").symlink_to(tmp_path / "elsewhere")
    for call in (lambda: projects.apply(two, "ada"), lambda: projects.pipeline(two, "training", "ada")):
        refused_as(call, "'weather' leads out of the project through a link")
    with pytest.raises(Invalid, match=r"loopline\.yaml:5:21: datasets\.weather\.folder"):
        declared(two)
    (two / "loopline.yaml").write_text(text.replace("folder: sample", "folder: weather"))
    refused_as(lambda: projects.plan(two), r"environments\.dev\.datasets\.flights\.folder")
    for allowed in (str(two / "weather"), "../elsewhere"):
        (two / "loopline.yaml").write_text(text.replace("{folder: weather}", f'{{folder: "{allowed}"}}'))
        assert projects.apply(two, "ada").applied
    (two / "weather").unlink()
    (two / "inner").mkdir()
    (two / "weather").symlink_to("inner")
    (two / "loopline.yaml").write_text(text)
    assert projects.apply(two, "ada").applied


def refused_as(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        call()


def test_the_schema_knows_environments() -> None:
    made: dict[str, Any] = schema()
    assert {"datasets", "params", "secrets", "approvals", "checks"} <= set(
        made["$defs"]["EnvironmentEntry"]["properties"]
    )
    assert "environment" in made["$defs"]["ScheduleEntry"]["properties"]


def test_a_working_copy_taken_back_reads_its_old_data_again(
    projects: Projects, loopline: Loopline, two: Path, text: str
) -> None:
    projects.pipeline(two, "training", "ada")
    (two / "loopline.yaml").write_text(text.replace("{folder: sample}", "{folder: data}"))
    projects.pipeline(two, "training", "ada")
    assert loopline.datasets.latest("flights.dev").rows == 2
    (two / "loopline.yaml").write_text(text)
    projects.pipeline(two, "training", "ada")
    assert loopline.datasets.latest("flights.dev").rows == 1
    assert projects.plan(two).changes == ()


PIPELINE = """\
import os, warnings
from loopline import pipeline, step

@step
def tell(days: int = 1) -> str:
    warnings.warn("warned of " + os.environ["WEATHER_KEY"])
    print("key", os.environ["WEATHER_KEY"], "password", os.environ["DB_PASSWORD"], "days", days)
    return str(len(os.environ["WEATHER_KEY"]) * days)

@step
def fail(text: str) -> str:
    raise ValueError("refused with " + os.environ["DB_PASSWORD"])

@pipeline
def training(days: int = 1) -> str:
    return fail(tell(days))
"""


def test_a_run_sees_its_secrets_and_nobody_else_does(
    ready: Path, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (ready / "pipeline.py").write_text(PIPELINE)
    (ready / "loopline.yaml").write_text(text.replace("days: 0, training: {trees: 300}", "days: 3"))
    home = tmp_path / "home"
    run = ["run", "training", "--project", str(ready), "--environment", "prod", "--home", str(home), "--json"]
    assert command(run) == 1
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err
    assert FROM_FILE not in shown.out + shown.err
    with open_home(home) as opened:
        made = opened.pipelines.runs(1)[0]
        assert (made.environment, made.status) == ("prod", "failed")
        log = opened.pipelines.log(made.run_id, "tell")
        assert "key *** password *** days 3" in log
        assert "refused with ***" in str(opened.pipelines.get(made.run_id))
    kept = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    for value in (SECRET, FROM_FILE):
        assert [path for path, content in kept.items() if value.encode() in content] == []


KEYS = ["datasets", "params", "secrets", "approvals", "checks", "flights", "training", "folder", "env", "file", "url"]
leaves = st.none() | st.booleans() | st.integers(-2, 99) | st.floats() | st.text(max_size=5) | st.sampled_from(KEYS)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["dev", "prod", "flights"]), anything) | anything, anything)
def test_whatever_is_written_is_accepted_or_refused_in_words(written: Any, datasets: Any) -> None:
    for data in (datasets, {"flights": {"folder": "x"}}):
        with contextlib.suppress(Invalid):
            config = checked_data({"project": "x", "datasets": data, "environments": written})
            assert checked_data(config) == config
            for name in environments.declared(config):
                assert environments.shown(config, name)["name"] == name
