"""How a run is asked for: what must be refused before it begins, and what stands for what it hangs on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.usecases.pipelines import graphs
from loopline.usecases.pipelines.ground import Terms
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.model import (
    External,
    Plan,
)

if TYPE_CHECKING:
    pass

SHORTEST_SECRET = 6


def basis_of(plan_key: str, plan: Plan, terms: Terms) -> str:
    """A digest of all that a run's results hang on; empty when some step must run or grows old whatever is known."""
    options = [node.options for node in plan.nodes]
    if terms.force or any(not one.cached or one.max_age for one in options):
        return ""
    snapshots = [part for pair in sorted(terms.snapshots.items()) for part in pair]
    outside = sorted(repr(one) + mark for one, mark in terms.externals.items())
    outside += [part for name, text in sorted(terms.locks.items()) for part in (name, digest(text))]
    return digest("basis", plan_key, str(terms.seed), *sorted(plan.codes), "", *snapshots, "", *outside)


def forced_in(plan: Plan, force: Iterable[str], since: str) -> frozenset[str]:
    """Labels of the steps that shall run anew: those named, and with `since` also all that need it. NotFound names one
    that is not there."""
    labels = [node.label for node in plan.nodes]
    forced = set(labels) if "*" in force else {*force, *([since] if since else [])}
    for label in sorted(forced - set(labels)):
        raise NotFound(f"The pipeline {plan.pipeline!r} has no step {label!r}.", f"Steps: {', '.join(labels)}.")
    following = {since}
    for node in plan.nodes if since else ():
        if following & {plan.nodes[position].label for position in graphs.needed(node)}:
            following.add(node.label)
    return frozenset(forced | (following if since else set()))


def locks_of(plan: Plan, folder: Path) -> dict[str, bytes]:
    """The locks of the steps that have their own, by name; NotFound for one that is not there."""
    found: dict[str, bytes] = {}
    for node in plan.nodes:
        if node.options.lock and node.options.lock not in found:
            path = folder / node.options.lock
            if not path.is_file():
                raise NotFound(f"The step {node.step!r} asks for {node.options.lock}, which is not there.",
                               "Make it: `loopline lock` in a folder with its pyproject.toml.")  # fmt: skip
            found[node.options.lock] = path.read_bytes()
    return found


def marks_of(externals: Iterable[External], folder: Path) -> dict[External, str]:
    """What stands for the content of each external now."""
    found = sorted(externals, key=repr)
    if not found:
        return {}
    from loopline.usecases.pipelines.identity.externals import fingerprint

    return {one: fingerprint(one, folder) for one in found}


def refuse_secrets(params: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Invalid for a parameter that holds a secret: parameters are kept, and shown to whoever looks at the run."""
    for name, value in params.items():
        for secret, content in variables.items():
            if len(content) >= SHORTEST_SECRET and content in str(value):
                raise Invalid(
                    f"The parameter {name!r} holds the secret {secret}, and parameters are kept with the run.",
                    f"Leave it out; a step reads it as os.environ[{secret!r}].",
                )


def as_text(params: Mapping[str, Any]) -> str:
    """Parameters as one text. Invalid for what could not be handed to the pipeline or read again."""
    try:
        given = json.dumps(params, sort_keys=True, default=refused)
        msgspec.msgpack.encode(params)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(
            f"The parameters cannot be written down: {error}.",
            "Give numbers within 64 bits, texts in UTF-8, lists, and maps whose keys are texts.",
        ) from None
    return given


def refused(value: Any) -> Any:
    """JSON's way out for a parameter that is no JSON."""
    raise Invalid(f"A pipeline's parameter cannot be {value!r}.", "Give numbers, texts, lists and maps.")


def last_line(trace: str) -> str:
    """Where in the user's code it happened."""
    places = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    return f"See {places[-1]}." if places else ""
