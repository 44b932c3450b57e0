"""k-means beside faiss from the same start, and balanced lists beside plain ones.

python -m bench.clustering DATA.npz --clusters 1024 --rows 100000
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from bench.recall import datasets, machine

from vicinal import cluster

Floats = datasets.Floats


def pin() -> None:
    """One processor for everybody, whoever asks for more threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def objective(rows: Floats, centroids: Floats) -> float:
    """Sum of the squared distances to the nearest centroid; the same judge for everybody."""
    return float(cluster.assign(rows, centroids).distances.astype(np.float64).sum())


def by_vicinal(rows: Floats, start: Floats, iterations: int) -> Floats:
    """vicinal; it assigns once more than asked, for the labels."""
    found = cluster.kmeans(
        rows, len(start), start=start, iterations=iterations, tolerance=0, threads=1
    )
    return found.centroids


def by_faiss(rows: Floats, start: Floats, iterations: int) -> Floats:
    """Use faiss, on all rows."""
    import faiss

    faiss.omp_set_num_threads(1)
    means = faiss.Kmeans(
        rows.shape[1],
        len(start),
        niter=iterations,
        max_points_per_centroid=len(rows),
        min_points_per_centroid=1,
    )
    means.train(rows, init_centroids=start)
    return np.asarray(means.centroids, dtype=np.float32).reshape(start.shape)


def speed(rows: Floats, clusters: int, iterations: int, repeats: int) -> None:
    """Seconds of each, in turns, and what they reached."""
    draw = np.random.default_rng(0).choice(len(rows), clusters, replace=False)
    start = np.ascontiguousarray(rows[np.sort(draw)])
    makers: dict[str, Callable[[Floats, Floats, int], Floats]] = {"vicinal": by_vicinal}
    try:
        import faiss

        makers[f"faiss {faiss.__version__}"] = by_faiss
    except ImportError:
        print("faiss is not installed: nothing to compare with")
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    reached: dict[str, float] = {}
    for _ in range(repeats):
        for name, make in makers.items():
            begin = time.perf_counter()
            centroids = make(rows, start, iterations)
            seconds[name].append(time.perf_counter() - begin)
            reached[name] = objective(rows, centroids)
    print(f"{'':>14} {'seconds':>9} {'range':>15} {'objective':>12} {'times faster':>13}")
    reference = statistics.median(list(seconds.values())[-1])
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{min(times):.2f} .. {max(times):.2f}"
        print(
            f"{name:>14} {median:9.2f} {spread:>15} {reached[name]:12.2f} "
            f"{reference / median:13.2f}"
        )


def lists(data: datasets.Dataset, rows: Floats, clusters: int, iterations: int) -> None:
    """Recall@10 of the lists of each form, where equally many vectors are scanned."""
    truth = data.truth[:, :10]
    if len(rows) < len(data.base):
        product = data.query @ rows.T
        if data.metric == "l2":
            product -= (rows**2).sum(axis=1) / 2
        truth = np.argpartition(-product, 10, axis=1)[:, :10]
    shares = (0.005, 0.01, 0.02, 0.05, 0.1)
    title = " ".join(f"{f'{share:.1%}':>7}" for share in shares)
    print(f"{'balance':>10} {'seconds':>8} {'max/mean':>9} {'entropy':>8}   recall@10 at {title}")
    for balance in (None, "penalty", "capacity", "transport"):
        begin = time.perf_counter()
        found = cluster.kmeans(
            rows, clusters, metric=data.measure, balance=balance, iterations=iterations
        )
        took = time.perf_counter() - begin
        order = found.assign(data.query, clusters).labels
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(clusters, dtype=np.int32)[None, :], axis=1)
        visited = np.take_along_axis(place, found.labels[truth], axis=1)
        recall = [(visited < probes).mean() for probes in range(1, clusters + 1)]
        scanned = found.sizes[order].cumsum(axis=1).mean(axis=0) / len(rows)
        at = " ".join(f"{np.interp(share, scanned, recall):7.4f}" for share in shares)
        print(
            f"{balance or 'none':>10} {took:8.2f} {found.max_over_mean:9.3f} "
            f"{found.entropy:8.3f}   {'':>12} {at}"
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="npz or HDF5, as bench.recall reads it")
    parser.add_argument("--rows", type=int, default=100_000, help="the first ones")
    parser.add_argument("--clusters", type=int, default=1024)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "lists"))
    asked = parser.parse_args()
    data = datasets.load(asked.data, max_queries=1000)
    rows = np.ascontiguousarray(data.base[: asked.rows])
    facts = machine.facts()
    print(f"{data.name}: {rows.shape[0]:,} x {rows.shape[1]}, {asked.clusters:,} clusters")
    print(f"{facts['cpu']}, {facts['level']}, {facts['compiler']}, load {facts['load']}")
    if asked.only != "lists":
        pin()
        speed(rows, asked.clusters, asked.iterations, asked.repeats)
    if asked.only != "speed":
        lists(data, rows, asked.clusters, asked.iterations)


if __name__ == "__main__":
    main()
