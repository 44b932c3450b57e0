"""What a call from Python costs beside the search itself."""

from __future__ import annotations

import os
import timeit
from typing import Any

import pytest

import vicinal

CALLS = 2000
INSTRUMENTED = any(
    word in os.environ.get("LD_PRELOAD", "") for word in ("asan", "tsan", "valgrind", "ubsan")
)


@pytest.mark.skipif(INSTRUMENTED, reason="a sanitizer's time is not ours")
@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_one_search_costs_less_than_5_microseconds(kind: str, normal: Any) -> None:
    dim = 128
    index: Any = vicinal.FlatIndex(dim) if kind == "flat" else vicinal.HNSWIndex(dim)
    index.add(normal(4, dim))
    query = normal(1, dim, seed=1)
    # The least of many rounds: other work on the machine only ever adds to one.
    rounds = timeit.repeat(lambda: index.search(query, k=10), number=CALLS, repeat=25)
    # Measured 1.4 and 1.5 microseconds on a Zen 4 core at about 3.5 GHz, CPython 3.11.
    assert min(rounds) / CALLS < 5e-6
