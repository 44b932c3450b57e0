"""The door for those who do not want to choose: picks an index, calibrates it, says what it did."""

from __future__ import annotations

import time
import warnings

import numpy as np
import numpy.typing as npt

from vicinal import _core, _judge
from vicinal._convert import as_ids
from vicinal._judge import Judge, Sample
from vicinal._types import Metric, Progress
from vicinal.calibration import Calibration, Curve, Effort
from vicinal.errors import ArgumentError, RecallWarning
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.report import BuildReport
from vicinal.tuning import HOPED, K, Plan, Task, as_task, planned

__all__ = ["build"]


def build(
    vectors: npt.ArrayLike,
    metric: Metric | str = "l2",
    *,
    recall: float = 0.95,
    memory: int | None = None,
    build_time: float | None = None,
    ids: npt.ArrayLike | None = None,
    queries: npt.ArrayLike | None = None,
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FlatIndex | HNSWIndex:
    """Build an index that finds the asked share of the true neighbours; says what it chose.

    The rule: exact search (:class:`FlatIndex`, float32) if ``n * dim`` is at most 2**20, since a
    scan then takes about a tenth of a millisecond, or if `recall` is 1. Otherwise a graph
    (:class:`HNSWIndex`) refined by float16 (float32 if a value is too large for that), whose
    ``ef`` and ``slack`` are the least found to reach `recall` in the first ten neighbours on one
    half of a sample; the recall on the other half is what ``index.report`` tells.

    The graph walks on the shortest codes that, by themselves and on a sample, find 99.5% of the ten
    true neighbours among 24: SQ8 of the fewest principal directions, where that makes rows far
    shorter (not under "ip"), SQ4, or SQ8. ``index.report.tried`` keeps what was looked at. Unless
    `build_time` is given nothing is timed: the same input gives the same index.

    What was measured is kept as ``index.calibration``, so that searches can ask for other recalls:
    ``index.search(q, recall=0.99)``.

    The sample is up to 2000 of the `queries`, or else of the vectors, each looked for without
    itself. Vectors are easier to find than queries of another kind (questions against texts, say):
    give `queries` if yours differ.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
        n >= 1. float64, float32, float16, int8 or uint8 at any strides are read in place.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer. "ip" is
        for vectors whose lengths count; of unit vectors "cosine" gives the same order, sooner.
    recall : float
        Share of the ten true nearest neighbours to find, above 0 and up to 1.
    memory : int, optional
        Most bytes that the index may take, without what searches take for themselves (about two
        bytes per vector and thread). Where they are too few for the graph above, it gets half as
        many links, then no refine store but 8 bits per dimension, then 4: see
        :func:`vicinal.tune`.
    build_time : float, optional
        Seconds that the call should take at most, by a forecast: graphs of a sample are built and
        timed, the first with the usual effort and each with less. If none would be ready in time,
        the search is exact. What is chosen then depends on the machine.
    ids : array_like of int, shape (n,), optional
        Each from 0 to 2**63 - 1, none twice; 0 to n - 1 unless given.
    queries : array_like, shape (q, dim), optional
        Queries like those to come, to calibrate with. At least 2; some hundred make a good
        measurement. They are not added.
    threads : int, optional
        How many to use, 1 to 1024. The index does not depend on it.
    seed : int
        From 0; the only source of randomness.
    progress : callable, optional
        ``progress(stage, done, total)``; returning False stops with a
        :class:`~vicinal.CancelledError`.

    Returns
    -------
    FlatIndex or HNSWIndex
        Ready to search; ``index.report`` says what was chosen, why, and what was measured.

    Raises
    ------
    DimensionError, ArgumentError, TypeError
        As :meth:`FlatIndex.add`; also if `recall` is out of range, there are no vectors, or
        `memory` is too little for any graph.

    Warns
    -----
    RecallWarning
        The recall was not reached even with the largest ``ef`` tried, where more had stopped to
        help, or 4096.
    """
    task = as_task(vectors, metric, recall, memory, build_time, queries, threads, seed, progress)
    names = None if ids is None else as_ids(ids, "ids")
    if names is not None and len(names) != len(task.rows):
        raise ArgumentError(
            f"ids has {len(names)} entries; wanted one for each of {len(task.rows)} vectors"
        )
    plan = planned(task)
    rows, recall, seed = task.rows, task.recall, task.seed
    index = plan.make()
    index.add(rows, names, threads=threads, progress=progress)
    if isinstance(index, FlatIndex):
        index._report = _exact_report(index, plan, task)
        return index
    index.reorder(threads=threads, progress=progress)

    samples = _judge.halves(rows, task.given, seed, _judge.SAMPLE)
    judge = _judge.Judge(rows, names, task.metric, K, samples, threads=threads, progress=progress)
    curve = _judge.measure(judge, index, (K,), recall, max(recall, HOPED))[0]
    effort, tuned, checked = _least_effort(judge, index, curve, recall)
    index.ef, index.slack = effort
    index._calibration = measured = Calibration(
        rows=len(index),
        queries=sum(len(sample.own) for sample in samples),
        source="rows" if task.given is None else "queries",
        curves=(curve,),
    )
    rate = _queries_per_second(index, samples[1])
    index._report = BuildReport(
        kind="HNSWIndex",
        why=plan.why,
        rows=len(index),
        dim=index.dim,
        metric=index.metric,
        target_recall=recall,
        recall=checked,
        tuned_recall=tuned,
        reached=tuned >= recall,
        ef=effort.ef,
        slack=effort.slack,
        sample=measured.queries,
        sample_source=measured.source,
        queries_per_second=rate,
        bytes_per_vector=index.memory().total / len(index),
        build_seconds=time.perf_counter() - task.start,
        level=_core.cpu_info()[3],
        seed=seed,
        codes=index._stored_as(),
        tried=plan.tried,
    )
    if tuned < recall:
        finer = "HNSWIndex with more links, a larger build_ef or codec='float32'"
        warnings.warn(
            f"recall@{K} of {recall:g} was not reached: {tuned:.4f} at ef {effort.ef}, the most "
            f"tried. Try {finer if memory is None else 'more memory'}; recall=1 gives exact search",
            RecallWarning,
            stacklevel=2,
        )
    return index


def _exact_report(index: FlatIndex, plan: Plan, task: Task) -> BuildReport:
    return BuildReport(
        kind="FlatIndex",
        why=plan.why,
        rows=len(index),
        dim=index.dim,
        metric=index.metric,
        target_recall=task.recall,
        recall=1.0,
        tuned_recall=1.0,
        reached=True,
        ef=0,
        sample=0,
        sample_source="none",
        queries_per_second=0.0,
        bytes_per_vector=index.memory().total / len(index),
        build_seconds=time.perf_counter() - task.start,
        level=_core.cpu_info()[3],
        seed=task.seed,
    )


def _least_effort(
    judge: Judge, index: HNSWIndex, curve: Curve, target: float
) -> tuple[Effort, float, float]:
    """Where the curve says, and then upwards until the target is reached; with both recalls."""
    aim = target
    for _ in range(8):
        effort = curve.effort(aim)
        if effort is None:
            break
        judge.say("choosing ef", 0, 0)
        fitted = judge.recall(index, K, effort, 0)
        if fitted >= target:
            return effort, fitted, judge.recall(index, K, effort, 1)
        aim += target - fitted + 0.0005
    best = int(np.argmax(curve.fitted))
    return curve.at(best), curve.fitted[best], curve.checked[best]


def _queries_per_second(index: HNSWIndex, sample: Sample) -> float:
    begin = time.perf_counter()
    index.search(sample.queries, K, threads=1)
    return len(sample.queries) / max(time.perf_counter() - begin, 1e-9)
