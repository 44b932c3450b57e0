"""What is compared: each form learns from rows, then ranks all of them for queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Form:
    """One codec of one library."""

    library: str
    name: str
    #: (rows, metric, threads) -> (search(queries, k) -> ids, bytes a vector)
    make: Callable[[Floats, str, int], tuple[Callable[[Floats, int], Ids], int]]


def vicinal_form(codec: str) -> Form:
    """A codec of vicinal in a flat index."""

    def make(rows: Floats, metric: str, threads: int) -> Any:
        import vicinal

        index = vicinal.FlatIndex(rows.shape[1], metric, codec=codec)
        index.add(rows, threads=threads)
        trained = index.params.codec.train(rows, metric=metric, threads=threads)
        return (lambda queries, k: index.search(queries, k, threads=1).ids), trained.bytes

    return Form("vicinal", codec, make)


def faiss_form(factory: str, *, refine: bool = False) -> Form:
    """A string of faiss.index_factory; {d} is the number of dimensions."""

    def make(rows: Floats, metric: str, threads: int) -> Any:
        import faiss

        faiss.omp_set_num_threads(threads)
        measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(rows.shape[1], factory.format(d=rows.shape[1]), measure)
        index.train(rows)
        index.add(rows)

        def search(queries: Floats, k: int) -> Ids:
            faiss.omp_set_num_threads(1)
            found: Ids = index.search(queries, k)[1]
            return found

        return search, int(index.sa_code_size())

    return Form("faiss", factory, make)


#: Bytes a vector, without what is learned once, to the forms that fit.
def forms_of(budget: int, dim: int) -> list[Form]:
    """Return the forms of both libraries that take at most so many bytes a vector."""
    found = []
    if budget <= dim // 2:
        found += [faiss_form(f"PQ{budget}x8"), faiss_form(f"OPQ{budget},PQ{budget}x8")]
        found += [vicinal_form(f"pq{budget}"), vicinal_form(f"pq{budget}+anisotropic")]
    if budget * 2 <= dim:
        found += [faiss_form(f"PQ{2 * budget}x4"), vicinal_form(f"pq{2 * budget}x4")]
    if budget <= 64:
        found += [faiss_form(f"RQ{budget}x8")]
        found += [vicinal_form(f"rq{budget - 1}")]  # and a byte for the length
    for bits in range(1, 9):
        if (dim * bits + 7) // 8 + 8 <= budget < (dim * (bits + 1) + 7) // 8 + 8:
            suffix = "" if bits == 1 else str(bits)
            found += [faiss_form(f"RaBitQ{suffix}"), faiss_form(f"RR{{d}},RaBitQ{suffix}")]
            found += [vicinal_form(f"rabitq{bits}+uniform"), vicinal_form(f"rabitq{bits}+normal")]
    if dim // 2 <= budget < dim:
        found += [faiss_form("SQ4"), vicinal_form("sq4")]
    if dim <= budget:
        found += [faiss_form("SQ8"), vicinal_form("sq8"), vicinal_form("float8")]
    return found
