"""What imports ask of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...


class Tracking(Protocol):
    """Where runs are kept; see tracking's `taking.py`."""

    def take_experiment_in(
        self,
        tx: Transaction,
        name: str,
        state: str,
        created_ms: int,
        updated_ms: int,
        tags: Mapping[str, str],
        actor: str,
    ) -> tuple[int, bool]: ...

    def take_in(
        self,
        tx: Transaction,
        experiment: int,
        runs: Sequence[Any],
        measured: Iterable[tuple[str, str, int, int, float]],
        actor: str,
    ) -> int: ...

    def take_models_in(self, tx: Transaction, experiment: int, models: Sequence[Any]) -> None: ...

    def take_files_in(self, tx: Transaction, files: Iterable[tuple[str, str, str, int]]) -> None: ...

    def take_tag_in(self, tx: Transaction, run_id: str, key: str, value: str) -> None: ...

    def fits(self, kind: str, name: str) -> str: ...

    def given_experiments(self) -> list[Any]: ...

    def given_runs(self, experiment: int, after: int, limit: int) -> list[Any]: ...

    def given_points(self, run_id: str) -> list[tuple[str, int, int, float]]: ...

    def given_models(self, experiment: int) -> list[Any]: ...

    def files(self, owner: str) -> list[Any]: ...

    def search(self, where: str = "", *, experiment: str = "", limit: int = 100, page: str = "") -> Any: ...

    def started_ats(self, ids: Sequence[str]) -> dict[str, str]: ...


class Registry(Protocol):
    """Where registered models are kept."""
