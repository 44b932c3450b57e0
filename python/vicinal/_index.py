"""What every index can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from vicinal._convert import NATIVE, as_id, as_ids, as_path, as_vectors
from vicinal._core import BinaryIndex as CoreBinary
from vicinal._core import FlatIndex as CoreFlat
from vicinal._core import HnswIndex as CoreHnsw
from vicinal._core import IvfIndex as CoreIvf
from vicinal._core import Transform as CoreTransform
from vicinal._core import version
from vicinal._types import Array, Distances, Ids, Path, Progress
from vicinal.params import codec_of
from vicinal.report import BuildReport
from vicinal.results import MemoryPart, MemoryReport

if TYPE_CHECKING:
    from vicinal.transforms import Transform

Self = TypeVar("Self", bound="Index")


class Index:
    """The operations that all indexes share. Not to be made itself."""

    __slots__ = ("__weakref__", "_core", "_report", "_source")

    _core: CoreBinary | CoreFlat | CoreHnsw | CoreIvf
    _report: BuildReport | None
    #: Where an unchanged index can be read again: path, mode, and the file's stamp.
    _source: tuple[str, str, tuple[int, ...]] | None

    def _begin(self, core: CoreBinary | CoreFlat | CoreHnsw | CoreIvf) -> None:
        self._core = core
        self._report = None
        self._source = None

    @property
    def dim(self) -> int:
        """Numbers per vector."""
        return self._core.dim

    @property
    def metric(self) -> str:
        """What is measured: "l2", "ip" or "cosine"; of bits "hamming" or "jaccard"."""
        return self._core.metric

    @property
    def report(self) -> BuildReport | None:
        """What :func:`vicinal.build` chose and measured; None for an index made by hand."""
        return self._report

    def __len__(self) -> int:
        """Vectors that a search can return."""
        return self._core.size()

    def __contains__(self, id: object) -> bool:
        """Whether a vector has this id; False for anything that is not an id."""
        try:
            number = as_id(id, "id")
        except (TypeError, ValueError):
            return False
        return self._core.contains(number)

    @property
    def ids(self) -> Ids:
        """Every id: int64, shape (len(index),). A copy.

        In order of insertion, unless the index was laid out anew by ``reorder()``.
        """
        return self._core.ids()

    def add(
        self,
        vectors: npt.ArrayLike,
        ids: npt.ArrayLike | None = None,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Add vectors; searches may go on meanwhile.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            float64, float32, float16, int8 or uint8 at any strides are read in place, block by
            block. Other numbers are converted first, as a whole.
        ids : array_like of int, shape (n,), optional
            Each from 0 to 2**63 - 1 and new. Without it, ids continue from the highest so far.
        threads : int, optional
            How many to use, 1 to 1024. The result does not depend on it.
        progress : callable, optional
            ``progress(stage, done, total)``, about ten times a second; returning False stops with
            a :class:`~vicinal.CancelledError`. Nothing has been added then, but that a graph keeps
            the batches that it had linked one by one.

        Raises
        ------
        DimensionError
            The vectors are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            An id is negative, repeated or taken; a vector holds NaN or infinity, or under cosine
            only zeros, or a value that the codec cannot hold. Nothing has changed.
        TypeError
            The vectors or ids are not numbers of such types. Nothing has changed.
        """
        array = as_vectors(vectors, "vectors")
        chosen = None if ids is None else as_ids(ids, "ids")
        self._source = None
        self._core.add(array, chosen, threads, progress)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove vectors; searches may go on meanwhile.

        Parameters
        ----------
        ids : array_like of int, shape (n,), or int
            Each present, none twice.

        Raises
        ------
        ArgumentError
            An id is absent or repeated. A ``ValueError``. Nothing has changed.
        TypeError
            The ids are not integers. Nothing has changed.
        """
        gone = as_ids(ids, "ids")
        self._source = None
        self._core.remove(gone)

    def get(self, id: int) -> Distances:
        """Give back a stored vector.

        Parameters
        ----------
        id : int

        Returns
        -------
        ndarray of float32, shape (dim,)
            As exact as the finest store that the index keeps; under cosine of length 1.

        Raises
        ------
        ArgumentError
            There is no such id. A ``ValueError``.
        """
        found: Distances = self._core.get(as_id(id, "id"))  # type: ignore[assignment]
        return found

    def memory(self) -> MemoryReport:
        """Count the bytes of every part.

        Returns
        -------
        MemoryReport
            A mapping from names to bytes that prints as a table, with ``total``.
        """
        return MemoryReport(tuple(MemoryPart(*part) for part in self._core.memory()))

    def save(self, path: Path, *, progress: Progress | None = None) -> None:
        """Write the index to a file; searches may go on meanwhile.

        The file appears whole or not at all: a crash leaves what was there before. Settings and
        :attr:`report` are kept in it. It is the same for every machine.

        Parameters
        ----------
        path : str or os.PathLike
        progress : callable, optional
            As for :meth:`add`; counts bytes.

        Raises
        ------
        OSError
            The system refused, for example because the disk is full.
        """
        where = as_path(path)
        self._core.save(where, json.dumps(self._settings(), allow_nan=False), progress)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"vicinal": version}
        if self._report is not None:
            settings["report"] = self._report.to_dict()
        return settings

    def _restore(self, settings: dict[str, Any]) -> None:
        """Take up what :meth:`_settings` gave; ArgumentError or TypeError if it makes no sense."""
        report = settings.get("report")
        if report is not None:
            self._report = BuildReport.from_dict(report)

    def __copy__(self: Self) -> Self:
        raise TypeError(
            f"{type(self).__name__} is not copied by copy.copy; copy.deepcopy makes a second "
            "index, save() and vicinal.open() one that shares memory through a file"
        )


class VectorIndex(Index):
    """An index of floats, whose codec may stand behind a transform. Not to be made itself."""

    __slots__ = ()

    _core: CoreFlat | CoreHnsw | CoreIvf

    @property
    def transform(self) -> Transform | None:
        """What stands before the codec; kept in the file. See :mod:`vicinal.transforms`."""
        from vicinal.transforms import Transform

        core = self._core.transform
        return None if core is None else Transform._of(core)

    def _stored_as(self) -> str:
        """Codec and what stands before it, for people."""
        core = self._core.transform
        before = "" if core is None else f"{core.dim} -> {core.out_dim}, "
        return f"{before}{codec_of(self._core.codec)}"


def transform_core(transform: object) -> CoreTransform | None:
    """Return what the compiled part takes for the argument `transform`."""
    if transform is None:
        return None
    core = getattr(transform, "_core", None)
    if isinstance(core, CoreTransform):
        return core
    hint = ""
    if callable(getattr(transform, "fit", None)):
        hint = f"; fit it first: {transform}.fit(vectors, metric=...)"
    raise TypeError(
        f"transform must be None or a vicinal.transforms.Transform, got "
        f"{type(transform).__name__} {transform!r}{hint}"
    )


def as_queries(queries: npt.ArrayLike) -> Array:
    """Make an array that the compiled part reads in place."""
    if type(queries) is np.ndarray and queries.dtype in NATIVE:
        return queries
    return as_vectors(queries, "queries")
