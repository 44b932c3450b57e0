"""usearch: HNSW over float32 or 8-bit integers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params, RefusedError


class Usearch(Adapter):
    library = "usearch"

    def __init__(self, dim: int, metric: str, dtype: str) -> None:
        from usearch.index import Index

        super().__init__(dim, metric)
        if dtype == "i8" and metric == "l2":
            raise RefusedError("casts to i8 from [-1, 1]: not for these values under l2")
        self.index = Index(
            ndim=dim,
            metric="l2sq" if metric == "l2" else "ip" if dtype != "i8" else "cos",
            dtype=dtype,
            connectivity=LINKS,
            expansion_add=BUILD_EF,
        )
        self.flags = {
            "connectivity": LINKS,
            "expansion_add": BUILD_EF,
            "dtype": dtype,
            "hardware": str(self.index.hardware_acceleration),
        }

    def build(self, base: Floats, threads: int) -> None:
        self.index.add(np.arange(len(base)), base, threads=threads)

    def tune(self, k: int, params: Params) -> None:
        self.index.expansion_search = max(params["ef"], k)

    def search(self, queries: Floats, k: int) -> Ints:
        # One query comes back without rows.
        found = self.index.search(queries, k, threads=self.threads)
        return np.asarray(found.keys).astype(np.int64).reshape(-1, k)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path) -> None:
        self.index.load(str(path))

    def index_bytes(self) -> int:
        return int(self.index.memory_usage)


CONTENDERS = [
    Contender("usearch f32", "usearch", "graph", partial(Usearch, dtype="f32")),
    Contender("usearch i8", "usearch", "graph", partial(Usearch, dtype="i8")),
]
