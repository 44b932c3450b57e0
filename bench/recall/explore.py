"""Find the few settings of a contender that bracket the wanted recalls, without trying them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .peers import Params
from .sweep import TARGETS, Point, at_recall, brackets, levels_off

SCOUTS = 250  # queries that look for the settings worth measuring
ENOUGH_RECALL = 0.995  # of the scouts, whose recall is not quite that of all queries
# Of the throughput of the fastest family: two runs chose families that were 12% apart.
NEARLY = 0.75

#: Recall and queries per second of a setting, over the first so many queries or all of them.
Try = Callable[[Params, int | None], tuple[float, float]]


@dataclass(frozen=True)
class Seen:
    params: Params
    recall: float
    rate: float


def explore(
    families: Sequence[Sequence[Params]], attempt: Try, slowest: float
) -> list[tuple[Point, float]]:
    """Points on both sides of each target, by rising effort, with a first guess of their rate.

    A family is a list of settings of rising effort; of several families each target gets the one
    that reaches it fastest, and another that is nearly as fast: a first guess may be wrong, and the
    rounds tell. A setting of fewer than ``slowest`` queries per second ends its family.
    """
    if len(families) == 1 and len(families[0]) == 1:
        recall, rate = attempt(families[0][0], None)
        return [(Point(families[0][0], recall), rate)]
    curves = [_scout(family, attempt, slowest) for family in families]
    wanted: dict[int, list[float]] = {}
    for target in TARGETS:
        for place in _fastest(curves, target):
            wanted.setdefault(place, []).append(target)
    found = []
    for place, targets in sorted(wanted.items()):
        rest = list(families[place][len(curves[place]) :])
        settled = _settle(curves[place], rest, targets, attempt, slowest)
        found += [(Point(seen.params, seen.recall, family=place), seen.rate) for seen in settled]
    return found


def _fastest(curves: Sequence[Sequence[Seen]], target: float) -> list[int]:
    """The two families of best throughput at the target, one if the other is far behind.

    Or else the family that comes nearest to the target.
    """
    reached = {}
    for place, curve in enumerate(curves):
        matched = at_recall([Point(s.params, s.recall, [s.rate]) for s in curve], target)
        if matched:
            reached[place] = matched.rate
    if not reached:
        return [max(range(len(curves)), key=lambda place: curves[place][-1].recall)]
    ranked = sorted(reached, key=lambda place: reached[place], reverse=True)
    return [place for place in ranked[:2] if reached[place] >= NEARLY * reached[ranked[0]]]


def _scout(family: Sequence[Params], attempt: Try, slowest: float) -> list[Seen]:
    curve: list[Seen] = []
    for params in family:
        curve.append(Seen(params, *attempt(params, SCOUTS)))
        if curve[-1].recall >= ENOUGH_RECALL or curve[-1].rate < slowest:
            break
        if levels_off([seen.recall for seen in curve]):
            break
    return curve


def _settle(
    path: list[Seen], rest: list[Params], targets: Sequence[float], attempt: Try, slowest: float
) -> list[Seen]:
    """Recall of all queries, where the path is near a target; ``rest`` continues the path."""
    sure: set[int] = set()
    while True:
        missing = [i for i in brackets([seen.recall for seen in path], targets) if i not in sure]
        for i in missing:
            path[i] = Seen(path[i].params, *attempt(path[i].params, None))
            sure.add(i)
        if missing:
            continue
        short = path[-1].recall < targets[-1] and path[-1].rate >= slowest
        if not (short and rest) or levels_off([seen.recall for seen in path]):
            break
        path.append(Seen(rest[0], *attempt(rest.pop(0), SCOUTS)))
    return [path[i] for i in brackets([seen.recall for seen in path], targets)]
