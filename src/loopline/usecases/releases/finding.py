"""Everything that must be known of a draft before it is sealed: its graph, its contracts, how its tests ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.usecases.releases import examining, folders, sealing, tracing
from loopline.usecases.releases.examining import Examination
from loopline.usecases.releases.model import Graph, Outcomes, SealedFile, canonical, sha256
from loopline.usecases.releases.needs import Pipelines, Projects
from loopline.usecases.releases.sealing import Draft, Progress, with_files
from loopline.usecases.releases.shelf import Shelf

_graphs = msgspec.json.Decoder(Graph)


class Finder:
    """Asks the project's own code, in the release's environment; asked again about the same content it remembers."""

    def __init__(
        self, shelf: Shelf, projects: Projects, pipelines: Pipelines, blobs: Blobs, clock: Clock, work: Path
    ) -> None:
        self._blobs = blobs
        self._shelf = shelf
        self._projects = projects
        self._pipelines = pipelines
        self._clock = clock
        self._work = work

    def found(
        self,
        draft: Draft,
        python: str,
        params: Mapping[str, Any],
        again: bool,
        tell: Progress,
    ) -> tuple[Draft, Graph, dict[str, Any], Outcomes]:
        """Graph, contracts and outcomes, and the draft with files that steps read by themselves.

        Tests run while the pipeline is traced; when they wrongly lacked such a file they are run again with it.
        """
        content, asked = draft.content, f"graph {draft.pipeline} {canonical(params).decode()}"
        graph, contracts = self._known_graph(content, asked), self._shelf.remembered(content, "contracts")
        if graph is None or contracts is None:
            return self._asked(draft, python, params, again, tell, asked)
        whole = with_files(draft, graph.reads)
        outcomes = self._outcomes(whole, python, again, tell, Examination())
        sealing.keep(self._blobs, whole.files)
        self._shelf.remember([(whole.content, "tests", canonical(outcomes))] if again else [])
        return whole, graph, msgspec.json.decode(contracts), outcomes

    def _asked(
        self,
        draft: Draft,
        python: str,
        params: Mapping[str, Any],
        again: bool,
        tell: Progress,
        asked: str,
    ) -> tuple[Draft, Graph, dict[str, Any], Outcomes]:
        examination = Examination()
        with ThreadPoolExecutor(4) as pool:
            try:
                tested = pool.submit(self._outcomes, draft, python, again, tell, examination)
                kept = pool.submit(sealing.keep, self._blobs, draft.files)
                folder = self._laid_out(draft)
                traced = pool.submit(self._graph, draft, folder, python, params)
                agreed = pool.submit(self._projects.contracts, folder, draft.config, python)
                graph, contracts = traced.result(), agreed.result()
                whole = with_files(draft, graph.reads)
                if whole is not draft:
                    examination.stop()
                    tested.exception()
                    examination = Examination()
                    tested = pool.submit(self._outcomes, whole, python, again, tell, examination)
                    sealing.keep(self._blobs, whole.files)
                kept.result()
                outcomes = tested.result()
            except BaseException:
                examination.stop()  # nobody waits for tests of what cannot be sealed
                raise
        known = [(draft.content, asked, canonical(graph)), (draft.content, "contracts", canonical(contracts))]
        self._shelf.remember([*known, (whole.content, "tests", canonical(outcomes))])
        return whole, graph, contracts, outcomes

    def _laid_out(self, draft: Draft) -> Path:
        by_digest = {sha256(content): content for content in draft.files.values()}
        return folders.laid_out(draft.sealed, self._work / "releases", lambda file: by_digest[file.sha256])

    def _known_graph(self, content: str, asked: str) -> Graph | None:
        known = self._shelf.remembered(content, asked)
        return None if known is None else _graphs.decode(known)

    def _graph(self, draft: Draft, folder: Path, python: str, params: Mapping[str, Any]) -> Graph:
        entry = draft.entry
        plan = self._pipelines.plan(folder, entry.function, params, file=entry.file, python=python)
        graph = tracing.graph_of(plan)
        tracing.refuse_what_is_not_sealed(plan, graph, draft.lock.versions)
        return graph

    def _outcomes(self, draft: Draft, python: str, again: bool, tell: Progress, examination: Examination) -> Outcomes:
        known = None if again else self._shelf.outcomes(draft.content)
        if known is not None:
            return known
        tell("running the project's tests on the files to be sealed")
        return examining.examined(draft.files, python, self._work, self._clock.text(), examination)


def retested(
    files: Mapping[str, SealedFile],
    read: Callable[[SealedFile], bytes],
    python: str,
    work: Path,
    at: str,
) -> Outcomes:
    """The tests of sealed files run once more; CheckFailed when one fails."""
    return examining.examined({name: read(file) for name, file in files.items()}, python, work, at)
