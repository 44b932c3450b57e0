"""``python -m bench.smallest DATA ...``: graphs that need few bytes in memory, opened by mapping.

A graph walks on the codes that ``vicinal.tune`` chooses, with few links; float16 rows, which stay
in the mapped file, re-rank the last candidates. Codes, links and ids are what a walk reads
everywhere and has to find in memory; of the refine store it reads some rows at the end. So one
time is of a first call when the system has dropped the refine store from memory, one of later
calls.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.recall import datasets

import vicinal

K = 10


def _drop(path: Path, section: str) -> None:
    """Ask the system to forget what it keeps of a part of a file."""
    part = next(one for one in vicinal.info(path).sections if one.name == section)
    file = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(file, part.offset, part.bytes, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def _microseconds(index: vicinal.HNSWIndex, queries: datasets.Floats, recall: float) -> float:
    begin = time.perf_counter()
    index.search(queries, K, recall=recall, threads=1)
    return 1e6 * (time.perf_counter() - begin) / len(queries)


def _measure(data: datasets.Dataset, links: int, recall: float, path: Path) -> None:
    shown = data.query[::2]
    asked = replace(data, query=data.query[1::2], truth=data.truth[1::2])
    plan = vicinal.tune(data.base, data.measure, queries=shown)
    built = vicinal.HNSWIndex(
        data.dim,
        data.measure,
        codec=plan.params.codec,
        refine="float16",
        links=links,
        transform=plan.transform,
    )
    built.add(data.base)
    built.reorder()
    built.calibrate(shown, k=K, recall=0.99)
    built.save(path)
    del built

    _drop(path, "refine")
    index = vicinal.open(path)
    assert isinstance(index, vicinal.HNSWIndex)
    first = _microseconds(index, asked.query, recall)
    later = min(_microseconds(index, asked.query, recall) for _ in range(5))
    found = index.search(asked.query, K, recall=recall).ids
    got = datasets.recall(asked, found, datasets.kth_distance(asked, K))
    each = {part.name: part.bytes / len(index) for part in index.memory().parts}
    each.pop("search scratch")
    refine = each.pop("refine")
    told = ", ".join(f"{name} {size:.1f}" for name, size in each.items())
    print(f"{data.name}: {index!r}")
    print(f"  recall@{K} {got:.4f}, asked for {recall:g}")
    print(f"  {later:.1f} us a query, {first:.1f} with the refine store on disk; one thread")
    print(f"  bytes per vector: {told}; {refine:.1f} in the file to re-rank")
    most = data.dim / 2 + 100
    print(f"  in memory {sum(each.values()):.1f}; dim / 2 + 100 is {most:g}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.smallest", description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--links", type=int, default=8)
    parser.add_argument("--recall", type=float, default=0.95)
    options = parser.parse_args(arguments)
    for path in options.data:
        with tempfile.TemporaryDirectory() as folder:
            data = datasets.load(path)
            _measure(data, options.links, options.recall, Path(folder) / "index")


if __name__ == "__main__":
    main()
