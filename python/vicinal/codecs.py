"""Codecs on their own: vectors in few bytes, without an index.

>>> import numpy as np
>>> from vicinal import codecs
>>> vectors = np.random.default_rng(0).standard_normal((1000, 32), dtype=np.float32)
>>> trained = codecs.PQ(parts=8).train(vectors)
>>> codes = trained.encode(vectors)
>>> codes.shape, codes.dtype, trained.decode(codes).shape
((1000, 8), dtype('uint8'), (1000, 32))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_array, as_vectors
from vicinal._core import VectorCodec as Core
from vicinal._types import Array, Metric, Progress
from vicinal.errors import ArgumentError
from vicinal.params import (
    PQ,
    RQ,
    SQ4,
    SQ8,
    Codec,
    Float8,
    Float16,
    Float32,
    Int8,
    RaBitQ,
    SignBits,
    SQ4x8,
    Uint8,
    as_codec,
    codec_of,
)

__all__ = [
    "PQ",
    "RQ",
    "SQ4",
    "SQ8",
    "Codec",
    "Float8",
    "Float16",
    "Float32",
    "Int8",
    "RaBitQ",
    "SQ4x8",
    "SignBits",
    "TrainedCodec",
    "Uint8",
]


class TrainedCodec:
    """A codec that has learned: immutable, usable from any threads; made by :meth:`Codec.train`."""

    __slots__ = ("_core",)

    _core: Core

    def __init__(self) -> None:
        raise TypeError("a TrainedCodec is made by train(), as in PQ(48).train(vectors)")

    @classmethod
    def train(
        cls,
        codec: Codec | str,
        vectors: npt.ArrayLike,
        *,
        metric: Metric | str = "l2",
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> TrainedCodec:
        """As :meth:`Codec.train`, of a codec or its text."""
        self = cls.__new__(cls)
        rows = as_vectors(vectors, "vectors")
        self._core = Core.train(as_codec(codec).key(), metric, rows, threads, progress)
        return self

    @property
    def codec(self) -> Codec:
        """What was trained."""
        return codec_of(self._core.codec)

    @property
    def dim(self) -> int:
        """Numbers per vector."""
        return self._core.dim

    @property
    def metric(self) -> str:
        """What the codes serve."""
        return self._core.metric

    @property
    def bytes(self) -> int:
        """Bytes of one code, everything that belongs to one vector counted."""
        return self._core.bytes

    def encode(
        self,
        vectors: npt.ArrayLike,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Write vectors as codes.

        Parameters
        ----------
        vectors : array_like, shape (n, dim)

        Returns
        -------
        numpy.ndarray of uint8, shape (n, bytes)

        Raises
        ------
        DimensionError
            The vectors are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            NaN, infinity, a zero vector under cosine, a value that the codec cannot hold.
        """
        return self._core.encode(as_vectors(vectors, "vectors"), threads, progress)

    def decode(
        self, codes: npt.ArrayLike, *, threads: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the vectors that codes stand for.

        Parameters
        ----------
        codes : array_like of uint8, shape (n, bytes)
            As :meth:`encode` wrote them. Any bytes decode to something.

        Returns
        -------
        numpy.ndarray of float32, shape (n, dim)
        """
        return self._core.decode(_codes(codes), threads)

    def distances(
        self, queries: npt.ArrayLike, codes: npt.ArrayLike, *, threads: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Compare each query with each code, as an index over these codes does.

        Parameters
        ----------
        queries : array_like, shape (q, dim)
        codes : array_like of uint8, shape (n, bytes)

        Returns
        -------
        numpy.ndarray of float32, shape (q, n)
            Squared L2 distances, negative inner products or 1 - cosine, estimated.
        """
        return self._core.distances(as_vectors(queries, "queries"), _codes(codes), threads)

    def __repr__(self) -> str:
        return f"<TrainedCodec {self.codec}: {self.dim} dimensions in {self.bytes} bytes>"


def _codes(values: npt.ArrayLike) -> Array:
    array = as_array(values, "codes")
    if array.dtype != np.uint8:
        raise TypeError(f"codes holds {array.dtype}; wanted uint8, as encode() returns")
    if array.ndim != 2:
        raise ArgumentError(f"codes has {array.ndim} dimensions; wanted 2")
    return np.ascontiguousarray(array)
