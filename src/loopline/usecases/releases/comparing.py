"""What differs between two releases, down to the function and the pinned version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loopline.usecases.releases.model import Change, Graph, Manifest, canonical

_LONGEST = 120


def changes(a: Manifest, b: Manifest) -> tuple[Change, ...]:
    """Every difference, the most telling first."""
    return (
        *_of("function", pieces(a.graph), pieces(b.graph), short=12),
        *_of("file", digests(a), digests(b), short=12),
        *_of("step", steps(a.graph), steps(b.graph)),
        *_of("parameter", a.graph.parameters, b.graph.parameters),
        *_of("lock", a.lock.distributions, b.lock.distributions),
        *_of("contract", a.contracts, b.contracts),
        *_of("config", settings(a.config), settings(b.config)),
        *_of("test", tests(a), tests(b)),
        *_of("pipeline", entry(a), entry(b)),
    )


def _of(what: str, was: Mapping[str, Any], now: Mapping[str, Any], short: int = 0) -> Iterator[Change]:
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name) or (name in was) != (name in now):
            yield Change(what, name, _shown(was, name, short), _shown(now, name, short))


def _shown(values: Mapping[str, Any], name: str, short: int) -> str:
    if name not in values:
        return ""
    value = values[name]
    text = value if isinstance(value, str) else canonical(value).decode()
    return text[:short] if short else text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def pieces(graph: Graph) -> dict[str, str]:
    """Every function, class and value that steps are made of, by "file: name"."""
    return {name: digest for code in graph.codes.values() for name, digest in code.pieces.items()}


def digests(manifest: Manifest) -> dict[str, str]:
    return {name: file.sha256 for name, file in manifest.files.items()}


def tests(manifest: Manifest) -> dict[str, int]:
    return {"passed": manifest.tests.passed, "skipped": manifest.tests.skipped}


def steps(graph: Graph) -> dict[str, Any]:
    """Each step without the digest of its code, which the functions tell better."""
    return {
        step.label: {"needs": step.needs, "datasets": step.datasets, "over": step.over, "options": step.options,
                     "search": step.search}
        for step in graph.steps
    }  # fmt: skip


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with one entry a thing: "gates late-arrival"."""
    found: dict[str, Any] = {}
    for section, entries in config.items():
        if isinstance(entries, Mapping):
            found |= {f"{section} {name}": entry for name, entry in entries.items()}
        else:
            found[section] = entries
    return found


def entry(manifest: Manifest) -> dict[str, str]:
    """Which pipeline it is, and what it was sealed with."""
    return {
        "project": manifest.project,
        "name": manifest.pipeline,
        "file": manifest.entry.file,
        "function": manifest.entry.function,
        "registers": manifest.entry.registers,
        "loopline": manifest.loopline,
        "python": manifest.python,
    }
