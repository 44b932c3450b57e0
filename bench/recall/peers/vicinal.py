"""vicinal in its forms."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params


class Vicinal(Adapter):
    library = "vicinal"

    def __init__(self, dim: int, metric: str) -> None:
        import vicinal

        super().__init__(dim, metric)
        self.vicinal = vicinal
        self.measure = "l2" if metric == "l2" else "cosine"
        self.flags = {"level": vicinal.cpu_info().active}
        self.index: Any = None

    @property
    def version(self) -> str:  # of what was imported: a checkout has no package metadata
        return str(self.vicinal.__version__)

    def build(self, base: Floats, threads: int) -> None:
        self.index.add(base, threads=threads)

    def save(self, path: Path) -> None:
        self.index.save(path)

    def load(self, path: Path) -> None:
        self.index = self.vicinal.open(path)

    def index_bytes(self) -> int:
        return int(self.index.memory().total)


class VicinalGraph(Vicinal):
    def __init__(self, dim: int, metric: str, codec: str, refine: str | None) -> None:
        super().__init__(dim, metric)
        self.ef = BUILD_EF
        self.flags = {"links": LINKS, "build_ef": BUILD_EF, **self.flags}
        self.index = self.vicinal.HNSWIndex(
            dim=dim,
            metric=self.measure,
            codec=codec,
            refine=refine,
            links=LINKS,
            build_ef=BUILD_EF,
        )

    def tune(self, k: int, params: Params) -> None:
        self.ef = params["ef"]

    def search(self, queries: Floats, k: int) -> Ints:
        return np.asarray(self.index.search(queries, k, ef=self.ef, threads=self.threads).ids)


class VicinalFlat(Vicinal):
    def __init__(self, dim: int, metric: str) -> None:
        super().__init__(dim, metric)
        self.index = self.vicinal.FlatIndex(dim=dim, metric=self.measure)

    def sweep(self, k: int) -> list[list[Params]]:
        return [[{}]]

    def search(self, queries: Floats, k: int) -> Ints:
        return np.asarray(self.index.search(queries, k, threads=self.threads).ids)


def _graph(name: str, codec: str, refine: str | None) -> Contender:
    make = partial(VicinalGraph, codec=codec, refine=refine)
    return Contender(f"vicinal HNSW {name}", "vicinal", "graph", make)


CONTENDERS = [
    _graph("f32", "float32", None),
    _graph("SQ8", "sq8", None),
    _graph("SQ8+f16", "sq8", "float16"),
    _graph("SQ8+f32", "sq8", "float32"),
    _graph("SQ4+f16", "sq4", "float16"),
    Contender("vicinal Flat", "vicinal", "flat", VicinalFlat),
]
