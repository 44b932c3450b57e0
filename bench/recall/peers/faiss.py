"""faiss: HNSW over float32 or 8-bit codes, inverted lists with re-ranking, exact search."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, Adapter, Contender, Params, power_of_two, probes

# Depths of re-ranking, in multiples of k. RaBitQ codes are coarser than PQ codes of 2 bits a value.
PQ_DEPTHS, RABITQ_DEPTHS = (2, 5, 10, 20, 50), (5, 10, 20, 50, 100)


class Faiss(Adapter):
    library = "faiss-cpu"

    def __init__(self, dim: int, metric: str) -> None:
        import faiss

        super().__init__(dim, metric)
        self.faiss = faiss
        self.measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.options = faiss.get_compile_options().strip()
        self.index: Any = None

    def make(self, factory: str) -> None:
        self.index = self.faiss.index_factory(self.dim, factory, self.measure)
        self.flags = {"factory": factory, **self.flags, "compile_options": self.options}

    def build(self, base: Floats, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)
        self.index.train(base)
        self.index.add(base)

    def ready(self, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)

    def search(self, queries: Floats, k: int) -> Ints:
        _, ids = self.index.search(queries, k)
        return np.asarray(ids, np.int64)

    def save(self, path: Path) -> None:
        self.faiss.write_index(self.index, str(path))

    def load(self, path: Path) -> None:
        self.index = self.faiss.read_index(str(path))


class FaissGraph(Faiss):
    def __init__(self, dim: int, metric: str, factory: str) -> None:
        super().__init__(dim, metric)
        self.flags = {"efConstruction": BUILD_EF}
        self.make(factory)
        self.index.hnsw.efConstruction = BUILD_EF

    def tune(self, k: int, params: Params) -> None:
        self.index.hnsw.efSearch = params["ef"]


class FaissLists(Faiss):
    """Four times sqrt(n) lists, as faiss advises below a million rows; float32 rows re-rank."""

    def __init__(self, dim: int, metric: str, codes: str) -> None:
        super().__init__(dim, metric)
        self.codes, self.lists = codes, 0

    def build(self, base: Floats, threads: int) -> None:
        self.lists = power_of_two(4 * math.sqrt(len(base)))
        if self.codes == "RaBitQ":
            self.make(f"RR{self.dim},IVF{self.lists},RaBitQfs,RFlat")
        else:
            pairs = self.dim // 2 if self.dim % 2 == 0 else self.dim
            self.make(f"IVF{self.lists},PQ{pairs}x4fs,RFlat")
        super().build(base, threads)

    def sweep(self, k: int) -> list[list[Params]]:
        depths = RABITQ_DEPTHS if self.codes == "RaBitQ" else PQ_DEPTHS
        return probes(self.lists, "k_factor", depths)

    def tune(self, k: int, params: Params) -> None:
        self.faiss.ParameterSpace().set_index_parameter(self.index, "nprobe", params["nprobe"])
        self.index.k_factor = params["k_factor"]

    def load(self, path: Path) -> None:
        super().load(path)
        base = self.faiss.downcast_index(self.index.base_index)
        self.lists = int(self.faiss.extract_index_ivf(base).nlist)


class FaissFlat(Faiss):
    def __init__(self, dim: int, metric: str) -> None:
        super().__init__(dim, metric)
        self.make("Flat")

    def sweep(self, k: int) -> list[list[Params]]:
        return [[{}]]


CONTENDERS = [
    Contender("faiss HNSW32", "faiss-cpu", "graph", partial(FaissGraph, factory="HNSW32")),
    Contender("faiss HNSW32-SQ8", "faiss-cpu", "graph", partial(FaissGraph, factory="HNSW32_SQ8")),
    Contender("faiss IVF-PQfs+f32", "faiss-cpu", "lists", partial(FaissLists, codes="PQ")),
    Contender("faiss IVF-RaBitQfs+f32", "faiss-cpu", "lists", partial(FaissLists, codes="RaBitQ")),
    Contender("faiss Flat", "faiss-cpu", "flat", FaissFlat),
]
