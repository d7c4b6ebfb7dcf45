"""Gates, verdicts, approvals, promotion and rollback."""

from __future__ import annotations

from typing import Any

from loopline.core.parts import Part


def build(**needs: Any) -> Any:
    """The promotion service over the engines and services in `needs`."""
    from loopline.usecases.promotion.service import Promotion

    return Promotion(**needs)


PART = Part("promotion", build=build, needs=("database", "ledger", "clock", "registry", "projects", "automation"))
