"""ScaNN: a tree of partitions, 4-bit asymmetric hashing, re-ranking with float32 rows."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import Adapter, Contender, Params, probes

DEPTHS = (20, 50, 100, 200, 500)  # rows re-ranked


class Scann(Adapter):
    """Leaves of the order of sqrt(n), and a few dimensions a block, as its guide says."""

    library = "scann"

    def __init__(self, dim: int, metric: str, block: int) -> None:
        import scann

        super().__init__(dim, metric)
        self.scann = scann.scann_ops_pybind
        self.searcher: Any = None
        self.block = block
        self.leaves = 0
        self.depth, self.visited = DEPTHS[0], 1

    def build(self, base: Floats, threads: int) -> None:
        self.leaves = round(2 * math.sqrt(len(base)))
        near = self.metric == "ip"  # the anisotropic loss is one of inner products
        threshold = 0.2 if near else math.nan
        self.flags = {
            "num_leaves": self.leaves,
            "dimensions_per_block": self.block,
            "anisotropic_quantization_threshold": 0.2 if near else None,
            "spherical": near,
        }
        builder = self.scann.builder(base, 10, "dot_product" if near else "squared_l2")
        self.searcher = (
            builder.set_n_training_threads(threads)
            .tree(
                self.leaves,
                1,
                training_sample_size=len(base),
                spherical=near,
                quantize_centroids=True,
            )
            .score_ah(self.block, anisotropic_quantization_threshold=threshold)
            .reorder(DEPTHS[0])
            .build()
        )

    def ready(self, threads: int) -> None:
        super().ready(threads)
        if threads > 1:
            self.searcher.set_num_threads(threads)

    def sweep(self, k: int) -> list[list[Params]]:
        depths = sorted({max(k, depth) for depth in DEPTHS})
        return probes(self.leaves, "reorder", depths, first="leaves")

    def tune(self, k: int, params: Params) -> None:
        self.depth, self.visited = params["reorder"], params["leaves"]

    def search(self, queries: Floats, k: int) -> Ints:
        how = (k, self.depth, self.visited)
        if len(queries) == 1:
            ids = np.atleast_2d(self.searcher.search(queries[0], *how)[0])
        elif self.threads > 1:
            ids = self.searcher.search_batched_parallel(queries, *how)[0]
        else:
            ids = self.searcher.search_batched(queries, *how)[0]
        return np.asarray(ids).astype(np.int64)

    def save(self, path: Path) -> None:
        path.mkdir()
        self.searcher.serialize(str(path))

    def load(self, path: Path) -> None:
        self.searcher = self.scann.load_searcher(str(path))
        # As text: what is loaded keeps it so, what was built does not.
        found = re.search(r"num_children: (\d+)", str(self.searcher.config()))
        self.leaves = int(found[1]) if found else self.leaves


CONTENDERS = [
    Contender(f"ScaNN tree-AH{block}+f32", "scann", "lists", partial(Scann, block=block))
    for block in (2, 4)
]
