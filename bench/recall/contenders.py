"""One adapter per library: build, search with one thread, save, load, count bytes.

An adapter imports its library when it is made, in the process where only that library lives.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .datasets import Floats, Ints

LINKS, BUILD_EF = 16, 200


class Contender:
    """What the measuring loop needs. ``flags`` says how the library was called."""

    package = ""
    exact = False  # no ef to turn

    def __init__(self, dim: int, metric: str) -> None:
        self.dim, self.metric = dim, metric
        self.flags: dict[str, Any] = {}

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def build(self, base: Floats, threads: int) -> None:
        raise NotImplementedError

    def one_thread(self) -> None:
        """Called once before searching."""

    def search(self, queries: Floats, k: int, ef: int) -> Ints:
        raise NotImplementedError

    def save(self, path: Path) -> None:
        raise NotImplementedError

    def load(self, path: Path) -> None:
        raise NotImplementedError

    def index_bytes(self) -> int:
        """What the library says of itself, or the size of its file."""
        raise NotImplementedError


class Hnswlib(Contender):
    package = "hnswlib"

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

    def one_thread(self) -> None:
        self.index.set_num_threads(1)

    def search(self, queries: Floats, k: int, ef: int) -> Ints:
        self.index.set_ef(max(ef, k))
        ids, _ = self.index.knn_query(queries, k=k, num_threads=1)
        return np.asarray(ids, np.int64)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: Path) -> None:
        self.index.load_index(str(path))

    def index_bytes(self) -> int:
        return int(self.index.index_file_size())


class Faiss(Contender):
    package = "faiss-cpu"

    def __init__(self, dim: int, metric: str, kind: str) -> None:
        import faiss

        super().__init__(dim, metric)
        self.faiss, self.kind = faiss, kind
        measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        if kind == "Flat":
            self.index = faiss.IndexFlat(dim, measure)
            self.exact = True
        elif kind == "HNSW32":
            self.index = faiss.IndexHNSWFlat(dim, 32, measure)
        else:
            self.index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, 32, measure)
        if not self.exact:
            self.index.hnsw.efConstruction = BUILD_EF
            self.flags = {"M": 32, "efConstruction": BUILD_EF}
        self.flags["compile_options"] = faiss.get_compile_options().strip()

    def build(self, base: Floats, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)
        self.index.train(base)
        self.index.add(base)

    def one_thread(self) -> None:
        self.faiss.omp_set_num_threads(1)

    def search(self, queries: Floats, k: int, ef: int) -> Ints:
        if not self.exact:
            self.index.hnsw.efSearch = ef
        _, ids = self.index.search(queries, k)
        return np.asarray(ids, np.int64)

    def save(self, path: Path) -> None:
        self.faiss.write_index(self.index, str(path))

    def load(self, path: Path) -> None:
        self.index = self.faiss.read_index(str(path))

    def index_bytes(self) -> int:
        return len(self.faiss.serialize_index(self.index))


class Usearch(Contender):
    package = "usearch"

    def __init__(self, dim: int, metric: str, dtype: str) -> None:
        from usearch.index import Index

        super().__init__(dim, metric)
        if dtype == "i8" and metric == "l2":
            raise ValueError("usearch casts to i8 from [-1, 1]: not for these values under l2")
        self.flags = {"connectivity": LINKS, "expansion_add": BUILD_EF, "dtype": dtype}
        self.index = Index(
            ndim=dim,
            metric="l2sq" if metric == "l2" else "ip" if dtype != "i8" else "cos",
            dtype=dtype,
            connectivity=LINKS,
            expansion_add=BUILD_EF,
        )
        self.flags["hardware"] = str(self.index.hardware_acceleration)

    def build(self, base: Floats, threads: int) -> None:
        self.index.add(np.arange(len(base)), base, threads=threads)

    def search(self, queries: Floats, k: int, ef: int) -> Ints:
        self.index.expansion_search = max(ef, k)
        found = self.index.search(queries, k, threads=1)  # one query comes back without rows
        return np.asarray(found.keys, np.int64).reshape(-1, k)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path) -> None:
        self.index.load(str(path))

    def index_bytes(self) -> int:
        return int(self.index.memory_usage)


class Vicinal(Contender):
    package = "vicinal"

    def __init__(self, dim: int, metric: str, codec: str, refine: str | None) -> None:
        import vicinal

        super().__init__(dim, metric)
        self.vicinal = vicinal
        name = "l2" if metric == "l2" else "cosine"
        if codec == "flat":
            self.exact = True
            self.index = vicinal.FlatIndex(dim=dim, metric=name)
        else:
            self.index = vicinal.HNSWIndex(
                dim=dim,
                metric=name,
                codec=getattr(vicinal, codec)(),
                refine=refine,
                links=LINKS,
                build_ef=BUILD_EF,
            )
            self.flags = {"links": LINKS, "build_ef": BUILD_EF}
        self.flags["level"] = vicinal.cpu_info().active

    @property
    def version(self) -> str:  # of what was imported: a checkout has no package metadata
        return str(self.vicinal.__version__)

    def build(self, base: Floats, threads: int) -> None:
        self.index.add(base, threads=threads)

    def search(self, queries: Floats, k: int, ef: int) -> Ints:
        if self.exact:
            return np.asarray(self.index.search(queries, k, threads=1).ids)
        return np.asarray(self.index.search(queries, k, ef=ef, threads=1).ids)

    def save(self, path: Path) -> None:
        self.index.save(path)

    def load(self, path: Path) -> None:
        self.index = self.vicinal.open(path)

    def index_bytes(self) -> int:
        return int(self.index.memory().total)


MAKERS: dict[str, Callable[[int, str], Contender]] = {
    "hnswlib": Hnswlib,
    "faiss HNSW32": lambda dim, metric: Faiss(dim, metric, "HNSW32"),
    "faiss HNSW32-SQ8": lambda dim, metric: Faiss(dim, metric, "HNSW32-SQ8"),
    "usearch f32": lambda dim, metric: Usearch(dim, metric, "f32"),
    "usearch i8": lambda dim, metric: Usearch(dim, metric, "i8"),
    "vicinal HNSW f32": lambda dim, metric: Vicinal(dim, metric, "Float32", None),
    "vicinal HNSW SQ8": lambda dim, metric: Vicinal(dim, metric, "SQ8", None),
    "vicinal HNSW SQ8+f16": lambda dim, metric: Vicinal(dim, metric, "SQ8", "float16"),
    "vicinal HNSW SQ8+f32": lambda dim, metric: Vicinal(dim, metric, "SQ8", "float32"),
    "vicinal HNSW SQ4+f16": lambda dim, metric: Vicinal(dim, metric, "SQ4", "float16"),
    "faiss Flat": lambda dim, metric: Faiss(dim, metric, "Flat"),
    "vicinal Flat": lambda dim, metric: Vicinal(dim, metric, "flat", None),
}
GRAPHS = [name for name in MAKERS if "Flat" not in name]
FLATS = [name for name in MAKERS if "Flat" in name]
