"""Two matrices and an offset, applied."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_array, as_id, as_vectors
from vicinal._core import Transform as Core
from vicinal._types import Metric, Path, Progress
from vicinal.errors import ArgumentError, DimensionError
from vicinal.io._check import format_error
from vicinal.io.npy import npz_keys, read_npz, write_npz

__all__ = ["METRICS", "Transform"]

METRICS = ("l2", "ip", "cosine")
Floats = npt.NDArray[np.float32]

_MATRICES = ["data", "query", "offset"]
_ROTATION = ["rotation"]
#: How far from the identity the product of two matrices may be that undo one another.
_TOLERANCE = 1e-3


class Transform:
    """A linear map for stored vectors, one for queries, and an offset. Immutable.

    With A for data, B for queries and o for the offset, a vector x becomes ``y = A (x - o)`` and a
    query q becomes ``B q``, under "l2" ``B (q - o)``. Distances are then estimated by

    - inner product: ``<q, x> ~ <q, o> + <B q, y>``, exact if ``B.T @ A`` is the identity; "cosine"
      is this between vectors that were scaled to length 1 before;
    - L2: ``|q - x|^2 ~ |B (q - o) - y|^2`` and what B drops of ``q - o``, only where A = B has
      orthonormal rows (fewer dimensions) or columns (exact).

    Parameters
    ----------
    data : array_like, shape (out, in)
        The matrix for stored vectors.
    query : array_like, shape (out, in), optional
        The matrix for queries; the same as `data` without it.
    offset : array_like, shape (in,), optional
        Subtracted first; zeros without it.

    Raises
    ------
    ArgumentError
        Shapes that do not fit, no or more than 32768 dimensions, NaN, infinity. A ``ValueError``.
    TypeError
        The matrices do not hold numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from vicinal.transforms import Transform
    >>> turn = Transform([[0, 1], [-1, 0]])
    >>> turn.data([[3, 4]])
    array([[ 4., -3.]], dtype=float32)
    >>> turn.inverse([[4, -3]])
    array([[3., 4.]], dtype=float32)
    """

    __slots__ = ("_core",)

    _core: Core

    def __init__(
        self,
        data: npt.ArrayLike,
        query: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> None:
        self._core = Core(
            _floats(data, "data"),
            None if query is None else _floats(query, "query"),
            None if offset is None else _floats(offset, "offset"),
        )

    @classmethod
    def rotation(cls, dim: int, seed: int = 0) -> Transform:
        """Make a random rotation that needs no matrices: time dim log dim instead of dim^2.

        Parameters
        ----------
        dim : int
            From 1 to 32768.
        seed : int
            Decides the rotation alone.
        """
        return cls._of(Core.rotation(dim, seed))

    @classmethod
    def _of(cls, core: Core) -> Transform:
        self = cls.__new__(cls)
        self._core = core
        return self

    @property
    def dim(self) -> int:
        """Numbers per vector that goes in."""
        return self._core.dim

    @property
    def out_dim(self) -> int:
        """Numbers per vector that comes out."""
        return self._core.out_dim

    @property
    def data_matrix(self) -> Floats:
        """The matrix for stored vectors: float32, shape (out_dim, dim). A copy."""
        return self._core.data_matrix()

    @property
    def query_matrix(self) -> Floats:
        """The matrix for queries: float32, shape (out_dim, dim). A copy."""
        return self._core.query_matrix()

    @property
    def offset(self) -> Floats:
        """What is subtracted first: float32, shape (dim,). A copy."""
        return self._core.offset()

    def fits(self, metric: Metric | str) -> bool:
        """Whether distances of a metric can be taken after the transform at all.

        Parameters
        ----------
        metric : {"l2", "ip", "cosine"}

        Returns
        -------
        bool
            False only for "l2", and unless both matrices are the same, with orthonormal rows or
            columns.
        """
        return self._core.fits(metric)

    def exact(self, metric: Metric | str) -> bool:
        """Whether distances are those of the vectors that went in, to 1e-4 of their lengths.

        Parameters
        ----------
        metric : {"l2", "ip", "cosine"}

        Returns
        -------
        bool
            Tried on random vectors when the transform was made.
        """
        return self._core.exact(metric)

    def data(
        self,
        vectors: npt.ArrayLike,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Floats:
        """Transform vectors that are to be stored.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            Under "cosine" scaled to length 1 before.
        threads : int, optional
            How many to use, 1 to 1024. The result does not depend on it.
        progress : callable, optional
            ``progress(stage, done, total)``; returning False stops with a
            :class:`~vicinal.CancelledError`.

        Returns
        -------
        ndarray of float32, shape (n, out_dim)

        Raises
        ------
        DimensionError
            The vectors are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            NaN, infinity, or a result too large for float32.
        """
        return self._core.data(as_vectors(vectors, "vectors"), threads, progress)

    def queries(
        self,
        queries: npt.ArrayLike,
        metric: Metric | str,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Floats:
        """Transform queries.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
        metric : {"l2", "ip", "cosine"}
            The offset is subtracted under "l2" only.
        threads, progress
            As for :meth:`data`.

        Returns
        -------
        ndarray of float32, shape (q, out_dim)

        Raises
        ------
        DimensionError, ArgumentError
            As for :meth:`data`; also if the transform does not fit the metric.
        """
        array = as_vectors(queries, "queries")
        return self._core.queries(array, metric, threads, progress)[0]

    def shifts(
        self, queries: npt.ArrayLike, metric: Metric | str, *, threads: int | None = None
    ) -> Floats:
        """Return what turns scores between transformed vectors into distances of the originals.

        ``|q' - y|^2 + shift`` or ``-<q', y> + shift``, where q' is a transformed query, is the
        distance that is meant. It is the same for all vectors, and no matter for their order.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
            As they are, not transformed.
        metric : {"l2", "ip", "cosine"}
        threads : int, optional

        Returns
        -------
        ndarray of float32, shape (q,)
        """
        array = as_vectors(queries, "queries")
        return self._core.queries(array, metric, threads, None)[1]

    def inverse(
        self,
        transformed: npt.ArrayLike,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Floats:
        """Return what transformed vectors stand for: ``o + B.T @ y``.

        Parameters
        ----------
        transformed : array_like, shape (n, out_dim) or (out_dim,)
        threads, progress
            As for :meth:`data`.

        Returns
        -------
        ndarray of float32, shape (n, dim)
            The vectors that went in, if the transform is exact; else the vectors whose distances
            are those that are estimated.
        """
        array = as_vectors(transformed, "transformed")
        return self._core.inverse(array, threads, progress)

    def compose(self, then: Transform) -> Transform:
        """Make one transform of two.

        Parameters
        ----------
        then : Transform
            Applied to what this one returns.

        Returns
        -------
        Transform

        Raises
        ------
        DimensionError
            `then` does not take what this one gives. A ``ValueError``, as is the next.
        ArgumentError
            `then` has an offset that has no place before this one, because here more dimensions
            come out than go in, or the two matrices do not undo one another.
        """
        if not isinstance(then, Transform):
            raise TypeError(f"then must be a Transform, got {type(then).__name__} {then!r}")
        if then.dim != self.out_dim:
            raise DimensionError(
                f"then takes {then.dim} dimensions; this transform gives {self.out_dim}"
            )
        data, query = _wide(self.data_matrix), _wide(self.query_matrix)
        offset, later = _wide(self.offset), _wide(then.offset)
        if later.any():
            if np.abs(data @ query.T - np.eye(self.out_dim)).max() > _TOLERANCE:
                raise ArgumentError(
                    "then has an offset, which has no place before this transform: data_matrix @ "
                    "query_matrix.T is not the identity here"
                )
            offset = offset + query.T @ later
        return Transform(_wide(then.data_matrix) @ data, _wide(then.query_matrix) @ query, offset)

    def save(self, path: Path) -> None:
        """Write the transform to an npz file; it appears whole or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            Holds "data", "query" and "offset" as float32, which ``numpy.load`` reads; of
            :meth:`rotation` only "rotation": its dimensions and its seed.
        """
        if self._core.fast:
            write_npz(path, {"rotation": np.array([self.dim, self._core.seed], np.uint64)})
            return
        arrays = (self.data_matrix, self.query_matrix, self.offset)
        write_npz(path, dict(zip(_MATRICES, arrays, strict=True)))

    @classmethod
    def load(cls, path: Path) -> Transform:
        """Read a transform that :meth:`save` wrote.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        FormatError
            The file is damaged or holds something else. A ``ValueError``.
        OSError
            It cannot be read.
        """
        try:
            keys = npz_keys(path)
        except (EOFError, OverflowError, struct.error) as error:
            raise format_error(path, 0, f"not an npz file ({error})") from error
        except OSError as error:
            if error.filename is not None:
                raise
            raise format_error(path, 0, f"not an npz file ({error})") from error
        if sorted(keys) not in (sorted(_MATRICES), _ROTATION):
            raise format_error(
                path, 0, f"arrays {', '.join(keys) or '(none)'}; wanted {', '.join(_MATRICES)}"
            )
        arrays = [read_npz(path, key=key) for key in sorted(keys)]
        try:
            if len(arrays) == 1:
                return cls._of(Core.rotation(*_rotation(arrays[0])))
            for key, array in zip(sorted(keys), arrays, strict=True):
                if array.dtype != np.float32:
                    raise ArgumentError(f"{key} holds {array.dtype}; wanted float32")
            data, offset, query = arrays
            return cls(data, query, offset)
        except ArgumentError as error:
            raise format_error(os.fspath(path), 0, str(error)) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Transform):
            return NotImplemented
        a, b = self._core, other._core
        if (a.dim, a.out_dim, a.fast, a.seed) != (b.dim, b.out_dim, b.fast, b.seed):
            return False
        return a.fast or (
            np.array_equal(a.data_matrix(), b.data_matrix())
            and np.array_equal(a.query_matrix(), b.query_matrix())
            and np.array_equal(a.offset(), b.offset())
        )

    def __hash__(self) -> int:
        # + 0: -0.0 equals 0.0, but not by its bytes.
        own = b"" if self._core.fast else (self.data_matrix + np.float32(0)).tobytes()
        return hash((self.dim, self.out_dim, self._core.fast, self._core.seed, own))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        if self._core.fast:
            return _rotated, (self.dim, self._core.seed)
        return Transform, (self.data_matrix, self.query_matrix, self.offset)

    def __repr__(self) -> str:
        exact = [metric for metric in METRICS if self.exact(metric)]
        rest = [metric for metric in METRICS if metric not in exact and self.fits(metric)]
        said = [f"exact for {', '.join(exact)}"] if exact else []
        if rest:
            said.append(f"approximate for {', '.join(rest)}")
        return f"<vicinal.transforms.Transform {self.dim} -> {self.out_dim}: {'; '.join(said)}>"


def _rotated(dim: int, seed: int) -> Transform:
    return Transform.rotation(dim, seed)


def _floats(values: npt.ArrayLike, argument: str) -> Floats:
    array = as_array(values, argument)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{argument} holds {array.dtype}; wanted numbers")
    with np.errstate(over="ignore"):  # the infinity is refused by name
        return np.require(array, np.float32, ["C", "A"])


def _wide(array: Floats) -> npt.NDArray[np.float64]:
    return array.astype(np.float64)


def _rotation(array: npt.NDArray[Any]) -> tuple[int, int]:
    if array.dtype != np.uint64 or array.shape != (2,):
        raise ArgumentError(f"rotation is {array.shape} {array.dtype}; wanted (2,) uint64")
    dim, seed = (int(value) for value in array)
    if not 1 <= dim <= 32768:
        raise ArgumentError(f"rotation has {dim} dimensions; wanted 1 to 32768")
    return dim, as_id(seed, "seed")
