"""vicinal in its forms."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Floats, Ints
from .base import BUILD_EF, LINKS, Adapter, Contender, Params, power_of_two, probes

# Depths of re-ranking, in multiples of k: coarser codes need more.
FINE_DEPTHS, COARSE_DEPTHS = (1, 2, 4, 8), (2, 5, 10, 20, 50)
# What slack gains each time ef doubles beyond 16: calibrate() finds .022 on the definitions of
# WordNet, .03 on digits and on SIFT.
SLACKS = (0.022, 0.030)


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
        self.index = self.vicinal.open(path, mode="load")

    def index_bytes(self) -> int:
        return int(self.index.memory().total)


class VicinalGraph(Vicinal):
    def __init__(self, dim: int, metric: str, codec: str, refine: str | None, builder: str) -> None:
        super().__init__(dim, metric)
        self.ef = BUILD_EF
        self.flags = {"links": LINKS, "build_ef": BUILD_EF, "builder": builder, **self.flags}
        self.index = self.vicinal.HNSWIndex(
            dim=dim,
            metric=self.measure,
            codec=codec,
            refine=refine,
            links=LINKS,
            build_ef=BUILD_EF,
            builder=builder,
        )

    def tune(self, k: int, params: Params) -> None:
        self.ef = params["ef"]

    def search(self, queries: Floats, k: int) -> Ints:
        return np.asarray(self.index.search(queries, k, ef=self.ef, threads=self.threads).ids)


class VicinalSlack(VicinalGraph):
    """Walks end by distance too."""

    def sweep(self, k: int) -> list[list[Params]]:
        efs = [params["ef"] for params in super().sweep(k)[0]]
        return [
            [{"ef": ef, "slack": round(max(0.0, c * math.log2(ef / 16)), 4)} for ef in efs]
            for c in SLACKS
        ]

    def tune(self, k: int, params: Params) -> None:
        self.params = params

    def search(self, queries: Floats, k: int) -> Ints:
        ef, slack = self.params["ef"], self.params["slack"]
        found = self.index.search(queries, k, ef=ef, slack=slack, threads=self.threads)
        return np.asarray(found.ids)


class VicinalBuilt(VicinalSlack):
    """What vicinal.build() makes of it, whatever that is."""

    def __init__(self, dim: int, metric: str) -> None:
        Vicinal.__init__(self, dim, metric)

    def build(self, base: Floats, threads: int) -> None:
        self.index = self.vicinal.build(base, self.measure, threads=threads)
        self.flags = {"codes": self.index.report.codes, **self.flags}


class VicinalLists(Vicinal):
    """As many lists as the others get: four times sqrt(n)."""

    def __init__(
        self,
        dim: int,
        metric: str,
        codec: str,
        refine: str | None,
        soar: bool,
        depths: tuple[int, ...],
    ) -> None:
        super().__init__(dim, metric)
        self.codec = codec.format(pairs=dim // 2 if dim % 2 == 0 else dim)
        self.refine, self.soar, self.depths = refine, soar, depths
        self.lists = 0

    def build(self, base: Floats, threads: int) -> None:
        self.lists = power_of_two(4 * math.sqrt(len(base)))
        self.index = self.vicinal.IVFIndex(
            dim=self.dim,
            metric=self.measure,
            codec=self.codec,
            refine=self.refine,
            lists=self.lists,
            soar=self.soar,
        )
        self.flags = {"lists": self.lists, "codec": self.codec, **self.flags}
        super().build(base, threads)

    def load(self, path: Path) -> None:
        super().load(path)
        self.lists = len(self.index.list_sizes)

    def sweep(self, k: int) -> list[list[Params]]:
        return probes(self.lists, "depth", self.depths if self.refine else (1,))

    def search(self, queries: Floats, k: int) -> Ints:
        found = self.index.search(
            queries,
            k,
            nprobe=self.params["nprobe"],
            candidates=self.params["depth"] * k,
            threads=self.threads,
        )
        return np.asarray(found.ids)


class VicinalFlat(Vicinal):
    def __init__(self, dim: int, metric: str) -> None:
        super().__init__(dim, metric)
        self.index = self.vicinal.FlatIndex(dim=dim, metric=self.measure)

    def sweep(self, k: int) -> list[list[Params]]:
        return [[{}]]

    def search(self, queries: Floats, k: int) -> Ints:
        return np.asarray(self.index.search(queries, k, threads=self.threads).ids)


def _graph(
    name: str,
    codec: str,
    refine: str | None,
    builder: str = "auto",
    kind: type[VicinalGraph] = VicinalGraph,
) -> Contender:
    make = partial(kind, codec=codec, refine=refine, builder=builder)
    return Contender(f"vicinal HNSW {name}", "vicinal", "graph", make)


def _lists(
    name: str,
    codec: str,
    refine: str | None,
    soar: bool = False,
    depths: tuple[int, ...] = COARSE_DEPTHS,
) -> Contender:
    make = partial(VicinalLists, codec=codec, refine=refine, soar=soar, depths=depths)
    return Contender(f"vicinal IVF {name}", "vicinal", "lists", make)


CONTENDERS = [
    Contender("vicinal build", "vicinal", "graph", VicinalBuilt),
    _graph("f32", "float32", None),
    _graph("SQ8", "sq8", None),
    _graph("SQ8+f16", "sq8", "float16"),
    _graph("SQ8+f16 inserted", "sq8", "float16", builder="insert"),
    _graph("SQ8+f16 slack", "sq8", "float16", kind=VicinalSlack),
    _graph("SQ4+f16", "sq4", "float16"),
    _graph("SQ4+f16 slack", "sq4", "float16", kind=VicinalSlack),
    _lists("SQ4+f16", "sq4", "float16", depths=FINE_DEPTHS),
    _lists("PQ4+f16", "pq{pairs}x4", "float16"),
    _lists("PQ4+f16 SOAR", "pq{pairs}x4", "float16", soar=True),
    _lists("RaBitQ1+f16", "rabitq1", "float16"),
    Contender("vicinal Flat", "vicinal", "flat", VicinalFlat),
]
