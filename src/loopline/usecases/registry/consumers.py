"""Who uses a model: what is deployed, what names it, who fetched it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from loopline.usecases.registry import cards_store
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.card_model import Consumer, Download
from loopline.usecases.registry.cards import tried


class Consumers(Base):
    """Answers who would notice if a version went."""

    def consumers(self, name: str, version: int = 0) -> list[Consumer]:
        """Who uses a model, or (`version`) just that version; what names the model by an alias counts for the version that
        the alias points to. NotFound."""
        if version:
            self._database.read(lambda tx: self._there(tx, name, version))
        aliases = self._database.read(lambda tx: self._aliases(tx, name))
        found = [*self._by_name(name, aliases), *map(fetched, self.downloads(name, version))]
        return [one for one in found if not version or one.version in (None, version)]

    def downloads(self, name: str, version: int = 0) -> list[Download]:
        """Who fetched versions, how, on how many days and last when."""
        return self._database.read(lambda tx: cards_store.downloads(tx, name, version))

    def note_download(self, name: str, version: int, who: str, how: str) -> None:
        """Remember that somebody fetched a version; written at most once a day for each. NotFound."""
        self._database.read(lambda tx: self._there(tx, name, version))
        day = self._clock.text()[:10]
        key = (name, version, who, how, day)
        if key in self._noted:
            return
        self._database.write(lambda tx: cards_store.fetched(tx, name, version, who, how, day))
        if len(self._noted) > 10_000:
            self._noted.clear()
        self._noted.add(key)

    def _by_name(self, name: str, aliases: Mapping[str, int]) -> Iterator[Consumer]:
        for alias, number in aliases.items():
            yield Consumer(kind="alias", name=alias, version=number, detail=f"points to version {number}")
        endpoints = [one for one in tried(self._serving.endpoints, []) if one.model == name]
        versions: dict[str, Any] = {}
        for endpoint in endpoints:
            revisions = {one.revision: one for one in tried(partial(self._serving.revisions, endpoint.name), [])}
            versions[endpoint.name] = live = revisions.get(endpoint.live)
            yield from of_endpoint(endpoint, live, revisions.get(endpoint.wanted))
        for project in tried(self._projects.projects, []):
            yield from of_project(project, name, aliases, {one.name for one in endpoints})
        for summary in tried(self._monitoring.summaries, []):
            if summary.endpoint in versions:
                standing = versions[summary.endpoint]
                detail = f"watches {summary.metric} of the endpoint {summary.endpoint}, each {summary.window}"
                watched = standing.version if standing else None
                yield Consumer(
                    kind="monitor", name=summary.endpoint, version=watched, detail=detail,
                    address=f"/monitors/{quote(summary.endpoint, safe='')}",
                )  # fmt: skip
        yield from of_policies(tried(self._automation.policies, []), name, aliases)


def of_endpoint(endpoint: Any, live: Any, wanted: Any) -> Iterator[Consumer]:
    """What an endpoint serves, and what it is about to serve."""
    address = f"/endpoints/{quote(endpoint.name, safe='')}"
    if live is not None:
        detail = f"revision {live.revision} is live since {(live.live_at or live.requested_at)[:16].replace('T', ' ')}"
        yield Consumer(kind="endpoint", name=endpoint.name, version=live.version, detail=detail, address=address)
    if wanted is not None and (live is None or wanted.revision != live.revision):
        detail = f"revision {wanted.revision} is being deployed"
        yield Consumer(kind="endpoint", name=endpoint.name, version=wanted.version, detail=detail, address=address)
    if live is None and wanted is None:
        yield Consumer(
            kind="endpoint", name=endpoint.name, version=None, detail="nothing is live", address=address, live=False
        )


def of_project(project: Any, model: str, aliases: Mapping[str, int], endpoints: set[str]) -> Iterator[Consumer]:
    """What a project's loopline.yaml says of the model."""
    config, address = project.config, f"/projects/{quote(project.name, safe='')}"
    said: list[tuple[str, int | None]] = []
    if model in (config.get("models") or {}):
        said.append(("models: it describes the model", None))
    for key, one in entries(config, "endpoints"):
        if one.get("model") == model:
            alias = one.get("alias") or "production"
            said.append((f"endpoints: {key} serves {model}@{alias}", aliases.get(alias)))
    for key, one in entries(config, "gates"):
        if one.get("model") == model:
            said.append((f"gates: {key} guards {one.get('promote_to')}", aliases.get(one.get("promote_to", ""))))
    for key, one in entries(config, "monitors"):
        if one.get("endpoint") in endpoints:
            said.append((f"monitors: {key} watches {one['endpoint']}", None))
    for key, one in entries(config, "pipelines"):
        if one.get("registers") == model:
            said.append((f"pipelines: {key} registers versions", None))
    for detail, number in said:
        yield Consumer(kind="project", name=project.name, version=number, detail=detail, address=address)


def of_policies(standing: Iterable[Any], model: str, aliases: Mapping[str, int]) -> Iterator[Consumer]:
    """Policies that judge or promote versions of the model."""
    for one in standing:
        rules = msgspec.to_builtins(one.policy)
        flat = {**rules, **(rules.get("rules") or {})}
        if flat.get("model") == model:
            alias = flat.get("promote_to") or ""
            detail = f"on {flat.get('on', '?')}: promotes to {alias}" if alias else f"on {flat.get('on', '?')}"
            yield Consumer(
                kind="policy", name=str(flat.get("name", "")), version=aliases.get(alias), detail=detail,
                address="/policies",
            )  # fmt: skip


def fetched(found: Download) -> Consumer:
    """Somebody who fetched a version."""
    how = {"mlflow": "by MLflow's client", "download": "as a folder"}.get(found.how, found.how)
    detail = f"fetched {how}, last on {found.last}" + (f", on {found.days} days" if found.days > 1 else "")
    return Consumer(kind="download", name=found.who, version=found.version, detail=detail, live=False)


def entries(config: Mapping[str, Any], section: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The named entries of a section."""
    found = config.get(section) or {}
    return [(key, one) for key, one in found.items() if isinstance(one, dict)] if isinstance(found, dict) else []
