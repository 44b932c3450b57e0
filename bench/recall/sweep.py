"""Which ef values matter, and the throughput at a wanted recall."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

TARGETS = (0.90, 0.95, 0.99)


@dataclass
class Point:
    """One ef: its recall, and the throughput of each round."""

    ef: int
    recall: float
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Matched:
    """Throughput at a recall. ``above`` marks the smallest ef, whose recall is higher already."""

    rate: float
    recall: float
    ef: float
    above: bool = False


def ef_grid(k: int, largest: int = 4000, ratio: float = 1.2) -> list[int]:
    grid, value = [k], float(k)
    while value < largest:
        value = max(value * ratio, grid[-1] + 2)
        grid.append(round(value))
    return grid


def brackets(points: Sequence[Point], targets: Sequence[float] = TARGETS) -> list[int]:
    """The ef values on both sides of every target."""
    wanted = set()
    for target in targets:
        below = [p.ef for p in points if p.recall < target]
        above = [p.ef for p in points if p.recall >= target]
        if below:
            wanted.add(max(below))
        if above:
            wanted.add(min(above))
    return sorted(wanted)


def around(points: Sequence[Point], chosen: Sequence[int]) -> list[int]:
    """The chosen ef values with the next smaller and larger ones of the grid."""
    grid = [p.ef for p in points]
    places = {i + step for i, ef in enumerate(grid) if ef in chosen for step in (-1, 0, 1)}
    return [ef for i, ef in enumerate(grid) if i in places]


def at_recall(points: Sequence[Point], target: float) -> Matched | None:
    """Log-linear interpolation between the neighbours of the target; None if it was not reached."""
    measured = sorted((p for p in points if p.rates), key=lambda p: p.ef)
    for i, right in enumerate(measured):
        if right.recall < target:
            continue
        if i == 0:
            return Matched(right.rate, right.recall, right.ef, above=right.recall > target)
        left = measured[i - 1]
        share = (target - left.recall) / (right.recall - left.recall)
        rate = math.exp((1 - share) * math.log(left.rate) + share * math.log(right.rate))
        return Matched(rate, target, left.ef + share * (right.ef - left.ef))
    return None
