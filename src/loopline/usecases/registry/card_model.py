"""What a model card is: frozen values, and the card as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid

CARD_WRITTEN = "card.written"
SECTIONS = {
    "intended_use": "Intended use",
    "limits": "Limits",
    "ethical_considerations": "Ethical considerations",
    "owner": "Owner",
    "contact": "Contact",
}
"""The sections that people write, with their titles (after Mitchell et al., Model Cards for Model Reporting, FAT* 2019)."""
LONGEST = 20_000
ONE_LINE = ("owner", "contact")


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable state of a card; `digest` names the document."""

    revision: int
    digest: str
    owner: str
    written_at: str
    written_by: str


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The revision that stood when an alias was moved to the version."""

    alias: str
    revision: int
    pinned_at: str


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """Who fetched a version and how ("download", "mlflow"), on how many days, last when."""

    version: int
    who: str
    how: str
    days: int
    last: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it is kept: the texts by section, and the facts as they were found then (see `facts.gathered`)."""

    model: str
    version: int
    texts: dict[str, str]
    facts: dict[str, Any]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A card: of a revision as it was written, or (`live`) the newest texts with the facts of now. `revision` 0: nobody has
    written any text."""

    model: str
    version: int
    revision: int
    live: bool
    texts: dict[str, str]
    facts: dict[str, Any]
    revisions: list[Revision]
    pins: list[Pin]


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses a model. `kind`: endpoint, alias, project, monitor, policy, download. `version` None: whichever the alias
    names. `address` is the page about it, or ''."""

    kind: str
    name: str
    version: int | None
    detail: str
    address: str = ""
    live: bool = True


def checked(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts of sections without blanks around them; Invalid for an unknown section or a text that is too long."""
    for name, text in texts.items():
        if name not in SECTIONS:
            raise Invalid(f"A card has no section {name[:60]!r}.", f"It has {', '.join(SECTIONS)}.")
        if len(text) > (200 if name in ONE_LINE else LONGEST):
            raise Invalid(f"The section {name!r} is too long ({len(text)} signs).", f"At most {LONGEST}.")
    tidy = {name: text.replace("\r\n", "\n").replace("\0", "").strip() for name, text in texts.items()}
    return {name: " ".join(text.split()) if name in ONE_LINE else text for name, text in tidy.items()}


def markdown(card: Card) -> str:
    """The card as Markdown with front matter."""
    return "\n".join([*front(card), f"# {card.model}, version {card.version}", "", *body(card)]).rstrip() + "\n"


def front(card: Card) -> Iterator[str]:
    """The lines of the front matter: YAML, each value written as JSON, which YAML takes."""
    facts = card.facts
    told = {"model": card.model, "version": card.version, "card_revision": card.revision}
    told |= {name: facts.get(name) for name in ("digest", "format", "servable", "created_at", "created_by")}
    told |= {name: card.texts.get(name, "") for name in ONE_LINE if card.texts.get(name)}
    told |= {"aliases": facts.get("aliases", []), "tags": facts.get("tags", {}), "metrics": facts.get("metrics", {})}
    yield "---"
    for name, value in told.items():
        yield f"{name}: {msgspec.json.encode(value).decode()}"
    yield from ("---", "")


def body(card: Card) -> Iterator[str]:
    """The lines below the title."""
    facts = card.facts
    for name, title in SECTIONS.items():
        if card.texts.get(name):
            yield from (f"## {title}", "", card.texts[name], "")
    yield from ("## Model", "", *pairs(of_model(facts)), "")
    if facts.get("metrics"):
        yield from ("## Metrics", "", *table(("metric", "value"), facts["metrics"].items()), "")
    if run := facts.get("run"):
        yield from ("## Training", "", *pairs(of_run(run)), "")
        if run.get("params"):
            yield from (*table(("param", "value"), run["params"].items()), "")
    if facts.get("data"):
        rows = [(one["dataset"], one["digest"][:12], one.get("rows"), one.get("taken_at")) for one in facts["data"]]
        yield from ("## Data", "", *period(facts), *table(("dataset", "snapshot", "rows", "taken"), rows), "")
    yield from gates(facts)
    yield from calibration(facts)
    columns = [(one["name"], one["type"], "yes" if one.get("nullable") else "no") for one in facts.get("inputs", ())]
    if columns:
        yield from ("## Signature", "", *table(("input", "type", "may be empty"), columns), "")


def of_model(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the version is."""
    told = {
        name: facts.get(name) for name in ("format", "digest", "size", "created_at", "created_by", "source", "stage")
    }
    told["not servable"] = facts.get("not_servable")
    told["aliases"] = ", ".join(facts.get("aliases", ()))
    told["endpoints"] = ", ".join(facts.get("endpoints", ()))
    return told


def of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Where it was trained."""
    return {name: run.get(name) for name in ("id", "name", "experiment", "status", "started_at", "ended_at", "commit")}


def period(facts: Mapping[str, Any]) -> list[str]:
    """The time that its rows are from."""
    found = {name.replace("_", " "): facts.get(name) for name in ("trained_from", "trained_until")}
    return [*pairs(found), ""] if any(found.values()) else []


def gates(facts: Mapping[str, Any]) -> Iterator[str]:
    """Each gate with its checks and slices."""
    for gate in facts.get("gates", ()):
        against = "no champion" if gate["champion"] is None else f"version {gate['champion']}"
        yield from (f"## Gate for {gate['alias']}: {gate['verdict'].replace('_', ' ')}", "")
        yield f"Against {against}, {gate['decided_at']}, by {plain(gate['decided_by'])}."
        rows = [(one["name"], one["verdict"].replace("_", " "), one["reason"]) for one in gate["checks"]]
        yield from ("", *table(("check", "verdict", "reason"), rows), "")
        slices = [(f"{one['column']} {one['value']}", one["rows"], one["challenger"]) for one in gate["slices"]]
        if slices:
            yield from (*table(("slice", "rows", gate["metric"]), slices), "")


def calibration(facts: Mapping[str, Any]) -> Iterator[str]:
    """The reliability table."""
    found = facts.get("calibration")
    if not found:
        return
    yield from ("## Calibration", "", f"Expected calibration error: {found['error']:.4f}", "")
    rows = [(f"from {one['lower']:.1f}", one["rows"], one["predicted"], one["observed"]) for one in found["bins"]]
    yield from (*table(("predicted", "rows", "mean prediction", "observed share"), rows), "")


def pairs(values: Mapping[str, Any]) -> list[str]:
    """Facts as a list; what is not known is left out."""
    return [f"- {name.replace('_', ' ')}: {plain(value)}" for name, value in values.items() if value not in (None, "")]


def table(names: tuple[str, ...], rows: Any) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return lines + ["| " + " | ".join(plain(value) for value in row) + " |" for row in rows]


def plain(value: Any) -> str:
    """A value as text in which Markdown finds no mark-up of its own."""
    text = f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)
    return "".join("\\" + sign if sign in "\\`*_{}[]<>|#" else sign for sign in " ".join(text.split()))
