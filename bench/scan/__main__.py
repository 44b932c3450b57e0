"""python -m bench.scan [DATA.npz] [--rows N] [--parts M ...]: rates, ratios and recall.

Both libraries hold the same rows, one after another in the same process; they take turns, and the
ratio is that of the median times. What is timed is search() of a FlatIndex beside that of faiss,
one query at a time and in batches: preparing queries and choosing the ten best included, and with
vicinal the exact distances of those that may be among them. faiss has RaBitQ with and without the
rotation that its codes are meant for; vicinal rotates by itself. Without a data file the rows are
random: rates are right then, recall means little.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from ..recall.datasets import Dataset, Floats, Ints, kth_distance, load, recall

K = 10
Search = Callable[[Floats], Ints]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scan", description=__doc__)
    parser.add_argument("data", nargs="?", help="npz or HDF5 as bench.recall takes it")
    parser.add_argument("--rows", type=int, default=100_000, help="repeated if the data have fewer")
    parser.add_argument("--dim", type=int, default=128, help="of random rows")
    parser.add_argument("--parts", type=int, nargs="*", default=[32, 64, 96], help="of PQ x 4 bits")
    parser.add_argument("--no-rabitq", action="store_true", help="product codes only")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn, at least")
    parser.add_argument("--json", help="append what is measured, an object a line")
    return parser.parse_args(argv)


def rows_of(args: argparse.Namespace) -> tuple[Floats, Floats, Dataset | None]:
    """Rows to hold, queries, and the data set if its own neighbours are those of the rows."""
    if args.data is None:
        random = np.random.default_rng(0)
        rows = random.standard_normal((args.rows, args.dim), dtype=np.float32)
        return rows, random.standard_normal((1000, args.dim), dtype=np.float32), None
    data = load(args.data, max_queries=1000)
    if args.rows <= len(data.base):
        return data.base, data.query, data
    times = -(-args.rows // len(data.base))
    return np.tile(data.base, (times, 1))[: args.rows].copy(), data.query, None


def vicinal_search(rows: Floats, metric: str, codec: str) -> Search:
    import vicinal

    index = vicinal.FlatIndex(dim=rows.shape[1], metric=metric, codec=codec)
    index.add(rows)
    return lambda queries: index.search(queries, k=K, threads=1).ids


def faiss_search(rows: Floats, metric: str, factory: str) -> Search:
    import faiss

    measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    index: Any = faiss.index_factory(rows.shape[1], factory, measure)
    index.train(rows)
    index.add(rows)
    faiss.omp_set_num_threads(1)
    return lambda queries: np.asarray(index.search(queries, K)[1], np.int64)


def turn(search: Search, queries: Floats, batch: int, seconds: float) -> float:
    """Seconds a query."""
    done = 0
    start = time.perf_counter()
    while True:
        at = done % max(1, len(queries) - batch + 1)
        search(queries[at : at + batch])
        done += batch
        taken = time.perf_counter() - start
        if taken >= seconds:
            return taken / done


def compare(
    args: argparse.Namespace,
    rows: Floats,
    queries: Floats,
    data: Dataset | None,
    names: tuple[str, str],
) -> dict[str, Any]:
    metric = data.metric if data is not None else "l2"
    ours = vicinal_search(rows, metric, names[0])
    theirs = faiss_search(rows, metric, names[1])
    out: dict[str, Any] = {"vicinal": names[0], "faiss": names[1], "rows": len(rows)}
    for batch in (1, args.batch):
        times: tuple[list[float], list[float]] = ([], [])
        for search in (ours, theirs):
            turn(search, queries, batch, args.seconds / 3)
        for _ in range(args.rounds):
            for search, into in zip((ours, theirs), times, strict=True):
                into.append(turn(search, queries, batch, args.seconds))
        mine, other = (median(each) for each in times)
        out[f"batch_{batch}"] = {
            "vicinal_ns_a_row": 1e9 * mine / len(rows),
            "faiss_ns_a_row": 1e9 * other / len(rows),
            "ratio": other / mine,
        }
    if data is not None:
        kth = kth_distance(data, K)
        out["recall"] = {
            "vicinal": recall(data, ours(queries), kth),
            "faiss": recall(data, theirs(queries), kth),
        }
    return out


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    rows, queries, data = rows_of(args)
    pairs = [(f"pq{m}x4", f"PQ{m}x4fs") for m in args.parts]
    if not args.no_rabitq:
        pairs.append(("rabitq1", "RaBitQfs"))
        pairs.append(("rabitq1", f"RR{rows.shape[1]},RaBitQfs"))
    for names in pairs:
        result = compare(args, rows, queries, data, names)
        line = f"{names[0]:>9} / {names[1]:<14} {len(rows):>9} x {rows.shape[1]}"
        for batch in (1, args.batch):
            at = result[f"batch_{batch}"]
            line += (
                f"   batch {batch}: {at['vicinal_ns_a_row']:.2f} / {at['faiss_ns_a_row']:.2f}"
                f" ns a row, {at['ratio']:.2f}x"
            )
        if "recall" in result:
            line += (
                f"   recall@10 {result['recall']['vicinal']:.4f} / {result['recall']['faiss']:.4f}"
            )
        print(line, flush=True)
        if args.json:
            with open(args.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
