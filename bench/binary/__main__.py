"""Measures search over bits: `python -m bench.binary [--data WORDNET.npz] [--bandwidth GB/s]`.

One thread. Everybody has a turn in every round; the median counts. Rates count every row that a
query could have been compared with, whether it was looked at or not.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vicinal

from . import data

K = 10
Call = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.binary", description=__doc__)
    parser.add_argument("--data", type=Path, help="npz with base and query: real vectors")
    parser.add_argument("--bandwidth", type=float, help="GB/s of memory, as vicinal_machine says")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--molecules", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["stream", "batch", "jaccard"])
    given = parser.parse_args()
    vicinal.set_default_threads(1)
    print(f"{vicinal.cpu_info().brand}, level {vicinal.cpu_info().active}, one thread")
    if given.only in (None, "stream"):
        stream(given.rounds, given.bandwidth)
    if given.only in (None, "batch"):
        batch(given.rounds, given.data)
    if given.only in (None, "jaccard"):
        jaccard(given.rounds, given.molecules)


def medians(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Seconds a call; quick ones are repeated within a turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(0.05 / (time.perf_counter() - start)))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.perf_counter() - start) / repeats[name])
    return {name: float(np.median(seconds)) for name, seconds in times.items()}


def stream(rounds: int, bandwidth: float | None) -> None:
    print("\nHamming, one query, random bits, 512 MiB: beyond every cache")
    for dim in (128, 256, 512, 1024, 4096):
        n = (512 << 20) // (dim // 8)
        index = vicinal.BinaryIndex(dim)
        index.add(data.random_bits(n, dim, 1))
        query = data.random_bits(1, dim, 2)
        seconds = medians({"": lambda i=index, q=query: i.search(q, K)}, rounds)[""]
        rate = n * (dim // 8) / seconds / 1e9
        share = f", {rate / bandwidth:.0%} of memory" if bandwidth else ""
        print(f"  {dim:5} bits: {rate:6.1f} GB/s{share}")


def batch(rounds: int, path: Path | None) -> None:
    what = "random bits, 100,000 rows" if path is None else f"{path.stem}: sides of hyperplanes"
    print(f"\nHamming, 64 queries in a call, k = {K}: {what}")
    for dim in (256, 384, 512, 1024):
        if path is None:
            rows, queries = data.random_bits(100_000, dim, 1), data.random_bits(64, dim, 2)
        else:
            rows, queries = data.hyperplanes(path, dim, 64)
        calls, answers = contenders(rows, queries, dim)
        want = answers["vicinal"]
        for name, got in answers.items():
            # Ties may come in any order, and are cut anywhere: distances are what must agree.
            assert np.array_equal(np.sort(got, axis=1), np.sort(want, axis=1)), name
        seconds = medians(calls, rounds)
        best = min((s for name, s in seconds.items() if name != "vicinal"), default=np.nan)
        rates = ", ".join(
            f"{name} {rows.nbytes * len(queries) / s / 1e9:.1f}" for name, s in seconds.items()
        )
        print(
            f"  {dim:5} bits, {len(rows):,} rows, GB/s: {rates}; "
            f"{best / seconds['vicinal']:.1f} times the best other"
        )


def contenders(
    rows: data.Bits, queries: data.Bits, dim: int
) -> tuple[dict[str, Call], dict[str, Any]]:
    """Searches, and the distances that each finds."""
    index = vicinal.BinaryIndex(dim)
    index.add(rows)
    calls: dict[str, Call] = {"vicinal": lambda: index.search(queries, K)}
    answers = {"vicinal": index.search(queries, K).distances.astype(int)}
    with contextlib.suppress(ImportError):
        import faiss

        faiss.omp_set_num_threads(1)
        flat = faiss.IndexBinaryFlat(dim)
        flat.add(rows)
        calls["faiss"] = lambda: flat.search(queries, K)
        answers["faiss"] = flat.search(queries, K)[0]
    with contextlib.suppress(ImportError):
        from usearch.index import MetricKind
        from usearch.index import search as exact

        calls["usearch"] = lambda: exact(
            rows, queries, K, MetricKind.Hamming, exact=True, threads=1, dtype="b1"
        )
        answers["usearch"] = calls["usearch"]().distances.astype(int)
    return calls, answers


def jaccard(rounds: int, n: int) -> None:
    for series in (True, False):
        rows = data.molecules(n, 1024, 1, series)
        queries = data.molecules(64, 1024, 2, series)
        index, plain = vicinal.BinaryIndex(1024, "jaccard"), vicinal.BinaryIndex(1024)
        index.add(rows)
        plain.add(rows)
        tenth = 1 - np.median(index.search(queries, K).distances[:, -1])
        kind = "in series" if series else "diverse"
        print(f"\nTanimoto, 1024 bits: {n:,} invented molecules, {kind}; tenth {tenth:.2f}")
        each = [queries[i : i + 1] for i in range(len(queries))]
        for name, asked in (("k = 10, one by one", each), ("k = 10, 64 in a call", [queries])):
            report(
                name,
                n * len(queries),
                medians(
                    {"pruned": searching(index, asked), "plain": searching(plain, asked)},
                    rounds,
                ),
            )
        report(
            "all from 0.7 on, 64 in a call",
            n * len(queries),
            medians(
                {"pruned": within(index, queries, 0.3), "plain": within(plain, queries, 2)},
                rounds,
            ),
        )


def searching(index: vicinal.BinaryIndex, batches: list[data.Bits]) -> Call:
    return lambda: [index.search(batch, K) for batch in batches]


def within(index: vicinal.BinaryIndex, queries: data.Bits, radius: float) -> Call:
    return lambda: index.range_search(queries, radius)


def report(name: str, pairs: int, seconds: dict[str, float]) -> None:
    """Beside Hamming over the same rows: a scan that leaves out none, and divides nothing."""
    rate = {key: pairs / s / 1e6 for key, s in seconds.items()}
    print(
        f"  {name}: {rate['pruned']:,.0f} M pairs/s, Hamming of all rows {rate['plain']:,.0f}; "
        f"ratio {rate['pruned'] / rate['plain']:.1f}"
    )


if __name__ == "__main__":
    main()
