"""Business rules: kept in versions once their tests pass, and put around a model without touching it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline.app.wiring import audit
from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused
from loopline.core.tables import Column, Signature
from loopline.usecases.serving.rules.applying import Ruled
from loopline.usecases.serving.rules.model import Rules
from loopline.usecases.serving.rules.registering import declared

pytestmark = pytest.mark.integration

SURGE = """
def before(rows):
    for row in rows:
        if row["carrier"] == "ZZ":
            raise ValueError("carrier ZZ is not served")
        row["distance"] = max(row["distance"], 100)
    return rows

def after(rows, predictions):
    return [min(value, 10.0) if row["holiday"] else value for row, value in zip(rows, predictions)]

def test_the_distance_has_a_floor():
    assert before([{"carrier": "UA", "distance": 5}])[0]["distance"] == 100

def test_holidays_have_a_ceiling():
    assert after([{"holiday": True}, {"holiday": False}], [30.0, 30.0]) == [10.0, 30.0]
"""
MILES = '''
inputs = {"hour": "integer", "miles": "float?", "carrier": "string?"}
output = {"verdict": "string"}

def before(rows):
    return [{"dep_hour": row["hour"], "distance": int((row["miles"] or 0) * 1.6), "carrier": row["carrier"],
             "holiday": False, "miles": row["miles"]} for row in rows]

def after(rows, predictions):
    return ["unknown" if row["miles"] is None else "late" if value > 9 else "on time"
            for row, value in zip(rows, predictions)]
'''  # fmt: skip


def columns(**more: Any) -> dict[str, Any]:
    held = {
        "dep_hour": np.array([8.0, 30.0]), "distance": np.array([5, 2000]), "delay": np.array([0.0, np.nan]),
        "carrier": np.array(["UA", None], dtype=object), "holiday": np.array([False, True]),
    }  # fmt: skip
    return {**held, **more}


def live(loopline: Any, **options: Any) -> Any:
    """Version 1 live at the endpoint "late", then these options."""
    serving = loopline.serving
    made = serving.deploy("late", 1, "ann", "flights")
    serving.went_live("late", made.revision, "2026-01-01T00:00:00.000Z", "data plane")
    serving.configure("late", options, "ann")
    return serving.revisions("late")[0]


def ruled(loopline: Any, revision: Any) -> Any:
    return loopline.serving.ruled(loopline.serving.load(revision.model, revision.version), revision)


def test_versions_are_kept_by_content(loopline: Any) -> None:
    first = loopline.serving.put_rules("surge", SURGE, "ann")
    assert (first.reference, first.declared.tests) == (
        "surge/1", ("test_the_distance_has_a_floor", "test_holidays_have_a_ceiling"),
    )  # fmt: skip
    assert loopline.serving.put_rules("surge", SURGE, "bob") == first
    assert loopline.serving.put_rules("surge", SURGE + "\n", "bob").reference == "surge/2"
    assert loopline.serving.rule("surge/1").source == SURGE
    assert [one.reference for one in loopline.serving.rules()] == ["surge/2", "surge/1"]
    kinds = [fact.body for fact in loopline.ledger.about("rules:surge")]
    assert [body["rules"] for body in kinds] == ["surge/1", "surge/2"]
    assert not audit(loopline).problems


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("def test_x():\n    assert 1 == 2\ndef after(rows, predictions): ...", CheckFailed,
         r"its test test_x fails: AssertionError \(line 2: assert 1 == 2\)"),
        ("def before(rows)", Invalid, "SyntaxError"),
        ("import os\nos._exit(3)", Invalid, r"ended the process that ran it \(code 3\)"),
        ("x = 1", Invalid, "neither before"),
        ("inputs = {'a': 'float'}\ndef after(rows, predictions): ...", Invalid, "have no before"),
        ("output = {'a': 'float'}\ndef before(rows): ...", Invalid, "have no after"),
        ("inputs = {'a': 'number'}\ndef before(rows): ...", Invalid, "of the type 'number'"),
        ("inputs = ['a']\ndef before(rows): ...", Invalid, "no map of names to types"),
        ("output = {'a': 'float', 'b': 'float'}\ndef after(rows, predictions): ...", Invalid, "declare 2 outputs"),
        ("#" * 300_000, Invalid, "larger than 256 KB"),
    ],
)  # fmt: skip
def test_what_cannot_be_rules_is_refused(loopline: Any, source: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        loopline.serving.put_rules("surge", source, "ann")
    assert loopline.serving.rules() == []


def test_they_see_nothing_of_the_server(loopline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_TOKEN", "secret")
    source = "import os\nassert 'LOOPLINE_TOKEN' not in os.environ\nprint('noise')\ndef before(rows): return rows\n"
    assert loopline.serving.put_rules("quiet", source, "ann").number == 1


def test_other_rules_are_another_revision_of_the_same_version(loopline: Any) -> None:
    loopline.serving.put_rules("surge", SURGE, "ann")
    revision = live(loopline, rules="surge/1")
    assert (revision.revision, revision.version, revision.rules, revision.status) == (2, 1, "surge/1", "requested")
    assert loopline.serving.endpoint("late").wanted == 2
    told = [fact.body for fact in loopline.ledger.about("endpoint:late", ["deployment.requested"])]
    assert ("rules" not in told[0], told[1]["rules"], told[1]["how"]) == (True, "surge/1", "rules")
    loopline.serving.went_live("late", 2, "2026-01-02T00:00:00.000Z", "data plane")
    back = loopline.serving.rollback("late", "ann")
    assert (back.revision, back.rules) == (1, None)
    with pytest.raises(NotFound, match="surge/9"):
        loopline.serving.configure("late", {"rules": "surge/9"}, "ann")
    with pytest.raises(Invalid, match="no version of rules"):
        loopline.serving.configure("late", {"rules": "surge"}, "ann")
    assert not audit(loopline).problems


def test_an_endpoint_without_a_deployment_takes_them_along(loopline: Any) -> None:
    loopline.serving.put_rules("surge", SURGE, "ann")
    loopline.serving.put("late", "flights", "ann")
    loopline.serving.configure("late", {"rules": "surge/1"}, "ann")
    assert loopline.serving.revisions("late") == []
    assert loopline.serving.deploy("late", 2, "ann").rules == "surge/1"


def test_they_stand_before_and_after_the_model(loopline: Any) -> None:
    loopline.serving.put_rules("surge", SURGE, "ann")
    model = ruled(loopline, live(loopline, rules="surge/1"))
    assert model.predict(columns()).tolist() == [8.1, 10.0]
    with pytest.raises(Refused, match="rules surge/1: before: ValueError: carrier ZZ is not served"):
        model.predict(columns(carrier=np.array(["ZZ", "UA"], dtype=object)))


def test_they_may_give_the_endpoint_a_signature_of_its_own(loopline: Any) -> None:
    loopline.serving.put_rules("miles", MILES, "ann")
    revision = live(loopline, rules="miles/1")
    assert revision.signature.inputs == (
        Column("hour", "integer"), Column("miles", "float", True), Column("carrier", "string", True),
    )  # fmt: skip
    assert revision.signature.output == Column("verdict", "string")
    given = {
        "hour": np.array([8, 8, 8]), "miles": np.array([1000.0, np.nan, 1.0]),
        "carrier": np.array(["UA", None, "UA"], dtype=object),
    }  # fmt: skip
    assert ruled(loopline, revision).predict(given).tolist() == ["late", "unknown", "on time"]
    loopline.serving.configure("late", {"rules": None}, "ann")
    assert loopline.serving.revisions("late")[0].signature.output.name == "late"  # the model's own again


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def before(rows): return rows[:1]", "before answered 1 values for 2 rows"),
        ("def before(rows): return [{} for row in rows]", "before: The field 'dep_hour' is missing"),
        ("def before(rows): return [1, 2]", "before: it answered what is no row"),
        (
            "def before(rows): return [{**row, 'distance': 1.5} for row in rows]",
            "before: The field 'distance' holds 1.5",
        ),
        ("def after(rows, predictions): return ['a', 'b']", "after: The field 'late' holds what is no float"),
        ("def after(rows, predictions): return 1 / 0", "after: ZeroDivisionError"),
    ],
)
def test_broken_rules_are_named(loopline: Any, source: str, said: str) -> None:
    loopline.serving.put_rules("broken", source, "ann")
    with pytest.raises(Refused, match=f"rules broken/1:? {said}"):
        ruled(loopline, live(loopline, rules="broken/1")).predict(columns())


def test_contributions_are_those_of_the_model_behind_them(loopline: Any) -> None:
    loopline.serving.put_rules("surge", SURGE, "ann")
    revision = live(loopline, rules="surge/1")

    class Explains:
        def predict(self, given: Any) -> Any:
            return given["dep_hour"]

        def explain(self, given: Any) -> Any:
            return given["distance"], 0.0

    found = loopline.serving.ruled(Explains(), revision)
    assert found.explain(columns())[0].tolist() == [100, 2000]


def test_commands(loopline: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from loopline.shells.cli import run

    home = ["--home", str(loopline.home)]
    (tmp_path / "surge.py").write_text(SURGE)
    loopline.serving.put("late", "flights", "ann")
    for words, said in (
        (["rules", "put", "surge", str(tmp_path / "surge.py")], "surge/1 is kept; 2 tests passed."),
        (["rules"], "surge/1"),
        (["rules", "show", "surge/1"], "carrier ZZ is not served"),
        (["endpoint", "options", "late", "rules=surge/1", "workers=2"], 'rules = "surge/1"'),
        (["endpoint", "options", "late"], "workers = 2"),
        (["endpoint", "options", "late", "rules=", "workers="], "all options at their defaults"),
    ):
        assert run([*words, *home]) == 0
        assert said in capsys.readouterr().out
    assert run(["rules", "list", "surge", "--json", *home]) == 0
    assert [one["reference"] for one in json.loads(capsys.readouterr().out)] == ["surge/1"]
    assert run(["rules", "show", "surge", *home]) == 2
    assert run(["endpoint", "options", "late", "workers", *home]) == 2


def test_nothing_else_may_be_live_meanwhile(loopline: Any) -> None:
    """Rules of an endpoint change while another deployment is under way: that one is what gets them."""
    loopline.serving.put_rules("surge", SURGE, "ann")
    live(loopline)
    loopline.serving.deploy("late", 2, "ann")
    loopline.serving.configure("late", {"rules": "surge/1"}, "ann")
    newest = loopline.serving.revisions("late")[0]
    assert (newest.revision, newest.version, newest.rules) == (3, 2, "surge/1")
    with pytest.raises(Conflict):
        loopline.serving.put("late", "another", "ann")


@pytest.mark.parametrize("said", ["{}", "[]", "5", '{"tests": 5}'])
def test_a_file_that_answers_for_its_test_process_is_refused(said: str) -> None:
    source = f"import os\nfor place in range(3, 9):\n    try:\n        os.write(place, b'{said}')\n    except OSError:\n        pass\nos._exit(0)\n"
    with pytest.raises(Invalid):
        declared("odd", source)


@pytest.mark.parametrize("told", ["float('nan')", "{('a', 1): 2}", "[]"])
def test_declarations_that_are_none_are_named(told: str) -> None:
    with pytest.raises(Invalid, match="map of names to types"):
        declared("odd", f"inputs = {told}\ndef before(rows):\n    return rows\n")


def test_what_a_test_started_ends_with_it(tmp_path: Any) -> None:
    path = tmp_path / "pid"
    source = (
        "import os, time\ndef before(rows):\n    return rows\ndef test_it():\n    if os.fork() == 0:\n"
        f"        os.close(1)\n        open({str(path)!r}, 'w').write(str(os.getpid()))\n        os.closerange(3, 9)\n"
        f"        time.sleep(600)\n    while not os.path.exists({str(path)!r}) or not open({str(path)!r}).read():\n"
        "        time.sleep(0.01)\n"
    )
    assert declared("forks", source).tests == ("test_it",)
    pid = int(path.read_text())
    until = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie, which nobody may bury here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_rule_that_calls_exit_refuses_its_row() -> None:
    signature = Signature((Column("x", "float"),), Column("y", "float"))
    source = "def before(rows):\n    exit()\n"
    made = Rules(reference="odd/1", name="odd", number=1, digest="", declared=declared("odd", source), put_at="",
                 put_by="ann", source=source)  # fmt: skip
    model: Any = None  # is never asked
    with pytest.raises(Refused, match="odd/1: before: SystemExit"):
        Ruled(model, signature, made).predict({"x": np.array([1.0])})
