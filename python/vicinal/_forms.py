"""Which codes a graph walks on: the shortest that keep true neighbours in sight, on a sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vicinal._judge import among
from vicinal._types import Array, Ids, Progress
from vicinal.errors import CancelledError
from vicinal.flat import FlatIndex
from vicinal.report import Tried
from vicinal.transforms import Transform
from vicinal.transforms._moments import eigen, moments

__all__ = ["Form", "choose"]

K = 10
ROWS, QUERIES = 16_384, 500
#: Principal directions of wider vectors take too long to find: time grows as the cube of this.
WIDEST = 2048
#: So many candidates by codes must hold this share of the true ten. On mnist-784 those of 96
#: directions do and make the quickest graph; 64 (.989), 48 (.97) and all of them are slower.
CANDIDATES, FOUND = 24, 0.995
#: Directions save little unless they make rows this much shorter: queries have to be turned too.
SHORTER = 0.6
#: Principal directions that are tried: multiples of this.
STEP = 32
LEAST = 64
HEAD = 16  # bytes of a scalar code beside its numbers


class Form(NamedTuple):
    """What was chosen, and all that was tried."""

    codec: str
    transform: Transform | None
    tried: tuple[Tried, ...]


class _Trials:
    def __init__(
        self,
        rows: Array,
        metric: str,
        given: Array | None,
        seed: int,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        random = np.random.default_rng(seed)
        asked = 0 if given is not None else min(QUERIES, len(rows) // 4)
        drawn = random.choice(len(rows), min(len(rows), ROWS + asked), replace=False)
        self.metric, self.dim, self.threads, self.progress = (
            metric,
            rows.shape[1],
            threads,
            progress,
        )
        self.rows = rows[np.sort(drawn[asked:])]
        if given is None:
            self.queries = rows[drawn[:asked]]
        else:
            some = min(QUERIES, len(given))
            self.queries = given[np.sort(random.choice(len(given), some, replace=False))]
        self.truth = self._candidates("float32", None, K)[0]
        self.tried: list[Tried] = []

    def _candidates(self, codec: str, transform: Transform | None, k: int) -> tuple[Ids, int]:
        """Ids of the nearest by codes, and bytes of one."""
        if self.progress is not None and self.progress("choosing codes", 0, 0) is False:
            raise CancelledError("stopped by progress while choosing codes")
        index = FlatIndex(self.dim, self.metric, codec=codec, transform=transform)
        index.add(self.rows, threads=self.threads)
        found = index.search(self.queries, k, threads=self.threads).ids
        return found, index.memory()["codes"] // len(self.rows)

    def enough(self, codec: str, transform: Transform | None = None) -> bool:
        """Whether codes keep the true neighbours in sight; takes notes."""
        found, stride = self._candidates(codec, transform, CANDIDATES)
        share = float(among(self.truth, found).mean())
        name = codec if transform is None else f"{codec} of {transform.out_dim} directions"
        self.tried.append(Tried(name, stride, share))
        return share >= FOUND


def choose(
    rows: Array,
    metric: str,
    given: Array | None,
    seed: int,
    *,
    threads: int | None,
    progress: Progress | None,
) -> Form:
    """Try codes of the vectors, and of fewer principal directions, if these would be far shorter.

    `given` are queries; without them some vectors are looked for among the others. The same input
    gives the same choice: nothing is timed.
    """
    trials = _Trials(rows, metric, given, seed, threads, progress)
    codec = "sq4" if trials.enough("sq4") else "sq8"
    # Graphs by inner product are linked one by one, which would turn every vector back.
    transform = None if metric == "ip" else _directions(trials, codec)
    return Form("sq8" if transform is not None else codec, transform, tuple(trials.tried))


def _directions(trials: _Trials, codec: str) -> Transform | None:
    """Principal directions, as few as are enough; None where too many would be."""
    plain = trials.tried[0].bytes if codec == "sq4" else HEAD + trials.dim
    most = (int(SHORTER * plain) - HEAD) // STEP
    if most * STEP < LEAST or trials.dim > WIDEST:
        return None
    found = moments(trials.rows, "vectors", unit=trials.metric == "cosine", seed=0)
    axes = eigen(found.covariance)[1]

    def leading(steps: int) -> Transform:
        return Transform(axes[: steps * STEP], None, found.mean)

    if not trials.enough("sq8", leading(most)):
        return None
    low, high = LEAST // STEP - 1, most  # too few, as far as is tried, and enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if trials.enough("sq8", leading(middle)) else (middle, high)
    return leading(high)
