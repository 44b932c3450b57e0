"""hnswlib: HNSW over float32 rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params


class Hnswlib(Adapter):
    library = "hnswlib"

    def __init__(self, dim: int, metric: str) -> None:
        import hnswlib

        super().__init__(dim, metric)
        self.flags = {"M": LINKS, "ef_construction": BUILD_EF}
        self.index = hnswlib.Index(space=metric, dim=dim)

    def build(self, base: Floats, threads: int) -> None:
        self.index.init_index(
            max_elements=len(base), M=LINKS, ef_construction=BUILD_EF, random_seed=1
        )
        self.index.add_items(base, num_threads=threads)

    def tune(self, k: int, params: Params) -> None:
        self.index.set_ef(max(params["ef"], k))

    def search(self, queries: Floats, k: int) -> Ints:
        ids, _ = self.index.knn_query(queries, k=k, num_threads=self.threads)
        return np.asarray(ids, np.int64)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: Path) -> None:
        self.index.load_index(str(path))

    def index_bytes(self) -> int:
        return int(self.index.index_file_size())


CONTENDERS = [Contender("hnswlib", "hnswlib", "graph", Hnswlib)]
