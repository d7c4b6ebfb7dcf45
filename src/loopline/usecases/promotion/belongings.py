"""Gates and approvals belong to the version that they judged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from loopline.core.belongings import Belongings, Reference, Rows
from loopline.kit.rows import among_pairs

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Owner(Belongings):
    """Gates with their checks, and approvals."""

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "version":
            parts = [name.rpartition("/") for name in names]
            where, params = among_pairs(("model", "version"), [(owner, int(number)) for owner, _, number in parts])
            gates = f"gate IN (SELECT id FROM promotion_gates WHERE {where})"
            yield Rows("promotion_checks", gates, params)
            yield Rows("promotion_approvals", gates, params, "approvals")
            yield Rows("promotion_gates", where, params, "gates")
            yield from (measured(owner, int(number)) for owner, _, number in parts)

    def references(self, tx: Any) -> Iterable[Reference]:
        rows = tx.rows(
            "SELECT model, version, evidence FROM promotion_gates UNION ALL SELECT g.model, g.version, c.evidence"
            " FROM promotion_checks c JOIN promotion_gates g ON g.id = c.gate"
        )
        for row in rows:
            for digest in DIGEST.findall(row["evidence"]):
                yield Reference("version", f"{row['model']}/{row['version']}", digest, ("model", row["model"]))


def measured(model: str, version: int) -> Rows:
    """What was measured with a version, or on its rows."""
    where = "model = :model AND (versions LIKE :among OR held_out_of = :version)"
    return Rows("promotion_sides", where, {"model": model, "version": version, "among": f"%,{version},%"})
