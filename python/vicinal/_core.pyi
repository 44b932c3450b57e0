"""Written by hand; changes in the same commit as python/bindings. Not public: use vicinal."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._types import Progress

_Array = npt.NDArray[Any]
_Ids = npt.NDArray[np.int64]
_Distances = npt.NDArray[np.float32]
_Bits = npt.NDArray[np.uint8]

version: str

#: Name, parts, bits, variant, seed.
_CodecKey = tuple[str, int, int, int, int]

class Error(Exception): ...
class ArgumentError(Error, ValueError): ...
class DimensionError(ArgumentError): ...
class ConfigError(Error, RuntimeError): ...

class FormatError(Error, ValueError):
    path: str
    offset: int

class CancelledError(Error): ...

def cpu_info() -> tuple[str, list[str], list[str], str, bool]: ...
def default_threads() -> int: ...
def set_default_threads(threads: int) -> None: ...
def file_info(
    path: bytes,
) -> tuple[int, str, str, str, int, list[tuple[str, int, int, int]]]: ...
def verify_file(path: bytes, threads: int | None, progress: Progress | None) -> None: ...
def kmeans(
    vectors: _Array,
    clusters: int,
    metric: str,
    start: str,
    first: _Distances | None,
    iterations: int,
    restarts: int,
    tolerance: float,
    balance: str,
    slack: float,
    branching: int,
    epsilon: float,
    rounds: int,
    seed: int,
    threads: int | None,
    progress: Progress | None,
) -> tuple[
    _Distances,
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint64],
    float,
    float,
    float,
    int,
    bool,
]: ...
def assign(
    vectors: _Array,
    centroids: _Distances,
    metric: str,
    nearest: int,
    threads: int | None,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.uint32], _Distances]: ...
def kmedoids(
    vectors: _Array,
    clusters: int,
    metric: str,
    method: str,
    start: _Ids | str,
    iterations: int,
    samples: int,
    sample_size: int | None,
    refine: int | None,
    seed: int,
    threads: int | None,
    progress: Progress | None,
) -> tuple[_Ids, npt.NDArray[np.uint32], float, int, int, bool, str]: ...

class VectorCodec:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    @staticmethod
    def train(
        codec: _CodecKey,
        metric: str,
        vectors: _Array,
        threads: int | None,
        progress: Progress | None,
    ) -> VectorCodec: ...
    @property
    def codec(self) -> _CodecKey: ...
    @property
    def dim(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def metric(self) -> str: ...
    def encode(
        self, vectors: _Array, threads: int | None, progress: Progress | None
    ) -> npt.NDArray[np.uint8]: ...
    def decode(self, codes: _Array, threads: int | None) -> _Distances: ...
    def distances(self, queries: _Array, codes: _Array, threads: int | None) -> _Distances: ...

def rerank(
    queries: _Array,
    vectors: _Array,
    ids: _Ids,
    k: int,
    metric: str,
    threads: int | None,
    progress: Progress | None,
) -> tuple[_Ids, _Distances]: ...
def bit_thresholds(
    vectors: _Array, kind: str, threads: int | None, progress: Progress | None
) -> _Distances: ...
def pack_bits(
    vectors: _Array,
    thresholds: _Distances | None,
    threads: int | None,
    progress: Progress | None,
) -> _Bits: ...

class BinaryIndex:
    def __init__(self, dim: int, metric: str) -> None: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    def size(self) -> int: ...
    def add(
        self,
        vectors: _Array,
        ids: _Ids | None,
        threads: int | None,
        progress: Progress | None,
    ) -> None: ...
    def remove(self, ids: _Ids) -> None: ...
    def contains(self, id: int) -> bool: ...
    def get(self, id: int) -> _Bits: ...
    def ids(self) -> _Ids: ...
    def search(
        self,
        queries: _Array,
        k: int,
        allow: _Array | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[_Ids, _Distances]: ...
    def range_search(
        self,
        queries: _Array,
        radius: float,
        allow: _Array | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[npt.NDArray[np.uint64], _Ids, _Distances]: ...
    def rescore(
        self,
        queries: _Array,
        ids: _Ids,
        k: int,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[_Ids, _Distances]: ...
    def memory(self) -> list[tuple[str, int, bool]]: ...
    def save(self, path: bytes, metadata: str, progress: Progress | None) -> None: ...
    @staticmethod
    def open(path: bytes, load: bool) -> BinaryIndex: ...

class FlatIndex:
    def __init__(
        self, dim: int, metric: str, codec: _CodecKey, transform: Transform | None
    ) -> None: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def transform(self) -> Transform | None: ...
    @property
    def codec(self) -> _CodecKey: ...
    def size(self) -> int: ...
    def add(
        self,
        vectors: _Array,
        ids: _Ids | None,
        threads: int | None,
        progress: Progress | None,
    ) -> None: ...
    def remove(self, ids: _Ids) -> None: ...
    def contains(self, id: int) -> bool: ...
    def get(self, id: int) -> _Distances: ...
    def ids(self) -> _Ids: ...
    def search(
        self,
        queries: _Array,
        k: int,
        allow: _Array | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[_Ids, _Distances]: ...
    def range_search(
        self,
        queries: _Array,
        radius: float,
        allow: _Array | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[npt.NDArray[np.uint64], _Ids, _Distances]: ...
    def memory(self) -> list[tuple[str, int, bool]]: ...
    def save(self, path: bytes, metadata: str, progress: Progress | None) -> None: ...
    @staticmethod
    def open(path: bytes, load: bool) -> FlatIndex: ...

class HnswIndex:
    def __init__(
        self,
        dim: int,
        metric: str,
        codec: _CodecKey,
        refine: str,
        links: int,
        build_ef: int,
        seed: int,
        builder: str,
        transform: Transform | None,
    ) -> None: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def transform(self) -> Transform | None: ...
    @property
    def codec(self) -> _CodecKey: ...
    @property
    def refine(self) -> str: ...
    @property
    def links(self) -> int: ...
    @property
    def build_ef(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def builder(self) -> str: ...
    def size(self) -> int: ...
    def removed(self) -> int: ...
    def add(
        self,
        vectors: _Array,
        ids: _Ids | None,
        threads: int | None,
        progress: Progress | None,
    ) -> None: ...
    def remove(self, ids: _Ids) -> None: ...
    def contains(self, id: int) -> bool: ...
    def get(self, id: int) -> _Distances: ...
    def ids(self) -> _Ids: ...
    def compact(self, threads: int | None, progress: Progress | None) -> None: ...
    def reorder(self, threads: int | None, progress: Progress | None) -> None: ...
    def search(
        self,
        queries: _Array,
        k: int,
        ef: int,
        slack: float | None,
        rerank: int | None,
        allow: _Array | None,
        without: _Ids | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[_Ids, _Distances]: ...
    def search_stats(
        self,
        queries: _Array,
        k: int,
        ef: int,
        slack: float | None,
        rerank: int | None,
        allow: _Array | None,
        threads: int | None,
    ) -> tuple[int, int, int, int]: ...
    def memory(self) -> list[tuple[str, int, bool]]: ...
    def save(self, path: bytes, metadata: str, progress: Progress | None) -> None: ...
    @staticmethod
    def open(path: bytes, load: bool) -> HnswIndex: ...

class IvfIndex:
    def __init__(
        self,
        dim: int,
        metric: str,
        codec: _CodecKey,
        refine: str,
        lists: int | None,
        residual: bool,
        soar: bool,
        spill: float,
        balance: float,
        seed: int,
        transform: Transform | None,
    ) -> None: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def transform(self) -> Transform | None: ...
    @property
    def codec(self) -> _CodecKey: ...
    @property
    def refine(self) -> str: ...
    @property
    def lists(self) -> int: ...
    @property
    def residual(self) -> bool: ...
    @property
    def soar(self) -> bool: ...
    @property
    def spill(self) -> float: ...
    @property
    def balance(self) -> float: ...
    @property
    def seed(self) -> int: ...
    def size(self) -> int: ...
    def list_sizes(self) -> npt.NDArray[np.uint32]: ...
    def train(self, vectors: _Array, threads: int | None, progress: Progress | None) -> None: ...
    def add(
        self,
        vectors: _Array,
        ids: _Ids | None,
        threads: int | None,
        progress: Progress | None,
    ) -> None: ...
    def remove(self, ids: _Ids) -> None: ...
    def contains(self, id: int) -> bool: ...
    def get(self, id: int) -> _Distances: ...
    def ids(self) -> _Ids: ...
    def search(
        self,
        queries: _Array,
        k: int,
        nprobe: int,
        candidates: int | None,
        cut: float | None,
        allow: _Array | None,
        threads: int | None,
        progress: Progress | None,
    ) -> tuple[_Ids, _Distances]: ...
    def search_stats(
        self,
        queries: _Array,
        k: int,
        nprobe: int,
        candidates: int | None,
        cut: float | None,
        allow: _Array | None,
        threads: int | None,
    ) -> tuple[int, int, int]: ...
    def memory(self) -> list[tuple[str, int, bool]]: ...
    def save(self, path: bytes, metadata: str, progress: Progress | None) -> None: ...
    @staticmethod
    def open(path: bytes, load: bool) -> IvfIndex: ...

class Transform:
    def __init__(
        self, data: _Distances, query: _Distances | None, offset: _Distances | None
    ) -> None: ...
    @staticmethod
    def rotation(dim: int, seed: int) -> Transform: ...
    @property
    def dim(self) -> int: ...
    @property
    def out_dim(self) -> int: ...
    @property
    def fast(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    def data_matrix(self) -> _Distances: ...
    def query_matrix(self) -> _Distances: ...
    def offset(self) -> _Distances: ...
    def fits(self, metric: str) -> bool: ...
    def exact(self, metric: str) -> bool: ...
    def data(
        self, vectors: _Array, threads: int | None, progress: Progress | None
    ) -> _Distances: ...
    def queries(
        self, queries: _Array, metric: str, threads: int | None, progress: Progress | None
    ) -> tuple[_Distances, _Distances]: ...
    def inverse(
        self, transformed: _Array, threads: int | None, progress: Progress | None
    ) -> _Distances: ...
