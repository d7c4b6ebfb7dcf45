"""Each limit is named by its refusal, together with how to raise it; and is raised that way."""

from __future__ import annotations

import pytest

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.bodies import too_large
from loopline.shells.dataplane.limits import SETTINGS, Limits, configured
from loopline.shells.dataplane.rows import Rows

pytestmark = pytest.mark.unit
LIMITS = Limits()


def test_limits_come_from_the_environment() -> None:
    assert configured({"OTHER": "x", "LOOPLINE_SERVING_ROWS": ""}) == LIMITS
    found = configured(
        {"LOOPLINE_SERVING_BODY_MB": "32", "LOOPLINE_SERVING_ROWS": "5", "LOOPLINE_SERVING_BODY_SECONDS": "0.5"}
    )
    assert (found.body, found.rows, found.body_s, found.columnar) == (32 << 20, 5, 0.5, LIMITS.columnar)
    for name, (field, _) in SETTINGS.items():
        assert getattr(configured({f"LOOPLINE_SERVING_{name}": "7"}), field) != getattr(LIMITS, field)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e300", "nan", "inf"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    for name in ("BODY_SECONDS", "BODY_MB"):
        with pytest.raises(Invalid, match=f"LOOPLINE_SERVING_{name}"):
            configured({f"LOOPLINE_SERVING_{name}": text})


def test_bodies() -> None:
    text, columns = too_large(LIMITS.body, LIMITS), too_large(LIMITS.columnar, LIMITS)
    assert (text.status, text.message) == (413, "A body may have 16 MB.")
    assert "LOOPLINE_SERVING_BODY_MB=32" in text.hint
    assert (columns.message, "LOOPLINE_SERVING_COLUMNAR_MB=128" in columns.hint) == ("A body may have 64 MB.", True)


def test_rows() -> None:
    contract = Rows(Signature((Column("a", "float"),), Column("y", "float")), None, None, 2, most_columnar=4)
    with pytest.raises(Fault, match=r"A request may have 2 rows\.") as refused:
        contract.from_plain(b'{"rows":[{"a":1},{"a":1},{"a":1}]}')
    assert "4" in refused.value.hint
    assert "LOOPLINE_SERVING_ROWS=4" in refused.value.hint
    with pytest.raises(Fault, match=r"A request may have 4 rows\.") as refused:
        contract.from_columns({"a": [1.0] * 5}, contract.most_columnar)
    assert "LOOPLINE_SERVING_COLUMNAR_ROWS=8" in refused.value.hint


def test_depth() -> None:
    contract = Rows(Signature((Column("a", "float"),), Column("y", "float")), None, None, 2)
    with pytest.raises(Fault, match=r"must be a number, not a list"):
        contract.from_plain(b'{"rows":[{"a":' + b"[" * 50 + b"]" * 50 + b"}]}")
    ignoring = b'{"rows":[{"a":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    with pytest.raises(Fault, match=r"nested too deeply|is unknown"):
        contract.from_plain(ignoring)


def test_what_is_looked_at_value_by_value_is_the_same() -> None:
    contract = Rows(
        Signature((Column("a", "integer"), Column("b", "float", True)), Column("y", "float")), None, None, 9
    )
    assert (
        contract.quick(b'{"rows":[{"a":1,"b":null}]}')
        == contract.from_plain(b'{"rows":[{"a":1.0,"b":NaN}]}')
        == [(1, None)]
    )
    for odd in (
        b'{"rows":[{"a":1.0,"b":1}]}',
        b'{"rows":[{"a":1,"b":NaN}]}',
        b"{",
        b'{"rows":[]}',
        b"\xff",
        b"[" * 100_000,
    ):
        assert contract.quick(odd) is None
