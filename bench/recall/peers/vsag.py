"""VSAG: HGraph over 8-bit codes, re-ranked with float32 rows."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params, RefusedError


class Vsag(Adapter):
    library = "pyvsag"

    def __init__(self, dim: int, metric: str, codes: str) -> None:
        import pyvsag

        super().__init__(dim, metric)
        self.pyvsag = pyvsag
        self.index: Any = None
        self.parameters = "{}"
        self.flags = {
            "base_quantization_type": codes,
            "use_reorder": True,
            "precise_quantization_type": "fp32",
            "max_degree": 2 * LINKS,
            "ef_construction": BUILD_EF,
        }

    def make(self, threads: int) -> None:
        settings = {
            "dtype": "float32",
            "metric_type": self.metric,
            "dim": self.dim,
            "index_param": {**self.flags, "build_thread_count": threads},
        }
        self.index = self.pyvsag.Index("hgraph", json.dumps(settings))

    def build(self, base: Floats, threads: int) -> None:
        self.make(threads)
        ids = np.arange(len(base), dtype=np.int64)
        self.index.build(vectors=base, ids=ids, num_elements=len(base), dim=self.dim)

    def ready(self, threads: int) -> None:
        if threads > 1:
            raise RefusedError("pyvsag searches one query at a time, in the calling thread")

    def tune(self, k: int, params: Params) -> None:
        self.parameters = json.dumps({"hgraph": {"ef_search": params["ef"]}})

    def search(self, queries: Floats, k: int) -> Ints:
        find, parameters = self.index.knn_search, self.parameters
        return np.stack([find(vector=query, k=k, parameters=parameters)[0] for query in queries])

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path) -> None:
        self.make(1)
        self.index.load(str(path))


CONTENDERS = [
    Contender("VSAG HGraph SQ8u+f32", "pyvsag", "graph", partial(Vsag, codes="sq8_uniform"))
]
