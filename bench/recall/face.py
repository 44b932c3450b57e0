"""What a call costs: overhead of one search, time to open a saved index."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 9
OPEN_ROWS, OPEN_DIM = 500_000, 128


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a process of its own, so that nothing measured before is in the way."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def call_seconds() -> dict[str, float]:
    """Seconds of one search call on ten vectors, by class; the median of repeats."""
    import vicinal

    vectors = np.random.default_rng(0).standard_normal((10, 8), dtype=np.float32)
    query = vectors[:1].copy()
    out = {}
    for index in (vicinal.FlatIndex(dim=8), vicinal.HNSWIndex(dim=8)):
        index.add(vectors)
        timer = timeit.Timer("search(query, 1)", globals={"search": index.search, "query": query})
        calls, _ = timer.autorange()
        times = timer.repeat(REPEATS, calls)
        out[type(index).__name__] = statistics.median(times) / calls
    return out


def open_seconds(kept: Path | None = None) -> dict[str, float]:
    """Seconds to map a saved graph of 500,000 x 128 and to answer the first query.

    Seeded vectors; the file is in the page cache. ``kept``: a file to use, made if absent.
    """
    import vicinal

    query = np.random.default_rng(1).standard_normal((1, OPEN_DIM), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = kept or Path(folder) / "open.vicinal"
        if not path.exists():
            random = np.random.default_rng(0)
            index: vicinal.FlatIndex | vicinal.HNSWIndex
            index = vicinal.HNSWIndex(dim=OPEN_DIM, links=16, build_ef=20)
            index.add(random.standard_normal((OPEN_ROWS, OPEN_DIM), dtype=np.float32))
            index.save(path)
            del index
        opened, first = [], []
        for _ in range(REPEATS):
            start = time.perf_counter()
            index = vicinal.open(path)
            opened.append(time.perf_counter() - start)
            index.search(query, 10)
            first.append(time.perf_counter() - start)
            del index
        size = os.path.getsize(path)
    return {
        "open": statistics.median(opened),
        "open_and_first_search": statistics.median(first),
        "file_bytes": size,
    }
