"""Measures the recall of an index against exact answers, to calibrate it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vicinal._types import Array, Ids, Progress
from vicinal.calibration import Curve, Effort
from vicinal.errors import CancelledError
from vicinal.flat import FlatIndex

if TYPE_CHECKING:
    from vicinal.hnsw import HNSWIndex

#: Queries to measure with, both halves together. The mean of a thousand recalls is sure to about
#: half a point.
SAMPLE = 2000
LARGEST_EF = 4096
#: From one ef to the next: what lies between is interpolated.
STEP = 2
#: Candidates kept where slack ends walks, over those that find as much without it. On definitions
#: of WordNet, 1.3 to 2.6 times as many were within 2% of one another, more than that worse: walks
#: of hopeless queries then end late.
ROOM = 1.6
FIRST_SLACK = 0.02
TRIES = 4
NEAR_ENOUGH = 0.002
#: Exact answers are found block by block, so that they cost at most this many numbers of memory.
BLOCK_NUMBERS = 1 << 24


class Rows(Protocol):
    """Vectors as they lie in memory, or as an index gives them back."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, key: Any, /) -> Array: ...


class StoredRows:
    """The vectors of an index, as exact as it keeps them, by place among its ids."""

    def __init__(self, get: Callable[[int], Array], ids: Ids, dim: int) -> None:
        self._get = get
        self._ids = ids
        self.shape = (len(ids), dim)

    def __getitem__(self, key: Any, /) -> Array:
        wanted = self._ids[key]
        rows = np.empty((*wanted.shape, self.shape[1]), np.float32)
        for at in np.ndindex(wanted.shape):
            rows[at] = self._get(int(wanted[at]))
        return rows


@dataclass(frozen=True)
class Sample:
    """Queries, and for each the row that it is, or -1."""

    queries: Array
    own: Ids


def halves(rows: Rows, given: Array | None, seed: int, size: int) -> tuple[Sample, Sample]:
    """Two halves of up to `size` queries, or else rows, drawn without repeats."""
    source = rows if given is None else given
    count = min(size, source.shape[0])
    drawn = np.random.default_rng(seed).choice(source.shape[0], size=count, replace=False)

    def take(places: npt.NDArray[Any]) -> Sample:
        own = places if given is None else np.full(len(places), -1)
        return Sample(source[places], own.astype(np.int64))

    return take(drawn[: count // 2]), take(drawn[count // 2 :])


def _without_own(ids: Ids, own: Ids, k: int) -> npt.NDArray[np.intp]:
    """Per query the places of its first k ids that are not its own."""
    return np.argsort(ids == own[:, None], axis=1, kind="stable")[:, :k]


def among(places: Ids, near: Ids) -> npt.NDArray[np.bool_]:
    """Which places of a row stand anywhere in the same row of the other."""
    most = int(max(places.max(initial=-1), near.max(initial=-1))) + 2  # places from -1
    start = np.arange(len(places))[:, None] * most + 1
    return np.isin(places + start, near + start)


class Judge:
    """Knows the true neighbours of the queries of a sample, and tells the recall of an index."""

    def __init__(
        self,
        rows: Rows,
        names: Ids | None,
        metric: str,
        k: int,
        samples: Sequence[Sample],
        *,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        self.rows = rows
        self.names = names
        self.metric = metric
        self.threads = threads
        self.progress = progress
        self.samples = tuple(samples)
        self._order = None if names is None else np.argsort(names, kind="stable")
        itself = any((sample.own >= 0).any() for sample in self.samples)
        near, far = self._find(min(k, rows.shape[0] - itself))
        ends = np.cumsum([len(sample.own) for sample in self.samples])[:-1]
        #: Per sample the places of the true neighbours, nearest first, and their distances.
        self._near, self._far = np.split(near, ends), np.split(far, ends)

    def say(self, stage: str, done: int, total: int) -> None:
        """Tell `progress`; CancelledError if it says stop."""
        if self.progress is not None and self.progress(stage, done, total) is False:
            raise CancelledError(f"stopped by progress while {stage}")

    def _find(self, k: int) -> tuple[Ids, npt.NDArray[np.float64]]:
        """Places and distances of the k nearest of each query, in order; block by block."""
        queries = np.concatenate([sample.queries for sample in self.samples])
        own = np.concatenate([sample.own for sample in self.samples])
        total, dim = self.rows.shape
        block = max(1, BLOCK_NUMBERS // dim)
        ids = np.empty((len(queries), 0), np.int64)
        distances = np.empty((len(queries), 0), np.float32)
        for at in range(0, total, block):
            self.say("finding exact answers", at, total)
            part = self.rows[at : at + block]
            flat = FlatIndex(dim, self.metric)
            flat.add(part, np.arange(at, at + len(part)), threads=self.threads)
            found = flat.search(queries, k + 1, threads=self.threads)
            ids = np.hstack([ids, found.ids])
            distances = np.hstack([distances, found.distances])
            keep = np.argsort(distances, axis=1, kind="stable")[:, : k + 1]
            ids = np.take_along_axis(ids, keep, axis=1)
            distances = np.take_along_axis(distances, keep, axis=1)
        self.say("finding exact answers", total, total)
        near = np.take_along_axis(ids, _without_own(ids, own, k), axis=1)
        far = self._distances(queries, near)
        order = np.argsort(far, axis=1, kind="stable")
        return np.take_along_axis(near, order, axis=1), np.take_along_axis(far, order, axis=1)

    def _distances(self, queries: Array, places: Ids) -> npt.NDArray[np.float64]:
        """In double, so that ties are ties on both sides of a comparison; inf for place -1."""
        out = np.full(places.shape, np.inf)
        asked, at = np.nonzero(places >= 0)
        step = max(1, BLOCK_NUMBERS // (16 * self.rows.shape[1]))
        for begin in range(0, len(asked), step):
            some, where = asked[begin : begin + step], at[begin : begin + step]
            q = queries[some].astype(np.float64)
            x = self.rows[places[some, where]].astype(np.float64)
            if self.metric == "l2":
                far = ((x - q) ** 2).sum(axis=1)
            else:
                far = -(x * q).sum(axis=1)
                if self.metric == "cosine":
                    far /= np.sqrt((x * x).sum(axis=1) * (q * q).sum(axis=1))
            out[some, where] = far
        return out

    def _name_of(self, places: Ids) -> Ids:
        return places if self.names is None else self.names[places]

    def _place_of(self, ids: Ids) -> Ids:
        if self.names is None or self._order is None:
            return ids
        places = np.searchsorted(self.names, ids, sorter=self._order)
        found = self._order[np.minimum(places, len(self._order) - 1)]
        return np.where(ids >= 0, found, -1)

    def recall(self, index: HNSWIndex, k: int, effort: Effort, part: int) -> float:
        """Share of places filled by something as near as the true k-th neighbour, in one sample."""
        sample, near, far = self.samples[part], self._near[part], self._far[part]
        most = min(k, near.shape[1])
        # A row that is looked for must not lead to its neighbours: its links are what a new vector
        # lacks. With them, ef 10 seemed to find nine of ten descriptors of sift-photo-200k where
        # it finds seven. Without them a row is a little harder to find than a new vector, since its
        # neighbours rely on it for their links to one another.
        own = None if (sample.own < 0).all() else self._name_of(sample.own)
        found = index._find_without(sample.queries, k, effort, own, self.threads)
        places = self._place_of(found)[:, :most]
        hits = among(places, near[:, :most])
        # What is not one of them may be as near as the last of them.
        others = self._distances(sample.queries, np.where(hits, -1, places))
        limit = far[:, most - 1]
        hits |= others <= (limit + 1e-12 * np.abs(limit))[:, None]
        return float(hits.mean())


def measure(
    judge: Judge, index: HNSWIndex, ks: tuple[int, ...], recall: float, hoped: float
) -> tuple[Curve, ...]:
    """Make a curve for each k.

    It goes to the first effort that reaches `recall` on the first sample, and then, for at most
    four times its ef, to one that reaches `hoped`. It ends where more ef gains next to nothing.
    """
    curves = []
    for k in ks:
        largest = max(k, min(LARGEST_EF, len(index)))
        efforts: list[Effort] = []
        fitted: list[float] = []
        until, ef = largest, k
        while True:
            judge.say("measuring recall", len(efforts), 0)
            effort = Effort(ef, None)
            reached = judge.recall(index, k, effort, 0)
            if index.metric != "ip":
                least = efforts[-1].slack if efforts else None
                effort, reached = _with_slack(judge, index, k, ef, reached, least)
            efforts.append(effort)
            fitted.append(reached)
            if reached >= recall:
                until = min(until, 4 * ef)
            goal = hoped if reached >= recall else recall
            if ef >= until or reached >= hoped or _settled(fitted, goal):
                break
            ef = min(STEP * ef, largest)
        checked = [judge.recall(index, k, effort, 1) for effort in efforts]
        slacks = tuple(effort.slack for effort in efforts if effort.slack is not None)
        efs = tuple(effort.ef for effort in efforts)
        curves.append(Curve(k, efs, slacks or None, tuple(fitted), tuple(checked)))
    return tuple(curves)


def _with_slack(
    judge: Judge, index: HNSWIndex, k: int, ef: int, wanted: float, least: float | None
) -> tuple[Effort, float]:
    """Find the slack from `least` that finds about as much as `ef` alone, with more candidates."""
    if least is None:  # the first step: ef is k, and a walk ends at the k-th nearest
        effort = Effort(ef, 0.0)
        return effort, judge.recall(index, k, effort, 0)
    more = math.ceil(ROOM * ef)
    low, high = least, math.inf
    slack = max(1.5 * least, FIRST_SLACK)
    best: tuple[Effort, float] | None = None
    for _ in range(TRIES):
        judge.say("choosing slack", 0, 0)
        effort = Effort(more, slack)
        reached = judge.recall(index, k, effort, 0)
        if best is None or abs(reached - wanted) < abs(best[1] - wanted):
            best = effort, reached
        if abs(reached - wanted) <= NEAR_ENOUGH:
            break
        low, high = (slack, high) if reached < wanted else (low, slack)
        slack = 2 * slack if high == math.inf else (low + high) / 2
    assert best is not None
    return best


def _settled(fitted: list[float], goal: float) -> bool:
    """Whether four times the effort gained less than an eighth of what is missing."""
    return len(fitted) > 2 and 8 * (fitted[-1] - fitted[-3]) < goal - fitted[-1]
