"""What imports ask of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """Where registered models are kept; see the registry's `arriving.py` and `changing.py`."""

    def models(self) -> Sequence[Any]: ...

    def versions(self, name: str) -> Sequence[Any]: ...

    def known_version(self, name: str, version: int) -> Any: ...

    def files_of(self, name: str, version: int) -> Mapping[str, str]: ...

    def create(self, name: str, *, actor: str, description: str = "", tags: Mapping[str, str] | None = None) -> Any: ...

    def describe(self, name: str, description: str, actor: str) -> Any: ...

    def describe_version(self, name: str, version: int, description: str, actor: str) -> Any: ...

    def tag(self, name: str, tags: Mapping[str, str], actor: str, version: int | None = None) -> None: ...

    def stage(self, name: str, version: int, stage: str, actor: str, archive: bool = False) -> Any: ...

    def set_alias(self, name: str, alias: str, version: int, actor: str, reason: str) -> None: ...

    def arrive(
        self,
        name: str,
        source: str,
        *,
        actor: str,
        run_id: str | None = None,
        model_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        run_link: str = "",
        user_id: str = "",
        created_at: str = "",
        number: int = 0,
        then: Callable[[Transaction, Any], None] | None = None,
    ) -> Any: ...
