"""Keeping an installation small: what goes, what may come back, what stays and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.usecases.retention.service import Retention


def build(**needs: Any) -> Retention:
    from loopline.usecases.retention.service import Retention

    return Retention(**needs)


PART = Part("retention", build, needs=("database", "ledger", "blobs", "clock", "home", "in_use", "owners", "projects"))
