"""Measure recall against throughput: ``python -m bench.recall DATA [DATA ...]``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from . import datasets, machine, peers, report
from .command import without_folders
from .results import Record
from .rounds import Settings


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=__doc__)
    add = parser.add_argument
    add("data", nargs="*", type=Path, help="npz or ann-benchmarks HDF5 files")
    add("--peers", choices=("all", "graphs", "quick"), default="all", help="who (default all)")
    add("--only", action="append", default=[], metavar="NAME",
        help="a contender, or the start of several names")  # fmt: skip
    add("--flat", action="store_true", help="exact search instead")
    add("--list", action="store_true", help="print the names of the contenders and end")
    add("--reference", metavar="NAME", help="ratios are to this one (hnswlib; faiss Flat)")
    add("--adapters", action="append", default=[], type=Path, metavar="FILE.py",
        help="adapters of your own: a file with a list called CONTENDERS")  # fmt: skip
    add("--single", action="store_true", help="one call per query, not one batch")
    add("--cpu-time", action="store_true",
        help="count processor time, not wall time: a makeshift for a busy machine")  # fmt: skip
    add("-k", type=int, default=10)
    add("--rounds", type=int, default=7, help="interleaved turns of each (default 7)")
    add("--processes", type=int, default=3, metavar="N",
        help="measure each index in N processes, one after the other (default 3)")  # fmt: skip
    add("--extra", type=int, default=3, metavar="N",
        help="more rounds, where an interval is wide after those (default 3)")  # fmt: skip
    add("--queries", type=int, default=2000, help="use at most so many (default 2000)")
    add("--build-threads", type=int, default=2)
    add("--search-threads", type=int, default=1)
    add("--time-limit", type=float, default=900.0, help="seconds of a build (default 900)")
    add("--search-limit", type=float, default=60.0, help="seconds of one search (default 60)")
    add("--cache", type=Path, help="folder that keeps other libraries' indexes between runs")
    add("--build-only", action="store_true", help="fill the cache, search nothing")
    add("--machine", type=Path, help="the program vicinal_machine: its bounds go to the results")
    add("--json", type=Path, help="append all that was measured, as JSON lines")
    options = parser.parse_args(arguments)
    if options.extra < 0:
        parser.error("--extra is at least 0")
    if min(options.k, options.rounds, options.processes) < 1:
        parser.error("-k, --rounds and --processes are at least 1")
    if min(options.build_threads, options.search_threads) < 1:
        parser.error("threads are at least 1")
    found = peers.known(options.adapters)
    for file in [*options.data, *([options.machine] if options.machine else [])]:
        if not file.is_file():
            parser.error(f"no such file: {file}")
    if options.list:
        print("\n".join(found))
        parser.exit()
    if not options.data:
        parser.error("name a data file, or --list")
    options.names = peers.choose(found, "flat" if options.flat else options.peers, options.only)
    if not options.names:
        parser.error(f"no contender starts with {options.only}")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    settings = Settings(
        k=options.k,
        rounds=options.rounds,
        processes=options.processes,
        extra=options.extra,
        single=options.single,
        cpu_time=options.cpu_time,
        max_queries=options.queries,
        build_threads=options.build_threads,
        search_threads=options.search_threads,
        time_limit=options.time_limit,
        search_limit=options.search_limit,
        cache=options.cache,
        build_only=options.build_only,
        adapters=tuple(options.adapters),
    )
    print(report.how(settings), flush=True)
    command = without_folders(shlex.join(["python", "-m", "bench.recall", *arguments]))
    record = Record(options.json, command, settings)
    try:
        dims = sorted({datasets.shape(data)[1] for data in options.data}) if options.machine else []
        record.begin(machine.measure(options.machine, dims) if options.machine else None, dims)
        reference = options.reference or report.REFERENCE[options.flat]
        for data in options.data:
            results = record.measure(data, options.names, reference)
            print(report.table(data.stem, results, reference), flush=True)
    except KeyboardInterrupt:
        print("interrupted; what is complete is in the results", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
