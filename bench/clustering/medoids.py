"""k-medoids beside PyPI's ``kmedoids``, and of many rows in little memory.

``python -m bench.clustering.medoids DATA.npz`` takes the first rows of ``base`` and gives both the
same start; ``--large`` clusters all rows, in a process of its own whose peak memory is told. Bits
are the signs against the median of each column. Losses are of the medoids found, in double, from
the same table of distances.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal.cluster import Medoids, kmedoids

Rows = npt.NDArray[Any]
METRICS = ("l2", "euclidean", "cosine", "hamming", "jaccard")


def load(path: Path, metric: str, rows: int | None) -> Rows:
    with np.load(path) as data:
        base = data["base"][:rows]
    if metric in ("hamming", "jaccard"):
        return np.packbits(base > np.median(base, axis=0), axis=1)
    return base.astype(np.float32)


def table_of(rows: Rows, metric: str) -> npt.NDArray[np.float32]:
    """Of every pair; what the other package wants."""
    if metric in ("hamming", "jaccard"):
        bits = np.unpackbits(rows, axis=1).astype(np.float32)
        common = bits @ bits.T
        own = bits.sum(axis=1)
        differ = own[:, None] + own - 2 * common
        return differ if metric == "hamming" else differ / np.maximum(differ + common, 1)
    x = rows.astype(np.float64)
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    own = (x * x).sum(axis=1)
    table = np.maximum(own[:, None] + own - 2 * (x @ x.T), 0)
    if metric == "cosine":
        table /= 2
    np.fill_diagonal(table, 0)
    return (np.sqrt(table) if metric == "euclidean" else table).astype(np.float32)


def loss_of(table: npt.NDArray[np.float32], medoids: Any) -> float:
    return float(table[np.asarray(medoids, np.int64)].min(axis=0).sum(dtype=np.float64))


def compare(options: argparse.Namespace) -> None:
    import kmedoids as peer

    print(f"{'metric':<10} {'k':>5}  {'loss':>14} {'kmedoids':>14} {'ratio - 1':>10}"
          f"  {'swaps':>6} {'theirs':>6}  {'s':>7} {'theirs':>7} {'+ table':>7}")  # fmt: skip
    for metric in options.metric:
        rows = load(options.data, metric, options.rows)
        begin = time.perf_counter()
        table = table_of(rows, metric)
        table_s = time.perf_counter() - begin
        for clusters in options.clusters:
            start = np.random.default_rng(options.seed).choice(len(rows), clusters, replace=False)
            begin = time.perf_counter()
            got = kmedoids(rows, clusters, metric=metric, method="fasterpam", start=start,
                           threads=options.threads)  # fmt: skip
            middle = time.perf_counter()
            want = peer.fasterpam(table, start.astype(np.uint64), max_iter=100, n_cpu=1)
            end = time.perf_counter()
            ours, theirs = loss_of(table, got.medoids), loss_of(table, want.medoids)
            print(f"{metric:<10} {clusters:>5}  {ours:>14.8g} {theirs:>14.8g}"
                  f" {ours / theirs - 1:>10.1e}  {got.swaps:>6} {want.n_swap:>6}"
                  f"  {middle - begin:>7.2f} {end - middle:>7.2f} {table_s:>7.2f}",
                  flush=True)  # fmt: skip


def large(options: argparse.Namespace, metric: str, clusters: int) -> None:
    rows = load(options.data, metric, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    found: Medoids = kmedoids(rows, clusters, metric=metric, seed=options.seed,
                              threads=options.threads)  # fmt: skip
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{metric:<10} {clusters:>5}  {len(rows):>9,} rows  loss {found.loss:.8g}  "
          f"{found.method}, {found.swaps} swaps  {seconds:.1f} s  "
          f"peak {peak / 1024:.0f} MiB, {before / 1024:.0f} before", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.clustering.medoids",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", type=Path, help="npz with base")
    add("--large", action="store_true", help="all rows, and the peak of memory")
    add("--metric", nargs="+", choices=METRICS, default=["l2", "cosine", "jaccard"])
    add("--clusters", nargs="+", type=int, default=[10, 100])
    add("--rows", type=int, default=10_000, help="rows of the comparison (default 10000)")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.large:
        compare(options)
        return
    for metric in options.metric:
        for clusters in options.clusters:
            # ru_maxrss never falls: each measurement needs a process without a past.
            child = multiprocessing.get_context("spawn").Process(
                target=large, args=(options, metric, clusters)
            )
            child.start()
            child.join()


if __name__ == "__main__":
    main()
