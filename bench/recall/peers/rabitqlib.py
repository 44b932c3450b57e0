"""rabitqlib: SymphonyQG rows, and HNSW over rotation codes of one sign bit and eight more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params

CLUSTERS, BITS = 16, 9  # of its own comparison


class Rabitq(Adapter):
    library = "rabitqlib"

    def __init__(self, dim: int, metric: str) -> None:
        import rabitqlib

        super().__init__(dim, metric)
        self.rabitqlib = rabitqlib
        self.index: Any = None
        self.ef = BUILD_EF

    def tune(self, k: int, params: Params) -> None:
        self.ef = max(params["ef"], k)

    def search(self, queries: Floats, k: int) -> Ints:
        ids, _ = self.index.search(queries, k=k, ef=self.ef, num_threads=self.threads)
        return np.asarray(ids).astype(np.int64)

    def save(self, path: Path) -> None:
        self.index.save(str(path))


class SymphonyQG(Rabitq):
    def build(self, base: Floats, threads: int) -> None:
        self.flags = {"max_degree": 2 * LINKS, "ef_construction": BUILD_EF, "init": "pipnn"}
        self.index = self.rabitqlib.SymqgIndex(
            dim=self.dim, max_degree=2 * LINKS, metric=self.metric, quantization_bits=0
        )
        self.index.build(base, ef_construction=BUILD_EF, num_threads=threads, init="pipnn")

    def load(self, path: Path) -> None:
        self.index = self.rabitqlib.SymqgIndex.load(str(path))


class RabitqHnsw(Rabitq):
    def build(self, base: Floats, threads: int) -> None:
        lib = self.rabitqlib
        self.flags = {
            "M": LINKS,
            "ef_construction": BUILD_EF,
            "nbits": BITS,
            "clusters": CLUSTERS,
        }
        means = lib.RaBitQKMeans(
            self.dim,
            CLUSTERS,
            niter=10,
            num_threads=threads,
            spherical=self.metric == "ip",
            seed=42,
            final_assignment=lib.FinalAssignmentMode.Exact,
        )
        means.train(base)
        self.index = lib.HnswIndex(
            self.dim, len(base), LINKS, BUILD_EF, BITS, self.metric, random_seed=42
        )
        self.index.build(base, means.centroids, means.assignments, num_threads=threads)

    def load(self, path: Path) -> None:
        self.index = self.rabitqlib.HnswIndex.load(str(path))


CONTENDERS = [
    Contender("rabitqlib SymphonyQG", "rabitqlib", "graph", SymphonyQG),
    Contender("rabitqlib HNSW 1+8", "rabitqlib", "graph", RabitqHnsw),
]
