"""``python -m bench.threads DATA ...``: the same builds and batches with one thread and with more.

Each number of threads builds the graph and answers all queries in one call, taking turns; the
median of the turns counts. Beside them runs arithmetic that shares nothing, on as many processes:
what it gains is the most that this machine can give, since its processors may share their speed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from bench.recall.datasets import Dataset, load

import vicinal

K = 10
TURNS = 5
_ALONE = "t = sum(i * i for i in range(30_000_000))"


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _together(processes: int) -> None:
    started = [subprocess.Popen([sys.executable, "-c", _ALONE]) for _ in range(processes)]
    for one in started:
        one.wait()


def _counts(most: int) -> list[int]:
    """1, 2, 4 and so on up to the number of processors, and that."""
    counts = [1]
    while 2 * counts[-1] < most:
        counts.append(2 * counts[-1])
    return [*counts, most] if most > 1 else counts


def _measure(data: Dataset, ef: int, most: int) -> None:
    queries = data.query

    def build(threads: int) -> vicinal.HNSWIndex:
        index = vicinal.HNSWIndex(data.dim, data.measure, codec="sq4", refine="float16")
        index.add(data.base, threads=threads)
        index.reorder(threads=threads)
        return index

    counts = _counts(most)
    index = build(most)
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS):
        for threads in counts:
            work: dict[str, Callable[[], object]] = {
                "machine": lambda n=threads: _together(n),  # type: ignore[misc]
                "build": lambda n=threads: build(n),  # type: ignore[misc]
                "search": lambda n=threads: [  # type: ignore[misc]
                    index.search(queries, K, ef=ef, threads=n) for _ in range(5)
                ],
            }
            for name, task in work.items():
                times.setdefault((name, threads), []).append(_seconds(task))
    for name in ("machine", "build", "search"):
        alone = statistics.median(times[name, 1])
        for threads in counts:
            took = statistics.median(times[name, threads])
            # The processes do as much each, the threads share what there is.
            gain = alone / took * (threads if name == "machine" else 1)
            print(f"{data.name:<22}{name:<9}{threads:>7}{took:>9.3f} s{gain:>7.2f}x", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--most", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    print(f"{'data':<22}{'what':<9}{'threads':>7}{'took':>11}{'gain':>8}")
    for path in options.data:
        _measure(load(path), options.ef, options.most)


if __name__ == "__main__":
    main()
