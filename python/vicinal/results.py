"""What searches and reports give back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vicinal._types import Distances, Ids

__all__ = [
    "ListStats",
    "MemoryPart",
    "MemoryReport",
    "Neighbors",
    "RangeResult",
    "SearchStats",
]


class Neighbors(NamedTuple):
    """The nearest vectors of each query, nearest first; ties go to the smaller id.

    A named tuple, so that ``ids, distances = index.search(...)`` works too.

    Attributes
    ----------
    ids : ndarray of int64, shape (q, k)
        Missing places hold -1.
    distances : ndarray of float32, shape (q, k)
        Smaller is nearer: squared L2, negative inner product, 1 - cosine, differing bits or
        1 - Jaccard. Missing places hold inf.
    """

    ids: Ids
    distances: Distances

    @property
    def counts(self) -> npt.NDArray[np.intp]:
        """How many neighbours each query has, shape (q,); below k where there were no more."""
        counts: npt.NDArray[np.intp] = np.count_nonzero(self.ids >= 0, axis=1)
        return counts


class RangeResult(NamedTuple):
    """Everything within a radius of each query, nearest first; ties go to the smaller id.

    Attributes
    ----------
    offsets : ndarray of int64, shape (q + 1,)
        Query ``i`` owns places ``offsets[i]`` to ``offsets[i + 1]`` of the other two.
    ids : ndarray of int64, shape (offsets[-1],)
    distances : ndarray of float32, shape (offsets[-1],)
        As in :class:`Neighbors`.
    """

    offsets: Ids
    ids: Ids
    distances: Distances

    def of(self, query: int) -> tuple[Ids, Distances]:
        """Ids and distances of one query.

        Parameters
        ----------
        query : int
            Its row among the queries, 0 <= query < q.

        Raises
        ------
        IndexError
            There is no such query.
        """
        if not 0 <= query < len(self.offsets) - 1:
            raise IndexError(f"query must be from 0 to {len(self.offsets) - 2}, got {query}")
        place = slice(int(self.offsets[query]), int(self.offsets[query + 1]))
        return self.ids[place], self.distances[place]


class SearchStats(NamedTuple):
    """What the searches of one call did, summed over its queries.

    Attributes
    ----------
    hops : int
        Nodes of the graph whose links were read.
    distances : int
        Codes compared with a query.
    reranked : int
        Rows of the refine store compared with a query.
    scanned : int
        Queries answered by comparing every allowed row instead of walking the graph.
    """

    hops: int
    distances: int
    reranked: int
    scanned: int


class ListStats(NamedTuple):
    """What the searches of one call did in an :class:`~vicinal.IVFIndex`, summed over its queries.

    Attributes
    ----------
    lists : int
        Looked into.
    distances : int
        Codes compared with a query.
    reranked : int
        Rows of the refine store compared with a query.
    """

    lists: int
    distances: int
    reranked: int


@dataclass(frozen=True)
class MemoryPart:
    """One part of an index.

    Attributes
    ----------
    name : str
    bytes : int
    mapped : bool
        It lies in a mapped file, which the system reads and drops as it sees fit.
    """

    name: str
    bytes: int
    mapped: bool


class MemoryReport(Mapping[str, int]):
    """Bytes of every part of an index, by name; prints as a table.

    Attributes
    ----------
    parts : tuple of MemoryPart
    total, allocated, mapped : int
        Bytes in all, of them in memory of the process, of them in a mapped file.
    """

    def __init__(self, parts: tuple[MemoryPart, ...]) -> None:
        self.parts = parts
        self._bytes: dict[str, int] = {}
        for part in parts:
            self._bytes[part.name] = self._bytes.get(part.name, 0) + part.bytes

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def allocated(self) -> int:
        """Bytes in memory of the process."""
        return sum(part.bytes for part in self.parts if not part.mapped)

    @property
    def mapped(self) -> int:
        """Bytes in a mapped file."""
        return self.total - self.allocated

    def __getitem__(self, name: str) -> int:
        return self._bytes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._bytes)

    def __len__(self) -> int:
        return len(self._bytes)

    def __str__(self) -> str:
        rows = [(part.name, part.bytes, " mapped" if part.mapped else "") for part in self.parts]
        rows.append(("total", self.total, ""))
        name_width = max(len(name) for name, _, _ in rows)
        bytes_width = max(len(f"{count:,}") for _, count, _ in rows)
        return "\n".join(
            f"{name:<{name_width}}  {count:>{bytes_width},} bytes{note}"
            for name, count, note in rows
        )

    def __repr__(self) -> str:
        return f"MemoryReport({self._bytes}, total={self.total})"
