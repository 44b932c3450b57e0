"""Interleaved measuring: in each round BASE, HEAD and BASE once more, in random order."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

SIDES = ("base", "head", "again")  # again: BASE a second time, which shows the noise


@dataclass
class Rounds:
    """Seconds of one benchmark by round, the three lists side by side."""

    base: list[float] = field(default_factory=list)
    head: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


def interleave(
    measure: Callable[[str], Mapping[str, float]],
    rounds: int,
    progress: Callable[[int], None] = lambda done: None,
    seed: int = 0,
) -> dict[str, Rounds]:
    """Call ``measure(side)``, which gives seconds by name, for all sides in every round.

    The order is drawn anew for every round. So being first or last, or a machine that grows slower,
    strikes each side with the same chance, which is what the test in ``noise`` rests on.
    """
    draw = random.Random(seed)
    collected: dict[str, Rounds] = {}
    for number in range(rounds):
        for side in draw.sample(SIDES, len(SIDES)):
            for name, seconds in measure(side).items():
                getattr(collected.setdefault(name, Rounds()), side).append(seconds)
        progress(number + 1)
    return collected


@contextmanager
def pinned() -> Iterator[int | None]:
    """Keep this process and those it starts on one processor; None where that is not possible."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    usable = os.sched_getaffinity(0)
    chosen = max(usable)
    os.sched_setaffinity(0, {chosen})
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, usable)
