"""The language of searches: what MLflow's clients write is understood, a mistake is named with its place, and what may
come next is offered."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.usecases.tracking.completion import complete
from loopline.usecases.tracking.filters import (
    Comparison,
    Order,
    Pieces,
    Unreadable,
    as_name,
    named,
    ordered,
    parsed,
    quoted,
    unquoted,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("metrics.a > 1", ("metrics", "a", ">", 1.0)),
        ("metric.a<=-1.5e3", ("metrics", "a", "<=", -1500.0)),
        ("metrics.a > .5", ("metrics", "a", ">", 0.5)),
        ("metrics.`a b`>=5.", ("metrics", "a b", ">=", 5.0)),
        ("metrics.'a b' >= 5", ("metrics", "a b", ">=", 5.0)),
        ('metrics."a.b/c" != 0', ("metrics", "a.b/c", "!=", 0.0)),
        ("metrics.loss = Infinity", ("metrics", "loss", "=", float("inf"))),
        ("metrics.loss > -inf", ("metrics", "loss", ">", -float("inf"))),
        ("metrics.loss IS NAN", ("metrics", "loss", "is nan", None)),
        ("metrics.loss is not null", ("metrics", "loss", "is not null", None)),
        ("parameters.x = 'y'", ("params", "x", "=", "y")),
        ('parameter.x = "it\'s"', ("params", "x", "=", "it's")),
        ("param.x = 'it''s'", ("params", "x", "=", "it's")),
        ("params.x = 'it\\'s'", ("params", "x", "=", "it's")),
        ("params.path = 'C:\\data\\new'", ("params", "path", "=", "C:\\data\\new")),
        ("params.path = 'C:\\'", ("params", "path", "=", "C:\\")),
        ("params.x LIKE '%y_'", ("params", "x", "like", "%y_")),
        ("params.x iLike 'Y%'", ("params", "x", "ilike", "Y%")),
        ("params.x IS NULL", ("params", "x", "is null", None)),
        ("tags.mlflow.source.name = 'a'", ("tags", "mlflow.source.name", "=", "a")),
        ("tag.`my tag` NOT IN ('a', 'b',)", ("tags", "my tag", "not in", ("a", "b"))),
        ("tags.a-b = 'x'", ("tags", "a-b", "=", "x")),
        ("status = 'RUNNING'", ("attributes", "status", "=", "running")),
        ("attributes.status IN ('FINISHED','Failed')", ("attributes", "status", "in", ("finished", "failed"))),
        ("run.run_id = 'abc'", ("attributes", "id", "=", "abc")),
        ("run_id IN ('a')", ("attributes", "id", "in", ("a",))),
        ("`run name` = 'x'", ("attributes", "name", "=", "x")),
        ("attribute.`Run Name` like 'x%'", ("attributes", "name", "like", "x%")),
        ("user_id = 'ada'", ("attributes", "user_id", "=", "ada")),
        ("artifact_uri like 's3:%'", ("attributes", "artifact_uri", "like", "s3:%")),
        ("Created > 1767225600000", ("attributes", "started_at", ">", "2026-01-01T00:00:00.000Z")),
        ("start_time >= '2026-01-01'", ("attributes", "started_at", ">=", "2026-01-01T00:00:00.000Z")),
        ("end_time < 1767225600000.5", ("attributes", "ended_at", "<", "2026-01-01T00:00:00.001Z")),
        ("start_time > 1e30", ("attributes", "started_at", ">", "~")),
        ("dataset.name = 'flights'", ("datasets", "name", "=", "flights")),
        ("datasets.context in ('training')", ("datasets", "context", "in", ("training",))),
        ("kind = 'pipeline'", ("attributes", "kind", "=", "pipeline")),
        ("experiment ilike 'late%'", ("attributes", "experiment", "ilike", "late%")),
        ("experiment_id = 3", ("attributes", "experiment_id", "=", "3")),
    ],
)
def test_what_is_written_is_understood(text: str, meant: tuple[Any, ...]) -> None:
    assert parsed(text) == [Comparison(*meant)]


def test_comparisons_are_joined_by_and_in_any_case() -> None:
    found = parsed("metrics.a > 1 and params.b = 'x' AND tags.c LIKE 'AND %'  And status!='failed'")
    assert [one.key for one in found] == ["a", "b", "c", "status"]
    assert parsed("   ") == []


@pytest.mark.parametrize(
    ("text", "place", "length", "words"),
    [
        ("metrics.auc >", 14, 1, "ends too early"),
        ("metrics.auc > 'a'", 15, 3, "a number"),
        ("metrics.auc == 1", 13, 2, "'=='"),
        ("metrics.auc <> 1", 13, 2, "'<>'"),
        ("metrics.a = 1and params.b = 'x'", 13, 4, "a number"),
        ("metrics.a = 1 metrics.b = 2", 15, 9, "AND"),
        ("metrics.a = 1 or metrics.b = 2", 15, 2, "there is no OR"),
        ("metrics.a = 1 and", 18, 1, "ends too early"),
        ("metrics.a like '1'", 11, 4, "="),
        ("metrics.a in ('1')", 11, 2, "="),
        ("params.x = 3", 12, 1, "a text in quotes"),
        ("params.x < '3'", 10, 1, "LIKE"),
        ("params.x = y", 12, 1, "a text in quotes"),
        ("params.x in ()", 14, 1, "a text in quotes"),
        ("params.x in ('a' 'b')", 18, 3, ", or )"),
        ("params.x in ('a'", 17, 1, "ends too early"),
        ("params.x is 'a'", 13, 3, "NULL"),
        ("dataset.name is null", 14, 2, "LIKE"),
        ("dataset.size = '3'", 1, 12, "a name like"),
        ("nothing = 'x'", 1, 7, "a name like"),
        ("'status' = 'x'", 1, 8, "a name like"),
        ("  things.x = 'x'", 3, 8, "a name like"),
        ("params. = 'x'", 1, 7, "a name like"),
        ("params.x = 'a", 12, 2, "a closing quote"),
        ("metrics.`a > 1", 9, 6, "a closing quote"),
        ("start_time > 'yesterday'", 14, 11, "a time"),
        ("start_time like '2026%'", 12, 4, "="),
        ("; drop table runs", 1, 17, "';"),
        ("status = 'x' ; ", 14, 1, "';'"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, place: int, length: int, words: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parsed(text)
    assert (refused.value.place, refused.value.length) == (place, length)
    assert words in str(refused.value)
    assert f"at character {place}" in refused.value.message


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (["metrics.a DESC", "start_time"], [("metrics", "a", True), ("attributes", "started_at", False)]),
        (["metrics.`a b` asc"], [("metrics", "a b", False)]),
        (['params."a b" desc'], [("params", "a b", True)]),
        (["  tags.mlflow.user   Desc "], [("tags", "mlflow.user", True)]),
        (["attribute.Created DESC"], [("attributes", "started_at", True)]),
        (["tags.desc"], [("tags", "desc", False)]),
    ],
)
def test_orders_are_understood(texts: list[str], meant: list[tuple[str, str, bool]]) -> None:
    assert ordered(texts) == [Order(*one) for one in meant]


@pytest.mark.parametrize(
    "texts",
    [
        ["metrics.a sideways"],
        ["metrics.a desc desc"],
        ["auc"],
        [""],
        ["dataset.name"],
        ["name", "run_name desc"],
        ["a, b"],
    ],
)
def test_wrong_orders_are_refused(texts: list[str]) -> None:
    with pytest.raises(Invalid):
        ordered(texts)


def test_too_much_is_refused() -> None:
    with pytest.raises(Invalid, match="101 comparisons"):
        parsed(" and ".join(["metrics.a > 1"] * 101))
    with pytest.raises(Invalid, match="10,000"):
        parsed(f"params.x like '{'x' * 10_001}'")
    with pytest.raises(Invalid, match="10,000"):
        parsed("run_id in (" + ", ".join(["'x'"] * 10_001) + ")")
    with pytest.raises(Invalid, match="too long"):
        parsed(" " * 1_000_001)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused_with_a_place(text: str) -> None:
    place = 1
    try:
        parsed(text)
    except Unreadable as error:
        place = error.place
    assert 1 <= place <= len(text) + 1


PIECES = st.sampled_from(
    [
        "metrics.",
        "params.x",
        "tags.`a",
        "b`",
        "status",
        "dataset.name",
        "=",
        "!=",
        ">",
        "like",
        "in",
        "not",
        "is",
        "null",
        "(",
        ")",
        ",",
        "and",
        "or",
        "'x'",
        '"y"',
        "'",
        "`",
        "1",
        "-2.5",
        "nan",
    ]
)


@given(st.lists(PIECES, max_size=9).map(" ".join), st.integers(0, 60))
def test_something_or_nothing_is_offered_anywhere(text: str, cursor: int) -> None:
    found = complete(text, cursor, Tree())
    assert 0 <= found.start <= found.end <= max(0, min(cursor, len(text)))
    with contextlib.suppress(Invalid):
        parsed(text)


@given(st.text(max_size=20).filter(lambda text: not text.endswith("\\") and "\\'" not in text))
def test_a_quoted_text_is_read_back(text: str) -> None:
    (one,) = parsed(f"params.x = {quoted(text)} and params.y = 'z'")[:1]
    assert one.value == text


@given(
    st.sampled_from(("metrics", "params", "tags")),
    st.text(st.characters(categories=["L", "N"], include_characters="_-./: "), min_size=1),
)
def test_a_written_name_is_read_back(entity: str, key: str) -> None:
    assert named(Pieces(as_name(entity, key))) == (entity, key)


def test_names_in_backticks_keep_what_they_hold() -> None:
    assert unquoted(Pieces("`a''b`").tokens[0]) == "a''b"


class Tree:
    """What a small installation holds."""

    def names(self, entity: str, part: str) -> list[str]:
        known = {"metrics": ["auc", "val auc", "loss"], "params": ["model", "rate"], "tags": ["team", "mlflow.user"]}
        return [name for name in known[entity] if part.lower() in name]

    def values(self, entity: str, key: str, part: str) -> list[str]:
        return ["tree", "net", "it's"]


@pytest.mark.parametrize(
    ("text", "start", "first"),
    [
        ("", 0, ["metrics.", "params.", "tags.", "dataset.", "status"]),
        ("me", 0, ["metrics.", "name"]),
        ("au", 0, ["metrics.auc", "metrics.`val auc`"]),
        ("metrics.", 0, ["metrics.auc", "metrics.`val auc`", "metrics.loss"]),
        ("metrics.a", 0, ["metrics.auc", "metrics.`val auc`"]),
        ("metrics.`val", 0, ["metrics.`val auc`"]),
        ("metrics.auc ", 12, [">", ">=", "<"]),
        ("metrics.auc >", 12, [">", ">="]),
        ("metrics.auc > ", 14, []),
        ("metrics.auc > 0.5 ", 18, ["AND"]),
        ("metrics.auc > 0.5 an", 18, ["AND"]),
        ("metrics.auc > 0.5 and sta", 22, ["status", "started_at"]),
        ("params.model ", 13, ["=", "!=", "LIKE"]),
        ("params.model = ", 15, ["'tree'", "'net'", '"it\'s"']),
        ("params.model = 'tr", 15, ["'tree'"]),
        ("params.model = 'tree'", 21, ["AND"]),
        ("params.model in (", 17, ["'tree'", "'net'", '"it\'s"']),
        ("params.model in ('tree'", 23, [",", ")"]),
        ("params.model in ('tree', 'n", 25, ["'net'"]),
        ("params.model in ('tree') ", 25, ["AND"]),
        ("params.model is ", 16, ["NULL", "NOT NULL"]),
        ("params.model not ", 17, ["IN"]),
        ("status = ", 9, ["'finished'", "'running'", "'failed'"]),
        ("tags.mlflow.", 0, ["tags.mlflow.user"]),
        ("dataset.", 0, ["dataset.name", "dataset.digest", "dataset.context"]),
        ("bogus ", 6, []),
    ],
)
def test_what_may_come_next_is_offered(text: str, start: int, first: list[str]) -> None:
    found = complete(text, len(text), Tree())
    assert found.start == start
    assert [one.text for one in found.choices][: len(first)] == first
    assert bool(found.choices) == bool(first)


def test_the_cursor_may_stand_anywhere() -> None:
    found = complete("metrics.au > 1 and status = 'failed'", 10, Tree())
    assert (found.start, found.end, found.choices[0].text) == (0, 10, "metrics.auc")
