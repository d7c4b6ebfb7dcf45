"""The ranges that an endpoint takes its inputs in, filled from what a dataset's contract says of the same columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Signature
from loopline.core.verbs import Caller, Role, Verb
from loopline.ports.database import Transaction
from loopline.usecases.serving.configuring import Configuring
from loopline.usecases.serving.needs import Rule
from loopline.usecases.serving.options import Options, Range, plain

Otherwise = Literal["reject", "clip", "pass"]


class FromContract(msgspec.Struct):
    """The dataset whose contract tells the ranges, and what becomes of a value outside."""

    endpoint: str
    dataset: str
    otherwise: Otherwise = "reject"


class Ranging(Configuring):
    """Fill ranges."""

    def ranges(self, name: str, dataset: str, otherwise: Otherwise, actor: str) -> Options:
        """Take the ranges of `dataset`'s contract for the inputs that it names; those of other inputs stay. NotFound for a
        dataset without a contract, Invalid when it says nothing of any input."""
        contract = self._datasets.dataset(dataset).contract
        if contract is None:
            raise NotFound(f"The dataset {dataset!r} has no contract.", "Declare it with one: Dataset(…, contract=…).")
        found: Options = self._database.write(lambda tx: self._ranges_in(tx, name, contract.columns, otherwise, actor))
        return found

    def _ranges_in(
        self, tx: Transaction, name: str, rules: Iterable[Rule], otherwise: Otherwise, actor: str
    ) -> Options:
        endpoint = self._endpoint(tx, name)
        number = endpoint.live or endpoint.wanted
        if number is None:
            raise Invalid(f"Endpoint {name!r} serves nothing yet.", f"`loopline deploy {name} VERSION` first.")
        told = told_by(rules, self._revision(tx, name, number).signature, otherwise)
        if not told:
            raise Invalid(
                f"The contract says nothing of any input of {name!r} that could be checked.",
                "Give its columns minimum, maximum or allowed values.",
            )
        return self.configure_in(tx, name, {"ranges": {**plain(endpoint.options).get("ranges", {}), **told}}, actor)


def told_by(rules: Iterable[Rule], signature: Signature, otherwise: Otherwise) -> dict[str, Any]:
    """The ranges, as JSON has them, that rules give for the inputs of the same name: bounds of numbers, categories of text."""
    types = {column.name: column.type for column in signature.inputs}
    found: dict[str, Any] = {}
    for rule in rules:
        kind = types.get(rule.name)
        limits: Mapping[str, Any] = {}
        if kind in ("float", "integer"):
            limits = {"minimum": rule.minimum, "maximum": rule.maximum}
        elif kind == "string" and rule.allowed:
            limits = {"categories": tuple(str(value) for value in rule.allowed)}
        known = {name: value for name, value in limits.items() if value is not None and not (isinstance(value, str))}
        if known:
            found[rule.name] = msgspec.to_builtins(Range(**known, otherwise=otherwise))
    return found


def ranges(serving: Any, request: FromContract, caller: Caller) -> Options:
    made: Options = serving.ranges(request.endpoint, request.dataset, request.otherwise, caller.name)
    return made


RANGE_VERBS = (
    Verb(
        "serving.ranges", "POST", "/serving/endpoints/{endpoint}/ranges", Role.APPROVER, FromContract, ranges,
        "Take an endpoint's ranges from a contract",
    ),
)  # fmt: skip
