"""What to build for given vectors: chosen on a sample, before anything large is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vicinal import _forms, _judge
from vicinal._convert import as_id, as_seed, as_vectors
from vicinal._forms import Form
from vicinal._types import Array, Metric, Progress
from vicinal.calibration import as_share
from vicinal.errors import ArgumentError, DimensionError
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.params import SQ4, SQ8, Codec, FlatParams, HNSWParams
from vicinal.report import Tried, tried_lines
from vicinal.transforms import Transform

__all__ = ["Plan", "tune"]

#: Up to so many numbers a scan reads at most 4 MiB per query: about a tenth of a millisecond, from
#: a cache that is near. A graph would save little and could miss.
EXACT_NUMBERS = 1 << 20
LARGEST_FLOAT16 = 65504.0
#: Half as many links find as much with more comparisons.
LINKS = (16, 8)
LINK_BYTES, ID_BYTES, TOWER_BYTES = 4, 8, 16
#: Neighbours per query whose recall is promised.
K = 10
#: A recall that most will ask for: measured too, unless it costs far more than the recall asked.
HOPED = 0.99
#: Of `build_ef`, tried on a sample where time is limited, and queries to calibrate that with.
EFFORTS = (200, 100, 50)
ASKED = 500
#: With n times as many vectors as the sample a graph takes about n**LARGER times as long to build
#: (measured: 1.14 to 1.28), and searches that find as much n**HARDER times (0 to 0.57): there are
#: more to compare, and they lie farther away.
LARGER, HARDER = 1.25, 0.5


@dataclass(frozen=True)
class Plan:
    """What :func:`tune` chose, and why; prints in plain words.

    Attributes
    ----------
    rows, dim : int
        Of the vectors it was made for.
    metric : str
    params : FlatParams or HNSWParams
    transform : Transform or None
        What stands before the codes.
    bytes_per_vector : float
        Of the finished index, as reckoned; without the scratch memory of searches, which is about
        two bytes per vector and thread.
    why : str
        The reason for it, in words.
    tried : tuple of Tried
        Codes that were looked at to choose these.
    """

    rows: int
    dim: int
    metric: str
    params: FlatParams | HNSWParams
    transform: Transform | None
    bytes_per_vector: float
    why: str
    tried: tuple[Tried, ...] = ()

    def make(self) -> FlatIndex | HNSWIndex:
        """Make the index, empty."""
        if isinstance(self.params, FlatParams):
            return FlatIndex(self.dim, self.metric, codec=self.params.codec)
        return HNSWIndex.from_params(self.dim, self.metric, self.params, transform=self.transform)

    def __str__(self) -> str:
        kind = "FlatIndex" if isinstance(self.params, FlatParams) else "HNSWIndex"
        lines = [
            f"{kind} for {self.rows:,} vectors, dim {self.dim}, {self.metric}",
            f"why        {self.why}",
            *tried_lines(self.tried),
            f"memory     {self.bytes_per_vector:,.1f} bytes per vector",
        ]
        return "\n".join(lines)


class Task(NamedTuple):
    """What :func:`tune` and :func:`vicinal.build` are asked for, checked, and when."""

    start: float
    rows: Array
    metric: str
    recall: float
    memory: int | None
    build_time: float | None
    given: Array | None
    seed: int
    threads: int | None
    progress: Progress | None


def tune(
    vectors: npt.ArrayLike,
    metric: Metric | str = "l2",
    *,
    recall: float = 0.95,
    memory: int | None = None,
    build_time: float | None = None,
    queries: npt.ArrayLike | None = None,
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Choose what :func:`vicinal.build` would build, without building it.

    Looks at a sample, which takes about a second, or some seconds if vectors are wide; says what it
    would choose, why, and how much memory that will take. Unless `build_time` is given nothing is
    timed: the same input gives the same plan.

    Parameters
    ----------
    vectors, metric, recall, memory, build_time, queries, threads, seed, progress
        As for :func:`vicinal.build`.

    Returns
    -------
    Plan
        ``print(plan)``; ``plan.make()`` is the index, still empty.

    Raises
    ------
    DimensionError, ArgumentError, TypeError
        As for :func:`vicinal.build`.

    Examples
    --------
    >>> import numpy as np, vicinal
    >>> rows = np.random.default_rng(0).standard_normal((20_000, 64), dtype=np.float32)
    >>> plan = vicinal.tune(rows, memory=20_000 * 250)
    >>> plan.params.refine, plan.bytes_per_vector < 250
    (None, True)
    """
    task = as_task(vectors, metric, recall, memory, build_time, queries, threads, seed, progress)
    return planned(task)


def as_task(
    vectors: npt.ArrayLike,
    metric: Metric | str,
    recall: float,
    memory: int | None,
    build_time: float | None,
    queries: npt.ArrayLike | None,
    threads: int | None,
    seed: int,
    progress: Progress | None,
) -> Task:
    """Check arguments; the clock runs from here."""
    start = time.perf_counter()
    rows = _matrix(vectors, "vectors")
    share = as_share(recall)
    seed = as_seed(seed)
    if memory is not None:
        memory = as_id(memory, "memory")
    if build_time is not None:
        build_time = _as_seconds(build_time)
    if rows.shape[0] == 0:
        raise ArgumentError("vectors has 0 rows; wanted at least 1")
    given = None if queries is None else _matrix(queries, "queries")
    if given is not None and given.shape[1] != rows.shape[1]:
        raise DimensionError(f"queries has {given.shape[1]} columns; vectors has {rows.shape[1]}")
    if given is not None and given.shape[0] < 2:
        raise ArgumentError(f"queries has {given.shape[0]} rows; wanted at least 2")
    empty = FlatIndex(rows.shape[1], metric)  # knows which metrics and widths there are
    if given is not None:
        empty.search(given, 1, threads=threads)  # and which queries, by the rows they have here
    return Task(start, rows, str(metric), share, memory, build_time, given, seed, threads, progress)


def _as_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise TypeError(f"build_time must be a number, got {type(value).__name__} {value!r}")
    seconds = float(value)
    if not seconds > 0:
        raise ArgumentError(f"build_time must be above 0 seconds, got {value!r}")
    return seconds


def _matrix(values: npt.ArrayLike, argument: str) -> Array:
    array = as_vectors(values, argument)
    if array.ndim != 2:
        raise ArgumentError(f"{argument} has {array.ndim} dimensions; wanted 2, one vector per row")
    return array


def planned(task: Task) -> Plan:
    """Choose."""
    if task.rows.size <= EXACT_NUMBERS:
        why = f"{_numbers(task)}: a scan is quick and exact (up to {EXACT_NUMBERS:,})"
        return _exact(task, why)
    if task.recall == 1.0:
        return _exact(task, "a recall of 1 was asked for, and only exact search promises that")
    plan = _graph(task)
    return plan if task.build_time is None else _in_time(task, plan, task.build_time)


def _graph(task: Task) -> Plan:
    """Choose the best graph that fits into the memory allowed."""
    n, dim = task.rows.shape
    exact = "float16" if task.metric == "cosine" or _fits_float16(task.rows) else "float32"
    form = _form(task)
    least = best = 0.0
    for params, transform in _graphs(form, exact, task.seed):
        least = _graph_bytes(n, dim, params, transform)
        best = best or least
        if task.memory is not None and least * n > task.memory:
            continue
        index = HNSWIndex.from_params(dim, task.metric, params, transform=transform)
        rerank = f"{params.refine} to re-rank" if params.refine else "nothing to re-rank"
        why = (
            f"{_numbers(task)}: too many to scan for every query; {index._stored_as()} codes to "
            f"walk, {rerank}"
        )
        if least < best:
            why += (
                f", {params.links} links: the memory allowed is {_each(task):,.0f} bytes per "
                f"vector, and what finds more takes {best:,.0f}"
            )
        return Plan(n, dim, task.metric, params, transform, least, why, form.tried)
    raise ArgumentError(
        f"memory is {task.memory:,} bytes, {_each(task):,.1f} per vector; the smallest graph takes "
        f"{least:,.0f} each. IVFIndex takes less, with codec='rabitq2' for one"
    )


def _numbers(task: Task) -> str:
    return f"{task.rows.size:,} numbers in all"


def _each(task: Task) -> float:
    return (task.memory or 0) / len(task.rows)


def _exact(task: Task, why: str) -> Plan:
    n, dim = task.rows.shape
    each = 4 * dim + ID_BYTES
    if task.memory is not None and each * n > task.memory:
        raise ArgumentError(
            f"memory is {task.memory:,} bytes; exact search of {n:,} vectors takes {each * n:,}. "
            "FlatIndex with a codec takes less"
        )
    return Plan(n, dim, task.metric, FlatParams(), None, each, why)


def _fits_float16(rows: Array) -> bool:
    if rows.dtype.itemsize <= 2:
        return True  # float16, int8, uint8
    block = max(1, _judge.BLOCK_NUMBERS // rows.shape[1])
    return all(
        float(max(part.max(), -part.min())) <= LARGEST_FLOAT16
        for part in (rows[at : at + block] for at in range(0, len(rows), block))
    )


def _form(task: Task) -> Form:
    """Choose codes."""
    try:
        return _forms.choose(
            task.rows,
            task.metric,
            task.given,
            task.seed,
            threads=task.threads,
            progress=task.progress,
        )
    except ArgumentError:
        _refuse_bad_rows(task)  # if all can be stored, codes that were not tried will have to do
        return Form("sq8", None, ())


def _refuse_bad_rows(task: Task) -> None:
    """Name a row that holds no numbers, say: in a sample it had another place."""
    every = FlatIndex(task.rows.shape[1], task.metric, codec="sq4")
    every.add(task.rows, threads=task.threads, progress=task.progress)
    if task.given is not None:
        every.search(task.given, 1, threads=task.threads)


def _graphs(form: Form, refine: str, seed: int) -> Iterator[tuple[HNSWParams, Transform | None]]:
    """Graphs from the quickest and most exact to the smallest."""
    chosen: tuple[Codec, Transform | None, str | None]
    chosen = SQ8() if form.codec == "sq8" else SQ4(), form.transform, refine
    for codec, transform, store in (chosen, (SQ8(), None, None), (SQ4(), None, None)):
        for links in LINKS:
            yield HNSWParams(codec, store, links=links, seed=seed), transform


def _graph_bytes(n: int, dim: int, params: HNSWParams, transform: Transform | None) -> float:
    """Bytes per vector of a finished graph, as :meth:`HNSWIndex.memory` counts them."""
    width = dim if transform is None else transform.out_dim
    codes = _stride(str(params.codec), width)
    store = 0 if params.refine is None else _stride(params.refine, dim)
    links = params.links
    # Of `links` vectors one stands above the base, of so many of these one yet another layer up.
    towers = (TOWER_BYTES + LINK_BYTES * links * links / (links - 1)) / links
    matrices = 0 if transform is None else 8 * dim * width / n
    return codes + store + 2 * LINK_BYTES * links + ID_BYTES + towers + matrices


def _in_time(task: Task, plan: Plan, limit: float) -> Plan:
    """Take off as much effort as the clock asks for, by graphs of a sample."""
    assert isinstance(plan.params, HNSWParams)
    n, dim = task.rows.shape
    some = min(n, _forms.ROWS)
    drawn = np.random.default_rng(task.seed).choice(n, some, replace=False)
    sample = task.rows[np.sort(drawn)]
    asked = _judge.halves(sample, task.given, task.seed, ASKED)
    all_asked = min(_judge.SAMPLE, n if task.given is None else len(task.given))
    times = all_asked / sum(len(half.own) for half in asked)
    larger, harder = (n / some) ** LARGER, (n / some) ** HARDER
    how: dict[str, Any] = {"threads": task.threads, "progress": task.progress}
    try:
        begin = time.perf_counter()
        judge = _judge.Judge(sample, None, task.metric, K, asked, **how)
        answers = times * n / some * (time.perf_counter() - begin)
        for build_ef in EFFORTS:
            params = replace(plan.params, build_ef=build_ef)
            index = HNSWIndex.from_params(dim, task.metric, params, transform=plan.transform)
            building = larger * _seconds(partial(_build, index, sample, how))
            goals = task.recall, max(task.recall, HOPED)
            calibrating = _seconds(partial(_judge.measure, judge, index, (K,), *goals))
            used = time.perf_counter() - task.start
            if used + building + answers + times * harder * calibrating <= limit:
                said = f", build_ef {build_ef} to be done in {limit:g} s"
                why = plan.why if build_ef == EFFORTS[0] else plan.why + said
                return replace(plan, params=params, why=why)
    except ArgumentError:
        _refuse_bad_rows(task)
        raise
    why = f"no graph that was tried on a sample would be built and calibrated in {limit:g} s"
    return _exact(task, f"{_numbers(task)}: {why}")


def _build(index: HNSWIndex, rows: Array, how: dict[str, Any]) -> None:
    index.add(rows, **how)
    index.reorder(**how)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _stride(codec: str, dim: int) -> int:
    one = FlatIndex(dim, codec=codec)
    one.add(np.ones((1, dim), np.float32))
    return one.memory()["codes"]
