"""``python -m bench.forms DATA ...``: graphs that walk on different codes, beside one another.

A form is CODEC, CODEC:N to walk on the first N principal directions, CODEC:rot after a random
rotation, CODEC:Nrot after both; with /L behind it a graph has L links, not 16; with @R R candidates
are compared with the refine store, and not as many as it takes. Each is built once over float16
rows; then all take turns at each effort, and the median of the turns counts. Microseconds a query
at equal recall are interpolated.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from bench.recall import datasets
from bench.recall.peers.vicinal import SLACKS
from bench.recall.sweep import TARGETS, Point, at_recall

import vicinal
from vicinal.transforms import PCA, RandomRotation, Transform

K = 10
EFS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
TURNS, QUERIES = 7, 500
LEARNED_FROM = 16_384
FORMS = ["sq8", "sq4"]


@dataclass
class _Form:
    text: str
    index: vicinal.HNSWIndex
    rerank: int | None
    points: list[Point] = field(default_factory=list)

    def search(self, queries: datasets.Floats, ef: int, slack: float) -> datasets.Ints:
        how = {"ef": ef, "slack": slack, "rerank": self.rerank, "threads": 1}
        return np.asarray(self.index.search(queries, K, **how).ids)  # type: ignore[arg-type]


def _transform(text: str, base: datasets.Floats, metric: str) -> Transform | None:
    if not text:
        return None
    sample = base[:: max(1, len(base) // LEARNED_FROM)]
    if text == "rot":
        return RandomRotation().fit(sample, metric=metric)
    directions = PCA(int(text.removesuffix("rot"))).fit(sample, metric=metric)
    if not text.endswith("rot"):
        return directions
    turn = RandomRotation(kind="dense").fit(directions.data(sample[:1]), metric=metric)
    return directions.compose(turn)


def _made(text: str, data: datasets.Dataset) -> _Form:
    form, _, rerank = text.partition("@")
    form, _, links = form.partition("/")
    codec, _, before = form.partition(":")
    transform = _transform(before, data.base, data.measure)
    index = vicinal.HNSWIndex(
        data.dim,
        data.measure,
        codec=codec,
        refine="float16",
        links=int(links or 16),
        transform=transform,
    )
    index.add(data.base)
    return _Form(text, index, int(rerank) if rerank else None)


def _measure(data: datasets.Dataset, forms: Sequence[_Form], slack: float) -> None:
    kth = datasets.kth_distance(data, K)
    for ef in EFS:
        growth = slack * math.log2(ef / 16)
        for form in forms:
            ids = form.search(data.query, ef, growth)
            form.points.append(Point({"ef": ef}, datasets.recall(data, ids, kth)))
    for turn in range(TURNS):
        some = np.arange(turn * QUERIES, (turn + 1) * QUERIES) % len(data.query)
        queries = data.query[some]
        for place, ef in enumerate(EFS):
            growth = slack * math.log2(ef / 16)
            for form in forms:
                form.search(queries[:50], ef, growth)
                begin = time.perf_counter()
                form.search(queries, ef, growth)
                form.points[place].rates.append(QUERIES / (time.perf_counter() - begin))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.forms", description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--form", action="append", default=[], help=f"default {' '.join(FORMS)}")
    options = parser.parse_args(arguments)
    for path in options.data:
        data = datasets.load(path, max_queries=2000)
        forms = [_made(text, data) for text in options.form or FORMS]
        _measure(data, forms, statistics.fmean(SLACKS))
        print(f"{data.name:<20}" + "".join(f"{f'at {target:.2f}':>16}" for target in TARGETS))
        for form in forms:
            shown = ""
            for target in TARGETS:
                mine, first = (at_recall(one.points, target) for one in (form, forms[0]))
                here = f"{1e6 / mine.rate:.1f} us" if mine else "-"
                ratio = f"{mine.rate / first.rate:.2f}x" if mine and first else ""
                shown += f"{here:>10}{ratio:>6}"
            print(f"  {form.text:<18}{shown}", flush=True)


if __name__ == "__main__":
    main()
