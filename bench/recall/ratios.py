"""How much faster one contender is than another, round by round, and how sure that is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .sweep import Point, at_recall

# Student's t, two-sided 95%, for 1 to 10 degrees of freedom.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Ratio:
    """The geometric mean of the ratios of all rounds, and its 95% confidence interval."""

    ratio: float
    low: float
    high: float
    rounds: int


def paired(
    mine: Sequence[Point], theirs: Sequence[Point], target: float, repeats: int = 1
) -> Ratio | None:
    """Ratio of throughputs at a recall; None where one of them does not reach it.

    Both throughputs of a ratio come from the same moments, so what slows both drops out. The
    ``repeats`` of one turn lie too near to one another to be evidence of their own: their mean
    counts once.
    """
    if not mine or not theirs:
        return None
    logs = []
    for number in range(min(len(p.rates) for p in [*mine, *theirs])):
        a, b = at_recall(mine, target, number), at_recall(theirs, target, number)
        if a is None or b is None:
            return None
        logs.append(math.log(a.rate / b.rate))
    turns = [statistics.fmean(logs[at : at + repeats]) for at in range(0, len(logs), repeats)]
    return interval(turns) if turns else None


def interval(logs: Sequence[float]) -> Ratio:
    """Student's t interval of the mean of logarithms; a single round has none: NaN."""
    mean, n = statistics.fmean(logs), len(logs)
    if n == 1:
        return Ratio(math.exp(mean), math.nan, math.nan, 1)
    half = student(n - 1) * statistics.stdev(logs) / math.sqrt(n)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), n)


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t; beyond the table Fisher's expansion, within 0.1%."""
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
