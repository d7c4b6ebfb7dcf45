"""What a plan, a cache key and a step run are: frozen values and the rules that need no storage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

StepStatus = Literal["hit", "ran", "failed", "skipped", "running", "cancelled"]
FORMAT = "loopline-1"  # part of every key: raised when values are stored differently
INLINE = 4096  # bytes up to which a value lives in its row


class Leaf(msgspec.Struct, frozen=True, tag="leaf", omit_defaults=True):
    """A stored value: `kind` says how (json, bytes, table, array, file, model), `digest` is BLAKE3 of its bytes,
    `size` counts them; `content` is them when they are few, else a blob holds them."""

    kind: str
    digest: str
    size: int
    content: bytes | None = None
    meta: dict[str, Any] = {}


class Ref(msgspec.Struct, frozen=True, tag="ref", omit_defaults=True):
    """What node `node` of the plan gives, or the part of it at `path` (positions and keys)."""

    node: int
    path: tuple[int | str, ...] = ()


class Data(msgspec.Struct, frozen=True, tag="data"):
    """The newest accepted snapshot of a dataset, resolved when the run starts."""

    dataset: str


class Many(msgspec.Struct, frozen=True, tag="many", omit_defaults=True):
    """A list, tuple or dict of values; `names` are a dict's keys or a named tuple's fields (`title` is its name)."""

    form: Literal["list", "tuple", "dict"]
    items: tuple[Leaf | Ref | Data | Many | Choice, ...]
    names: tuple[str, ...] = ()
    title: str = ""


class Choice(msgspec.Struct, frozen=True, tag="choice", omit_defaults=True):
    """`then` when the value at `condition` counts as true, else `otherwise`; known when the condition is."""

    condition: Ref
    then: Leaf | Ref | Data | Many | Choice
    otherwise: Leaf | Ref | Data | Many | Choice


Tree = Leaf | Ref | Data | Many | Choice


class Guard(msgspec.Struct, frozen=True):
    """A node is only wanted when the value at `condition` counts as `wanted`."""

    condition: Ref
    wanted: bool


class File(msgspec.Struct, frozen=True, tag="file"):
    """A file or folder that a step reads by itself; a relative path counts from the project's folder."""

    path: str


class Url(msgspec.Struct, frozen=True, tag="url"):
    """An address that a step reads by itself. Its ETag or Last-Modified stands for the content, else the content does."""

    url: str


class Query(msgspec.Struct, frozen=True, tag="query"):
    """A database that a step reads by itself: what `query` answers at `url` stands for the content, as in
    `Query("postgresql://…", "SELECT max(changed_at), count(*) FROM flights")`. `${NAME}` in the url is taken from the
    environment."""

    url: str
    query: str


External = File | Url | Query


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a node's trials are chosen: `space` maps an argument to {"range": [low, high]}, {"range": [low, high, "log"]} or
    a list of choices; `measure` names the number in a trial's result (empty: the result is it); `width` trials run side
    by side."""

    space: dict[str, Any]
    trials: int
    direction: Literal["minimize", "maximize"] = "minimize"
    measure: str = ""
    sampler: str = "tpe"
    seed: int = 0
    width: int = 4


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a step's code: a function, class, value or whole file. `note` says why a whole file was taken."""

    kind: str
    name: str
    file: str
    digest: str
    note: str = ""


class Code(msgspec.Struct, frozen=True):
    """The closure of a step's code; `digest` is over pieces, distributions and Python's minor version."""

    digest: str
    pieces: tuple[Piece, ...]
    distributions: dict[str, str]
    python: str


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step is run. `max_age` is the oldest result taken from the cache, in seconds (0: any age), `volatile` names
    arguments that do not count for the key, `externals` what the step reads by itself. A failed call is made `retries`
    times again, after `backoff` seconds, doubled each time up to an hour. `timeout` is in seconds, `memory` in bytes (0: no limit);
    `cpu` counts slots; `environment` are variables for the call; `lock` is the project's file that pins what
    is installed where it runs (empty: what is installed here); `seed` starts the random numbers."""

    cached: bool = True
    max_age: float = 0.0
    volatile: tuple[str, ...] = ()
    externals: tuple[External, ...] = ()
    retries: int = 0
    backoff: float = 1.0
    timeout: float = 0.0
    cpu: float = 1.0
    memory: int = 0
    environment: dict[str, str] = {}
    lock: str = ""
    seed: int | None = None


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a step in a pipeline. `target` is "module:name" where the worker finds it, `label` tells it from
    other calls of the same step, `arguments` are bound by name.

    With `over` the node stands for one call for each item of the arguments named there (a map), with `search` for one
    call for each trial; its value is the list of theirs, or the search's summary.
    """

    step: str
    label: str
    target: str
    code: str
    arguments: dict[str, Tree]
    options: Options = Options()
    guards: tuple[Guard, ...] = ()
    over: tuple[str, ...] = ()
    search: Search | None = None


class Plan(msgspec.Struct, frozen=True):
    """What a pipeline does with given parameters: nodes in order, each before those that need it."""

    pipeline: str
    nodes: tuple[Node, ...]
    result: Tree | None
    returns_model: bool
    registers: str
    params: dict[str, str]
    codes: dict[str, Code]
    outside: dict[str, str]
    """Files beyond the project's folder whose code is part of it, with their digests."""
    signature: dict[str, dict[str, Any]] = {}
    """The pipeline's parameters: name → type and default as people write them."""
    files: dict[str, str] = {}
    """Files of the project whose code is part of it, with the digests of the blobs that keep them."""

    def distributions(self) -> dict[str, str]:
        """Names and versions of everything installed that any step's code imports."""
        return {name: version for code in self.codes.values() for name, version in code.distributions.items()}


class Argument(msgspec.Struct, frozen=True):
    """One argument of a step call as its key sees it: `source` tells where it came from, `shown` what it is."""

    kind: Literal["parameter", "input", "external", "volatile"]
    digest: str
    source: str
    shown: str


class StepRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One step of one pipeline run. `made_by` is the run whose result a hit took; `log` a blob's digest.

    Seconds are wall clock and CPU (0 for a hit); `max_rss` is the process's peak memory in bytes. `attempts` counts its
    calls, `warnings` those issued; `part_of` is the label of the map or search that a call belongs to; `output` is
    the digest of its result. A `running` step has begun and not ended.
    """

    position: int
    step: str
    label: str
    key: str
    status: StepStatus
    made_by: str = ""
    started_at: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss: int = 0
    log: str = ""
    error: str = ""
    attempts: int = 1
    part_of: str = ""
    warnings: int = 0
    output: str = ""


class PipelineRun(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline run, which is the tracking run of the same id. `outputs` has the digests of what the pipeline returned;
    `version` is the model version registered, `source` the digest of the project's files. In a list of runs `steps` is
    empty and `counts` says how many ended how."""

    run_id: str
    pipeline: str
    project: str
    status: str
    started_at: str
    seconds: float | None
    steps: tuple[StepRun, ...]
    outputs: tuple[str, ...] = ()
    model: str | None = None
    version: int | None = None
    source: str = ""
    error: str = ""
    counts: dict[str, int] = {}
    release: str = ""
    environment: str = ""

    def count(self, status: StepStatus) -> int:
        """How many steps ended so."""
        return sum(step.status == status for step in self.steps)


class Progress(msgspec.Struct, frozen=True):
    """What a run tells while it goes on: a step began (`status` empty) or ended, or printed `log` (`status` running);
    `total` steps there are. Of a call of a map or search `calls` counts all of these so far."""

    label: str
    status: str
    seconds: float
    position: int
    total: int
    log: str = ""
    calls: int = 0


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A step in the graph of a run: `needs` are the labels of those whose results it takes, `after` and `until` seconds
    from the run's start (None: not begun, not ended), `calls` counts those of a map or search."""

    label: str
    step: str
    status: str
    needs: tuple[str, ...] = ()
    part_of: str = ""
    calls: int = 0
    seconds: float = 0.0
    after: float | None = None
    until: float | None = None
    error: str = ""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a graph; `now` is seconds from its start to its end, or to now."""

    run_id: str
    pipeline: str
    status: str
    now: float
    nodes: tuple[GraphNode, ...]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why a step ran anew: `what` (code, parameter, input, external, distribution, python) `name` was `was`,
    is `now`. `patch` shows what was edited in a function, class or value, as a unified diff."""

    what: str
    name: str
    was: str
    now: str
    file: str = ""
    patch: str = ""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step was a hit or ran: in one sentence, and difference by difference against the most similar earlier one."""

    run_id: str
    step: str
    status: StepStatus
    sentence: str
    made_by: str = ""
    compared_with: str = ""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True):
    """What one step of a pipeline keeps in the cache; `seconds` is what all its results together took to make."""

    project: str
    pipeline: str
    step: str
    results: int
    size: int
    seconds: float


class CacheStats(msgspec.Struct, frozen=True):
    """The cache in numbers: results and bytes kept, step runs that hit or ran, seconds that hits did not spend, and the
    steps that keep most."""

    results: int
    size: int
    hits: int
    runs: int
    seconds_saved: float
    largest: tuple[Share, ...] = ()


class Import(msgspec.Struct, frozen=True):
    """What `cache import` did: results taken, those known already, those left out because bytes were damaged."""

    taken: int
    known: int
    damaged: int
    size: int


def refs(tree: Tree) -> Iterable[Ref]:
    """Every reference to another node inside a value."""
    if isinstance(tree, Ref):
        yield tree
    elif isinstance(tree, Many):
        for item in tree.items:
            yield from refs(item)
    elif isinstance(tree, Choice):
        yield tree.condition
        yield from refs(tree.then)
        yield from refs(tree.otherwise)


def leaves(tree: Tree) -> Iterable[Leaf]:
    """Every stored value inside a value."""
    if isinstance(tree, Leaf):
        yield tree
    elif isinstance(tree, Many):
        for item in tree.items:
            yield from leaves(item)
