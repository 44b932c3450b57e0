"""SVS: Vamana graphs over float32 rows, or over its LVQ codes where the processor is Intel's."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import Adapter, Contender, Params

WINDOW, ALPHA = 128, 1.2  # of its own examples


class Svs(Adapter):
    """Rows of length one are compared by L2, the same order: its inner product builds worse."""

    library = "scalable-vs"

    def __init__(
        self, dim: int, metric: str, degree: int, bits: tuple[int, int] | None = None
    ) -> None:
        import svs

        super().__init__(dim, metric)
        self.svs, self.degree, self.bits = svs, degree, bits
        self.index: Any = None
        self.flags = {"graph_max_degree": degree, "window_size": WINDOW, "alpha": ALPHA}
        if bits:
            self.flags["lvq_bits"] = list(bits)

    def build(self, base: Floats, threads: int) -> None:
        svs = self.svs
        parameters = svs.VamanaBuildParameters(
            alpha=ALPHA, graph_max_degree=self.degree, window_size=WINDOW
        )
        if self.bits is None:
            self.index = svs.Vamana.build(
                parameters, base, svs.DistanceType.L2, num_threads=threads
            )
            return
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "base.fvecs")
            svs.write_vecs(base, path)
            rows = svs.VectorDataLoader(path, svs.DataType.float32, dims=self.dim)
            codes = svs.LVQLoader(rows, primary=self.bits[0], residual=self.bits[1])
            self.index = svs.Vamana.build(
                parameters, codes, svs.DistanceType.L2, num_threads=threads
            )

    def ready(self, threads: int) -> None:
        self.index.num_threads = threads

    def tune(self, k: int, params: Params) -> None:
        self.index.search_window_size = params["window"]

    def sweep(self, k: int) -> list[list[Params]]:
        return [[{"window": p["ef"]} for p in family] for family in super().sweep(k)]

    def search(self, queries: Floats, k: int) -> Ints:
        ids, _ = self.index.search(queries, k)
        return np.asarray(ids).astype(np.int64)

    def save(self, path: Path) -> None:
        path.mkdir()
        self.index.save(*(str(path / part) for part in ("config", "graph", "data")))

    def load(self, path: Path) -> None:
        svs = self.svs
        if self.bits is None:
            rows = svs.VectorDataLoader(str(path / "data"), svs.DataType.float32, dims=self.dim)
        else:
            rows = svs.LVQLoader(str(path / "data"))
        graph = svs.GraphLoader(str(path / "graph"))
        self.index = svs.Vamana(str(path / "config"), graph, rows, svs.DistanceType.L2)


# Its examples have degree 64; 32 is built sooner and is ahead at moderate recall.
CONTENDERS = [
    Contender("SVS Vamana32 f32", "scalable-vs", "graph", partial(Svs, degree=32)),
    Contender("SVS Vamana64 f32", "scalable-vs", "graph", partial(Svs, degree=64)),
    Contender("SVS Vamana64 LVQ4x8", "scalable-vs", "graph", partial(Svs, degree=64, bits=(4, 8))),
]
