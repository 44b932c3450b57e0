"""A named set or a local file as base, queries and true neighbours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vicinal._types import Progress
from vicinal.datasets.catalogue import CATALOGUE, find
from vicinal.datasets.entry import FAMILIES, Entry
from vicinal.datasets.fetching import fetch_files
from vicinal.datasets.layouts import Arrays, from_hdf5, from_npz, read_truth, siblings
from vicinal.datasets.truth import settle
from vicinal.errors import ArgumentError
from vicinal.io import Dataset as Plain
from vicinal.io import read
from vicinal.io._check import Array, PathLike
from vicinal.io.dataset import HDF5_SUFFIXES
from vicinal.io.dataset import _check as check

__all__ = ["Dataset", "from_files", "load"]

_METRICS = ("l2", "ip", "cosine")


@dataclass(frozen=True, eq=False)
class Dataset(Plain):
    """Vectors, held-out queries, their true neighbours, and where all that comes from.

    Arrays are mapped, read-only, where the format allows it. As a `vicinal.io.Dataset` it can be
    given to `vicinal.io.write_dataset`.
    """

    name: str = ""
    files: tuple[Path, ...] = ()
    source: str | None = None
    licence: str | None = None
    citation: str | None = None

    @property
    def dim(self) -> int:
        """Numbers per vector."""
        return int(self.base.shape[1])

    def __repr__(self) -> str:
        places = 0 if self.neighbors is None else self.neighbors.shape[1]
        truth = f"{places} true neighbours each" if places else "true neighbours not known"
        return (
            f"<vicinal.datasets.Dataset {self.name!r}: {len(self.base):,} x {self.dim} "
            f"{self.base.dtype}, {self.metric}, {len(self.queries):,} queries, {truth}>"
        )


def load(
    name: PathLike,
    *,
    rows: int | None = None,
    metric: str | None = None,
    mmap: bool = True,
    sha256: str | None = None,
    base_url: str | None = None,
    registry: Mapping[str, Entry] | None = None,
    offline: bool | None = None,
    progress: Progress | bool | None = None,
) -> Dataset:
    """Load a set by name, fetching it if it is not here yet, or a local file.

    Parameters
    ----------
    name : str or path-like
        A name of `list` or of `registry`; or a file: HDF5 in the layout of ann-benchmarks or VIBE,
        npz with ``base`` and ``query`` (``queries``, ``test``) and perhaps ``gt``, ``gtd`` and
        ``metric``, or ``NAME_base.fvecs`` with ``NAME_query.fvecs`` beside it and perhaps
        ``NAME_groundtruth.ivecs``. `from_files` takes files with other names.
    rows : int, optional
        Only the first so many rows of the base. Of a big-ann file only these are transferred. The
        published truth is about all rows, so there is none then.
    metric : {'l2', 'ip', 'cosine'}, optional
        For local files that do not say.
    mmap : bool
        Map what can be mapped.
    sha256, base_url, registry, offline, progress
        As for `fetch`.

    Returns
    -------
    Dataset
        ``distances`` are counted as this library does: squared L2, negative inner product,
        1 - cosine; None if those of the file, computed anew for a few neighbours, mean none of
        these.

    Raises
    ------
    ArgumentError
        No such set or file, one under a distance that this library does not have, or an argument
        that makes no sense. A ``ValueError``.
    FormatError
        A damaged file, or one whose arrays do not fit each other. A ``ValueError``.
    DatasetError, HashError, ImportError
        As for `fetch`; ImportError also for HDF5 without h5py.
    """
    if rows is not None and rows < 1:
        raise ArgumentError(f"rows is {rows}, wanted 1 or more")
    if metric is not None and metric not in _METRICS:
        raise ArgumentError(f"metric is {metric!r}, wanted one of {', '.join(_METRICS)}")
    text = os.fspath(name)
    known = registry is not None and text in registry
    if not known and text not in CATALOGUE and _is_path(text):
        return _from_path(Path(text), rows, metric, mmap)
    entry = find(text, registry)
    if not entry.loadable:
        raise ArgumentError(
            f"{entry.name} is compared by {entry.metric}; load() reads sets under l2, ip and "
            "cosine. fetch() gets the file, and vicinal.BinaryIndex holds bits"
        )
    if metric is not None and metric != entry.metric:
        raise ArgumentError(f"metric is {metric!r}, but {entry.name} is under {entry.metric!r}")
    files = fetch_files(
        entry, rows=rows, sha256=sha256, base_url=base_url, offline=offline, progress=progress
    )
    if entry.queries is None or files.queries is None:
        paths = [files.base.path]
        arrays = _read_whole(files.base.path, mmap)
        made = _make(arrays, rows, arrays.metric or entry.metric, files.base.path)
    else:
        paths = [files.base.path, files.queries.path]
        truth: tuple[Array | None, Array | None] = (None, None)
        if files.truth is not None:
            paths.append(files.truth.path)
            truth = read_truth(files.truth.path, mmap=mmap)
        wanted = entry.rows if rows is None else rows
        arrays = Arrays(
            read(files.base.path, mmap=mmap, rows=wanted or None),
            read(files.queries.path, mmap=mmap),
            None,
            *truth,
        )
        made = _make(arrays, None, entry.metric, files.base.path)
    family = FAMILIES.get(entry.family)
    return replace(
        made,
        name=entry.name,
        files=tuple(paths),
        source=entry.source,
        licence=entry.licence,
        citation=entry.citation or (None if family is None else family.citation),
    )


def from_files(
    base: PathLike,
    queries: PathLike,
    truth: PathLike | None = None,
    *,
    metric: str = "l2",
    rows: int | None = None,
    mmap: bool = True,
    name: str | None = None,
) -> Dataset:
    """Put a set together from files of vectors in any format that `vicinal.io.read` knows.

    Parameters
    ----------
    base, queries : path-like
        ``.fvecs``, ``.bvecs``, ``.fbin``, ``.u8bin``, ``.i8bin``, ``.npy``, ``.parquet`` ...
    truth : path-like, optional
        Rows of the base, nearest first: ``.ivecs``, ``.ibin``, ``.npy``, or a big-ann file of ids
        and distances, whatever its suffix.
    metric : {'l2', 'ip', 'cosine'}
    rows : int, optional
        Only the first so many rows of the base, without the truth, which is about all.
    mmap : bool
        Map what can be mapped.
    name : str, optional
        The base's file name without its suffix if not given.

    Returns
    -------
    Dataset

    Raises
    ------
    ArgumentError, FormatError, OSError, ImportError
        As `load` and `vicinal.io.read`.

    Examples
    --------
    >>> import numpy as np
    >>> from vicinal import datasets, io
    >>> io.write("base.fvecs", np.eye(4)); io.write("query.fvecs", np.eye(4)[:2])
    >>> datasets.from_files("base.fvecs", "query.fvecs")
    <vicinal.datasets.Dataset 'base': 4 x 4 float32, l2, 2 queries, true neighbours not known>
    """
    if metric not in _METRICS:
        raise ArgumentError(f"metric is {metric!r}, wanted one of {', '.join(_METRICS)}")
    if rows is not None and rows < 1:
        raise ArgumentError(f"rows is {rows}, wanted 1 or more")
    near: tuple[Array | None, Array | None] = (None, None)
    if truth is not None:
        near = read_truth(truth, mmap=mmap)
    arrays = Arrays(read(base, mmap=mmap), read(queries, mmap=mmap), None, *near)
    made = _make(arrays, rows, metric, Path(base))
    files = tuple(Path(path) for path in (base, queries, truth) if path is not None)
    return replace(made, name=name or Path(base).stem, files=files)


def _is_path(text: str) -> bool:
    """Whether a name means a file: it is there, or it is written like one."""
    return Path(text).suffix != "" or os.sep in text or "/" in text or Path(text).exists()


def _from_path(path: Path, rows: int | None, metric: str | None, mmap: bool) -> Dataset:
    beside = siblings(path)
    if beside is not None:
        queries, truth = beside
        return from_files(path, queries, truth, metric=metric or "l2", rows=rows, mmap=mmap)
    made = _make(_read_whole(path, mmap), rows, metric, path)
    return replace(made, name=path.stem, files=(path,))


def _read_whole(path: Path, mmap: bool) -> Arrays:
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return from_hdf5(path, mmap=mmap)
    if suffix == ".npz":
        return from_npz(path)
    raise ArgumentError(
        f"{path} holds vectors only; give base and queries to vicinal.datasets.from_files, "
        "or name a file .hdf5, .h5, .npz or NAME_base.fvecs"
    )


def _make(arrays: Arrays, rows: int | None, metric: str | None, path: Path) -> Dataset:
    """Choose, check and convert."""
    if metric is not None and arrays.metric is not None and metric != arrays.metric:
        raise ArgumentError(f"metric is {metric!r}, but {path} says {arrays.metric!r}")
    metric = metric or arrays.metric
    if metric is None:
        raise ArgumentError(f"{path} does not say its metric; give metric='l2', 'ip' or 'cosine'")
    base, ids, stored = arrays.base, arrays.neighbors, arrays.distances
    if rows is not None and base.ndim == 2 and rows < len(base):
        base, ids, stored = base[:rows], None, None
    made = Dataset(base, arrays.queries, metric, ids)
    check(made, path)
    if ids is None or stored is None:
        return made
    check(replace(made, distances=_floats(stored)), path)
    return replace(made, distances=settle(base, arrays.queries, ids, stored, metric))


def _floats(array: Array) -> Array:
    return np.asarray(array, np.float32)
