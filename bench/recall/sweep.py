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
    family: int = 0  # which of the adapter's lists of settings it comes from

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


def at_recall(points: Sequence[Point], target: float, number: int | None = None) -> Matched | None:
    """Log-linear interpolation between the neighbours of the target; None if it was not reached.

    Neighbours are of one family: of the one whose medians are fastest. ``number`` asks for one
    round instead of the median of all.
    """
    best: tuple[float, Sequence[Point], Matched] | None = None
    for family in sorted({point.family for point in points}):
        mine = [point for point in points if point.family == family]
        matched = _within(mine, target, None)
        if matched and (best is None or matched.rate > best[0]):
            best = matched.rate, mine, matched
    if best is None:
        return None
    return best[2] if number is None else _within(best[1], target, number)


def _within(points: Sequence[Point], target: float, number: int | None) -> Matched | None:
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
