"""``python -m bench.batches DATA ...``: queries of a graph in one call, beside one call for each.

A thread answers two queries of a call at a time, one computing while memory brings what the other
compares next. Both ways take turns; the median of the turns counts. A call of its own costs one to
two microseconds besides.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from bench.recall.datasets import Floats, load

import vicinal

K = 10
TURNS = 9


def _seconds(index: vicinal.HNSWIndex, calls: Sequence[Floats], ef: int) -> float:
    begin = time.perf_counter()
    for queries in calls:
        index.search(queries, K, ef=ef, threads=1)
    return time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.batches", description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--codec", default="sq8")
    parser.add_argument("--ef", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args(arguments)
    print(f"{'data':<22}{'ef':>5}{'one by one':>12}{'together':>10}   microseconds a query")
    for path in options.data:
        data = load(path)
        queries = data.query[: options.queries]
        index = vicinal.HNSWIndex(
            data.base.shape[1], data.measure, codec=options.codec, refine="float16"
        )
        index.add(data.base)
        for ef in options.ef:
            turns = [
                (_seconds(index, queries, ef), _seconds(index, [queries], ef)) for _ in range(TURNS)
            ]
            a, b = (1e6 * statistics.median(way) / len(queries) for way in zip(*turns, strict=True))
            print(f"{data.name:<22}{ef:>5}{a:>12.1f}{b:>10.1f}   {a / b:.2f}x")


if __name__ == "__main__":
    main()
