"""What starts what, read from what projects declare: schedules, facts and webhooks set policies off, policies run
pipelines and gates, and these write facts that policies answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from loopline.kit.conditions import agrees
from loopline.usecases.projects.model import policies_of

KINDS = {"alert": "alert.opened"}
RUN, VERSION, SNAPSHOT = "run.finished", "model.version_registered", "dataset.snapshot_taken"
ALWAYS_SHOWN = (RUN, VERSION, "alias.moved")
Configs = Mapping[str, Mapping[str, Any]]


class Node(msgspec.Struct, frozen=True):
    """`kind`: schedule, webhook, fact, policy, pipeline, gate, action. `detail` says more of it in words."""

    id: str
    kind: str
    name: str
    project: str = ""
    detail: str = ""


class Edge(msgspec.Struct, frozen=True):
    """`source` sets `target` off, runs it, writes it or is judged by it: `label` says which."""

    source: str
    target: str
    label: str = ""


class Starting(msgspec.Struct, frozen=True):
    """The whole graph. It has no circles, but for policies that take in new data before they run."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Product(msgspec.Struct, frozen=True):
    """A fact that a policy leads to: its kind, what is known of its body, which node writes it. `alone` tells that no
    person stands between."""

    kind: str
    fields: Mapping[str, Any]
    writer: str
    alone: bool = True

    @property
    def text(self) -> str:
        """The fact in words: its kind and the thing it is about."""
        about = [self.fields[name] for name in ("pipeline", "dataset", "endpoint", "policy") if name in self.fields]
        if "model" in self.fields:
            alias = self.fields.get("alias")
            about = [f"{self.fields['model']}@{alias}" if alias else self.fields["model"]]
        return " ".join([self.kind, *map(str, about)])


class Declared(msgspec.Struct, frozen=True):
    """A policy with the project that declares it."""

    project: str
    name: str
    entry: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"policy:{self.project}/{self.name}"

    @property
    def kind(self) -> str:
        """schedule, webhook or the kind of fact on which it fires."""
        return KINDS.get(str(self.entry.get("on")), str(self.entry.get("on")))

    @property
    def when(self) -> Mapping[str, Any]:
        found = self.entry.get("when")
        return found if isinstance(found, Mapping) else {}


def declared(configs: Configs) -> list[Declared]:
    """The policies of all projects, schedules among them."""
    return [
        Declared(project, str(name), entry, config)
        for project, config in configs.items()
        for name, entry in policies_of(dict(config)).items()
        if isinstance(entry, Mapping)
    ]


def products(policy: Declared) -> Iterator[Product]:
    """The facts that a firing of a policy leads to, so far as its project says."""
    entry, config = policy.entry, policy.config
    run, gate = entry.get("run"), _entry(config, "gates", entry.get("gate"))
    model = entry.get("model") or gate.get("model")
    if run:
        pipeline = _entry(config, "pipelines", run)
        writer = f"pipeline:{policy.project}/{run}"
        about = {"name": pipeline.get("function") or run, "kind": "pipeline", "experiment": policy.project}
        about |= {"pipeline": about["name"], "project": policy.project}
        yield Product(RUN, about, writer)
        model = pipeline.get("registers") or model
        if model:
            yield Product(VERSION, {"model": model}, writer)
    if entry.get("do") == "roll_back":
        yield from _rolling_back(policy)
    alias = entry.get("promote_to") or gate.get("promote_to")
    if alias and model:
        yield from _promoting(policy, str(model), str(alias))
    for kind in ("policy.fired", "policy.finished", "policy.failed"):
        yield Product(kind, {"policy": policy.name, "project": policy.project}, policy.id)


def action(policy: Declared) -> Node | None:
    """What a policy does beside running and judging."""
    do = str(policy.entry.get("do") or "")
    where = policy.when.get("endpoint") or policy.when.get("model")
    about = str(where) if isinstance(where, str) else "what the alert is about"
    told = ", ".join(map(str, policy.entry.get("notify") or ()))
    names = {"roll_back": f"roll back {about}", "hold": f"hold releases of {about}", "notify": f"tell {told}"}
    return Node(f"action:{policy.project}/{policy.name}", "action", names[do], policy.project) if do in names else None


def _rolling_back(policy: Declared) -> Iterator[Product]:
    """Where it goes back, an older version answers; and the alias that the endpoint follows points to that."""
    writer = f"action:{policy.project}/{policy.name}"
    for name, endpoint in (policy.config.get("endpoints") or {}).items():
        if not isinstance(endpoint, Mapping) or not agrees(name, policy.when.get("endpoint", name)):
            continue
        yield Product("deployment.live", {"endpoint": name}, writer)
        if endpoint.get("alias"):
            yield Product("alias.moved", {"model": endpoint.get("model"), "alias": endpoint["alias"]}, writer)


def _promoting(policy: Declared, model: str, alias: str) -> Iterator[Product]:
    writer, alone = f"gate:{model}@{alias}", policy.entry.get("deploy") == "automatic"
    address = {"model": model, "alias": alias}
    yield Product("gate.decided", address, writer)
    yield Product("alias.moved", address, writer, alone)
    endpoints = policy.config.get("endpoints") or {}
    for name, endpoint in endpoints.items():
        if isinstance(endpoint, Mapping) and (endpoint.get("model"), endpoint.get("alias") or alias) == (model, alias):
            yield Product("deployment.live", {"endpoint": name}, writer, alone)


def answers(policy: Declared, product: Product, by: Declared) -> bool:
    """Whether a policy may fire on a fact that `by` led to. A policy does not answer its own facts, but one that says
    so is taken at its word: it means to run again after itself."""
    if policy.kind != product.kind:
        return False
    when: Mapping[str, Any] = policy.when
    if product.kind == RUN and "pipeline" in when:
        when = {"project": policy.project, **when}
    if not all(name not in product.fields or agrees(product.fields[name], value) for name, value in when.items()):
        return False
    return policy.id != by.id or (product.writer != by.id and bool(policy.when.keys() & product.fields.keys()))


def circle(configs: Configs) -> tuple[str, ...]:
    """The names on a circle of policies that would set each other off for ever without a person, facts between them, its
    beginning at both ends; empty when there is none."""
    policies = [policy for policy in declared(configs) if not policy.entry.get("paused")]
    follow = {
        by.id: [
            (one.id, product.text) for product in products(by) if product.alone
            for one in policies if answers(one, product, by)
        ]
        for by in policies
    }  # fmt: skip
    names = {policy.id: policy.name for policy in policies}
    done: set[str] = set()
    for start in follow:
        found = _walk(start, follow, [], done)
        if found:
            return tuple(names.get(step, step) for step in found)
    return ()


def _walk(at: str, follow: Mapping[str, list[tuple[str, str]]], path: list[str], done: set[str]) -> list[str]:
    if at in path[::2]:
        return [*path[path.index(at) :], at]
    if at in done:
        return []
    for target, text in follow[at]:
        found = _walk(target, follow, [*path, at, text], done)
        if found:
            return found
    done.add(at)
    return []


def starting(configs: Configs) -> Starting:
    """The graph of what starts what in all given projects."""
    policies = declared(configs)
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], Edge] = {}
    for policy in policies:
        for node, edge in _own(policy):
            nodes.setdefault(node.id, node)
            if edge is not None:
                edges.setdefault((edge.source, edge.target), edge)
    reached: set[str] = set()
    for by in policies:
        for product in products(by):
            answering = [one for one in policies if answers(one, product, by)]
            if not answering and product.kind not in ALWAYS_SHOWN:
                continue
            fact = Node(f"fact:{product.text}", "fact", product.text, by.project)
            nodes.setdefault(fact.id, fact)
            edges.setdefault((product.writer, fact.id), Edge(product.writer, fact.id, "writes"))
            for one in answering:
                reached.add(one.id)
                edges.setdefault((fact.id, one.id), Edge(fact.id, one.id, "sets off"))
    for policy in policies:
        if policy.id not in reached:
            cause = _cause(policy)
            nodes.setdefault(cause.id, cause)
            edges.setdefault((cause.id, policy.id), Edge(cause.id, policy.id, "sets off"))
    _taking_in(policies, nodes, edges)
    return Starting(tuple(nodes.values()), tuple(edges.values()))


def _own(policy: Declared) -> Iterator[tuple[Node, Edge | None]]:
    """A policy, the pipeline it runs and the gate that judges."""
    yield Node(policy.id, "policy", policy.name, policy.project, "paused" if policy.entry.get("paused") else ""), None
    run = policy.entry.get("run")
    if run:
        where = policy.entry.get("environment")
        pipeline = Node(f"pipeline:{policy.project}/{run}", "pipeline", str(run), policy.project)
        yield pipeline, Edge(policy.id, pipeline.id, f"runs in {where}" if where else "runs")
    acts = action(policy)
    if acts is not None:
        yield acts, Edge(policy.id, acts.id, "does")
    for product in products(policy):
        if product.kind == "gate.decided":
            name = product.writer.removeprefix("gate:")
            detail = str(policy.entry.get("gate") or "")
            deploy = "automatic" if policy.entry.get("deploy") == "automatic" else "after approval"
            yield (
                Node(product.writer, "gate", name, policy.project, detail),
                Edge(policy.id, product.writer, f"judges, {deploy}"),
            )


def _cause(policy: Declared) -> Node:
    entry = policy.entry
    if policy.kind == "schedule":
        cron = entry.get("cron") or policy.when.get("cron") or ""
        zone = entry.get("timezone") or policy.when.get("timezone") or "UTC"
        return Node(f"schedule:{policy.project}/{policy.name}", "schedule", str(cron), policy.project, str(zone))
    if policy.kind == "webhook":
        name = f"{policy.project}/{policy.name}"
        return Node(f"webhook:{name}", "webhook", f"/hooks/{name}", policy.project)
    asked = ", ".join(f"{name} {_said(value)}" for name, value in policy.when.items())
    return Node(f"fact:{policy.kind} {asked}".rstrip(), "fact", policy.kind, "", asked)


def _taking_in(policies: Sequence[Declared], nodes: Mapping[str, Node], edges: dict[tuple[str, str], Edge]) -> None:
    """Policies that run a pipeline take in what is new in their datasets first, which others may wait for. That is no
    circle: a snapshot is only written when new data came from outside."""
    for waiting in policies:
        cause = _cause(waiting).id
        if waiting.kind != SNAPSHOT or cause not in nodes:
            continue
        for by in policies:
            mine = by.id != waiting.id and by.entry.get("run")
            if mine and any(
                agrees(name, waiting.when.get("dataset", name)) for name in by.config.get("datasets") or {}
            ):
                edges.setdefault((by.id, cause), Edge(by.id, cause, "takes in"))


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"{sign} {bound}" for sign, bound in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _entry(config: Mapping[str, Any], section: str, name: Any) -> Mapping[str, Any]:
    entries = config.get(section)
    found = entries.get(name) if isinstance(entries, Mapping) and isinstance(name, str) else None
    return found if isinstance(found, Mapping) else {}
