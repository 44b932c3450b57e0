"""Measure recall against single-thread throughput: ``python -m bench.recall DATA [DATA ...]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import contenders, report
from .rounds import Settings, measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="npz or ann-benchmarks HDF5 files")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"a contender, or the start of several names; of: {', '.join(contenders.MAKERS)}",
    )
    parser.add_argument("--flat", action="store_true", help="exact search instead of graphs")
    parser.add_argument("--single", action="store_true", help="one call per query, not one batch")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count processor time, not wall time: a makeshift for a busy machine",
    )
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--queries", type=int, help="use only the first so many")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps other libraries' indexes between runs"
    )
    parser.add_argument("--build-only", action="store_true", help="fill the cache, search nothing")
    parser.add_argument("--json", type=Path, help="append one JSON line per contender and data set")
    options = parser.parse_args()

    names = contenders.FLATS if options.flat else contenders.GRAPHS
    if options.only:
        names = [n for n in contenders.MAKERS if any(n.startswith(o) for o in options.only)]
        if not names:
            parser.error(f"no contender starts with {options.only}")
    settings = Settings(
        k=options.k,
        rounds=options.rounds,
        single=options.single,
        cpu_time=options.cpu_time,
        max_queries=options.queries,
        build_threads=options.build_threads,
        cache=options.cache,
        build_only=options.build_only,
    )
    print(report.how(settings))
    for data in options.data:
        results = measure(data, names, settings)
        print(report.table(data.stem, results, settings), flush=True)
        if options.json:
            report.append_json(options.json, data.stem, results, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
