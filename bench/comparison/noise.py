"""Telling a change from noise, by what the same program shows when it runs twice.

Every round times BASE (a), HEAD (b) and BASE again (a'). If HEAD is no different, b is the fastest,
the middle or the slowest of the three with the same chance, whatever the noise looks like and
however the machine drifts from round to round. The number of "slowest" less that of "fastest" over
all rounds therefore has a known distribution, and the test is exact. Holm's procedure allows for
the number of benchmarks tested at once: noise alone brings a report in one run of twenty at most.

What the test finds must also matter: the median over the rounds of b / sqrt(a a') has to leave the
95% interval of the median of a' / a, and to differ from 1 by a least change (2% if not told).

References
----------
Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6, 1979.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .rounds import Rounds

ALPHA = 0.05
LEAST_CHANGE = 0.02


@dataclass(frozen=True)
class Verdict:
    """One benchmark. Changes are ratios less one: +0.1 is 10% more time."""

    name: str
    base_seconds: float
    head_seconds: float
    change: float
    noise_low: float
    noise_high: float
    p: float  # allows for all benchmarks tested together
    moved: bool

    @property
    def slower(self) -> bool:
        return self.moved and self.change > 0


def judge(
    samples: Mapping[str, Rounds], least: float = LEAST_CHANGE, alpha: float = ALPHA
) -> list[Verdict]:
    """A verdict for each benchmark, in the order given."""
    adjusted = holm([p_value(rounds) for rounds in samples.values()])
    verdicts = []
    for (name, rounds), p in zip(samples.items(), adjusted, strict=True):
        change = statistics.median(
            math.log(b) - (math.log(a) + math.log(again)) / 2
            for a, b, again in zip(rounds.base, rounds.head, rounds.again, strict=True)
        )
        same = [
            math.log(again) - math.log(a)
            for a, again in zip(rounds.base, rounds.again, strict=True)
        ]
        low, high = median_interval(same)
        # The two runs of BASE are the same program: which of them came out slower means nothing.
        beyond = max(-low, high, math.log1p(least))
        verdicts.append(
            Verdict(
                name,
                statistics.median([*rounds.base, *rounds.again]),
                statistics.median(rounds.head),
                math.expm1(change),
                math.expm1(low),
                math.expm1(high),
                p,
                p <= alpha and abs(change) > beyond,
            )
        )
    return verdicts


def rounds_needed(benchmarks: int, alpha: float = ALPHA) -> int:
    """Fewest rounds in which the clearest of so many benchmarks could be told from noise."""
    rounds = 1
    while 2 * benchmarks > alpha * 3**rounds:
        rounds += 1
    return rounds


def p_value(rounds: Rounds) -> float:
    """Two-sided p of "HEAD is as fast as BASE", exact, ties included."""
    total, kinds = 0, []
    for three in zip(rounds.base, rounds.head, rounds.again, strict=True):
        scores = [_score(x, three) for x in three]
        total += scores[1]
        kinds.append(tuple(sorted(scores)))
    chances = _chances(tuple(sorted(kinds)))
    as_far = sum(ways for value, ways in chances.items() if abs(value) >= abs(total))
    return as_far / 3.0 ** len(kinds)


def _score(x: float, three: Sequence[float]) -> int:
    return sum(other < x for other in three) - sum(other > x for other in three)


@functools.cache
def _chances(kinds: tuple[tuple[int, ...], ...]) -> dict[int, int]:
    """In how many of the 3^rounds equally likely outcomes the scores add up to each value."""
    ways = {0: 1}
    for scores in kinds:
        more: dict[int, int] = {}
        for value, count in ways.items():
            for score in scores:
                more[value + score] = more.get(value + score, 0) + count
        ways = more
    return ways


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that those below alpha hold together with probability 1 - alpha."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the median from order statistics; the range where there are too few values."""
    ordered = sorted(values)
    n, drop, below = len(ordered), 0, 1
    while below * 2 <= (1 - confidence) * 2**n:  # `below` counts outcomes with at most `drop`
        drop += 1
        below += math.comb(n, drop)
    # drop is the first that no longer fits: the interval starts at the place before it.
    place = max(drop - 1, 0)
    return ordered[place], ordered[n - 1 - place]
