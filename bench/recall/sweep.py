"""Which settings matter, and the throughput at a wanted recall."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .peers import Params

TARGETS = (0.90, 0.95, 0.99)


@dataclass
class Point:
    """One setting: its recall, and the throughput of each round."""

    params: Params
    recall: float
    rates: list[float] = field(default_factory=list)
    single_rates: list[float] = field(default_factory=list)  # exact search, one query a call

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Matched:
    """Throughput at a recall. ``above`` marks the cheapest setting, whose recall is higher."""

    rate: float
    recall: float
    above: bool = False


def brackets(recalls: Sequence[float], targets: Sequence[float] = TARGETS) -> list[int]:
    """Places on both sides of each target, in a list of rising effort.

    The right one is the first that reaches the target. Where none does it is the last.
    """
    wanted = set()
    for target in targets:
        reached = [i for i, recall in enumerate(recalls) if recall >= target]
        right = reached[0] if reached else len(recalls) - 1
        wanted |= {max(0, right - 1), right}
    return sorted(wanted)


def levels_off(recalls: Sequence[float]) -> bool:
    """Codes alone may never reach a target: more effort brought next to nothing three times."""
    return len(recalls) > 6 and recalls[-1] - recalls[-4] < 0.001


def frontier(recalls: Sequence[float], rates: Sequence[float]) -> list[int]:
    """Places of the settings that no other one beats in both, by rising recall."""
    best, kept = -math.inf, []
    for i in sorted(range(len(recalls)), key=lambda i: (-recalls[i], -rates[i])):
        if rates[i] > best:
            best = rates[i]
            kept.append(i)
    return kept[::-1]


def at_recall(points: Sequence[Point], target: float, number: int | None = None) -> Matched | None:
    """Log-linear interpolation between the neighbours of the target; None if it was not reached.

    ``number`` asks for one round instead of the median of all.
    """
    measured = sorted((p for p in points if p.rates), key=lambda p: p.recall)
    rates = [p.rate if number is None else p.rates[number] for p in measured]
    for i, right in enumerate(measured):
        if right.recall < target:
            continue
        if i == 0:
            return Matched(rates[0], right.recall, above=right.recall > target)
        left = measured[i - 1]
        share = (target - left.recall) / (right.recall - left.recall)
        rate = math.exp((1 - share) * math.log(rates[i - 1]) + share * math.log(rates[i]))
        return Matched(rate, target)
    return None
