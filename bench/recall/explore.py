"""Find the few settings of a contender that bracket the wanted recalls, without trying them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .peers import Params
from .sweep import TARGETS, Point, brackets, frontier, levels_off

SCOUTS = 250  # queries that look for the settings worth measuring
ENOUGH_RECALL = 0.995  # of the scouts, whose recall is not quite that of all queries

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

    A family is a list of settings of rising effort; of several families only the settings count
    that are not beaten in both recall and speed. A setting of fewer than ``slowest`` queries per
    second ends its family.
    """
    if len(families) == 1 and len(families[0]) == 1:
        recall, rate = attempt(families[0][0], None)
        return [(Point(families[0][0], recall), rate)]
    scouted = [seen for family in families for seen in _scout(family, attempt, slowest)]
    rest: list[Params] = []
    if len(families) == 1:
        rest = list(families[0][len(scouted) :])
    else:
        kept = frontier([s.recall for s in scouted], [s.rate for s in scouted])
        scouted = [scouted[i] for i in kept]
    return _settle(scouted, rest, attempt, slowest)


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
    path: list[Seen], rest: list[Params], attempt: Try, slowest: float
) -> list[tuple[Point, float]]:
    """Recall of all queries, where the path is near a target; ``rest`` continues the path."""
    sure: set[int] = set()
    while True:
        missing = [i for i in brackets([seen.recall for seen in path]) if i not in sure]
        for i in missing:
            path[i] = Seen(path[i].params, *attempt(path[i].params, None))
            sure.add(i)
        if missing:
            continue
        short = path[-1].recall < TARGETS[-1] and path[-1].rate >= slowest
        if not (short and rest) or levels_off([seen.recall for seen in path]):
            break
        path.append(Seen(rest[0], *attempt(rest.pop(0), SCOUTS)))
    needed = brackets([seen.recall for seen in path])
    return [(Point(path[i].params, path[i].recall), path[i].rate) for i in needed]
