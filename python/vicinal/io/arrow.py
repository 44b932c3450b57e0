"""Parquet and Arrow (Feather 2) files whose vectors are a column of lists."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_ids
from vicinal.errors import ArgumentError, Error
from vicinal.io._check import (
    Array,
    PathLike,
    Rows,
    as_matrix,
    blocks,
    file_bytes,
    format_error,
    optional,
    replacing,
    row_slice,
)

PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".feather", ".arrow", ".ipc")
_BATCH_ROWS = 65536


class VectorTable(NamedTuple):
    """Vectors of a table, and their ids if a column of them was asked for."""

    vectors: Array
    """Shape (n, dim): float16, float32, float64, int8 or uint8."""
    ids: npt.NDArray[np.int64] | None
    """Shape (n,), or None."""


def read_table(
    path: PathLike, *, key: str | None = None, ids: str | None = None, rows: Rows = None
) -> VectorTable:
    """Read vectors, and if wanted their ids, from a Parquet or Arrow file.

    Parameters
    ----------
    path : path-like
        The suffix says which: ``.parquet``, ``.pq``, or ``.feather``, ``.arrow``, ``.ipc``.
    key : str, optional
        Column with the vectors, ``fixed_size_list`` or lists of one length, of float16, float32,
        float64, int8 or uint8. Without it, the only column of such a type.
    ids : str, optional
        Column of whole numbers to return beside them.
    rows : int or slice, optional
        Only these rows. Row groups of Parquet without any of them are not read.

    Returns
    -------
    VectorTable
        Vectors of an uncompressed Arrow file in one batch are mapped, not copied, and read-only.

    Raises
    ------
    FormatError
        A damaged file, an absent value, or lists of different lengths.
    ValueError
        No such column, a column of another type, or a choice to be made between several.
    ImportError
        pyarrow is missing: ``pip install pyarrow``.

    References
    ----------
    Apache Parquet format 2; Apache Arrow columnar format 1, "IPC File Format".
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PARQUET_SUFFIXES + ARROW_SUFFIXES:
        raise ValueError(f"suffix is {suffix!r}, wanted .parquet, .pq, .feather, .arrow or .ipc")
    with _opened(path) as (pa, opened):
        return _read(pa, opened, path, key, ids, rows)


def write_table(
    path: PathLike,
    array: npt.ArrayLike,
    *,
    key: str | None = None,
    ids: npt.ArrayLike | None = None,
) -> None:
    """Write vectors as a column of fixed-size lists, in Parquet or Arrow by the suffix.

    Parameters
    ----------
    path : path-like
    array : array_like, shape (n, dim)
        float16, float32, float64, int8 or uint8.
    key : str, optional
        Name of the column; ``vector`` if not given.
    ids : array_like of int, shape (n,), optional
        Written before it as the int64 column ``id``.

    Raises
    ------
    ValueError
        Not 2-D, dim 0, another type of number, or ids of another length.
    ImportError
        pyarrow is missing: ``pip install pyarrow``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PARQUET_SUFFIXES + ARROW_SUFFIXES:
        raise ValueError(f"suffix is {suffix!r}, wanted .parquet, .pq, .feather, .arrow or .ipc")
    pa: Any = optional("pyarrow")
    data = as_matrix(array)
    if data.shape[1] == 0:
        raise ValueError("array has rows of width 0, wanted 1 or more")
    if data.dtype.name not in ("float16", "float32", "float64", "int8", "uint8"):
        raise ValueError(
            f"array holds {data.dtype}, wanted float16, float32, float64, int8 or uint8"
        )
    numbers = None if ids is None else as_ids(ids, "ids")
    if numbers is not None and numbers.shape != (len(data),):
        raise ValueError(f"ids has shape {numbers.shape}, wanted ({len(data)},)")
    value_type = pa.from_numpy_dtype(data.dtype)
    fields = [] if numbers is None else [("id", pa.int64())]
    schema = pa.schema([*fields, (key or "vector", pa.list_(value_type, data.shape[1]))])
    with replacing(path) as temporary:
        if suffix in PARQUET_SUFFIXES:
            parquet: Any = optional("pyarrow.parquet")
            writer: Any = parquet.ParquetWriter(temporary, schema)
            step = _BATCH_ROWS
        else:
            writer = pa.ipc.new_file(str(temporary), schema)
            step = max(1, len(data))  # one batch, so that it can be mapped in one piece
        with writer:
            start = 0
            for block in blocks(data, step):
                flat = pa.array(np.ascontiguousarray(block).reshape(-1), value_type)
                columns = [pa.FixedSizeListArray.from_arrays(flat, data.shape[1])]
                if numbers is not None:
                    columns.insert(0, pa.array(numbers[start : start + len(block)]))
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                start += len(block)


def read_column(path: PathLike, key: str, *, rows: Rows = None) -> npt.NDArray[np.int64]:
    """Read one column of whole numbers, for example ids, shape (n,), from the same files.

    Raises
    ------
    FormatError, ValueError, ImportError
        As `read_table`.
    """
    with _opened(path) as (pa, opened):
        index = _id_column(pa, opened, path, key)
        chosen = row_slice(rows, opened.rows)
        parts = [
            _whole_numbers(batch.column(0), path, key) for batch in opened.batches([index], chosen)
        ]
    joined = np.concatenate([np.empty(0, np.int64), *parts])
    return joined[:: chosen.step]


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[tuple[Any, Any]]:
    """Open a table; gives pyarrow and the table. What pyarrow trips over is a FormatError."""
    suffix = Path(path).suffix.lower()
    pa: Any = optional("pyarrow")
    file_bytes(path)
    try:
        opened = _Parquet(path) if suffix in PARQUET_SUFFIXES else _Ipc(pa, path)
        try:
            yield pa, opened
        finally:
            opened.close()
    except (pa.ArrowException, ValueError, OSError, RuntimeError, OverflowError) as error:
        plain_os = isinstance(error, OSError) and error.errno is not None
        if plain_os or isinstance(error, Error):
            raise
        reason = str(error).partition("\n")[0]
        raise format_error(path, 0, f"not a whole {suffix[1:]} file ({reason})") from error


class _Parquet:
    """A Parquet file as a number of rows, a schema and batches."""

    def __init__(self, path: PathLike) -> None:
        parquet: Any = optional("pyarrow.parquet")
        self.file = parquet.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        self.schema = self.file.schema_arrow
        self.rows = int(self.file.metadata.num_rows)

    def close(self) -> None:
        self.file.close()

    def batches(self, columns: list[int], chosen: slice) -> Iterator[Any]:
        """Batches with exactly the rows from start to stop, only these columns, in this order."""
        names = [self.schema.field(i).name for i in columns]
        groups, first, seen = [], 0, 0
        for group in range(self.file.metadata.num_row_groups):
            count = int(self.file.metadata.row_group(group).num_rows)
            if seen + count <= chosen.start:
                first = seen + count
            elif seen < chosen.stop:
                groups.append(group)
            seen += count
        skip, left = chosen.start - first, chosen.stop - chosen.start
        for batch in self.file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=names):
            part = batch.slice(skip, left)
            skip = max(0, skip - batch.num_rows)
            left -= part.num_rows
            if part.num_rows:
                yield part.select(names)
            if left <= 0:
                return


class _Ipc:
    """The same view of an Arrow IPC file, mapped."""

    def __init__(self, pa: Any, path: PathLike) -> None:
        self.source = pa.memory_map(str(path), "r")
        # Asking pyarrow for some columns only would make it copy them; a map costs nothing.
        self.file = pa.ipc.open_file(self.source)
        self.schema = self.file.schema
        self.rows = sum(
            int(self.file.get_batch(i).num_rows) for i in range(self.file.num_record_batches)
        )

    def close(self) -> None:
        """Nothing: arrays handed out still look into the map, which closes with the last."""

    def batches(self, columns: list[int], chosen: slice) -> Iterator[Any]:
        names = [self.schema.field(i).name for i in columns]
        skip, left = chosen.start, chosen.stop - chosen.start
        for i in range(self.file.num_record_batches):
            batch = self.file.get_batch(i).select(names)
            # Arrow trusts offsets in the file; following bad ones would leave the map.
            batch.validate(full=True)
            part = batch.slice(skip, left)
            skip = max(0, skip - batch.num_rows)
            left -= part.num_rows
            if part.num_rows:
                yield part
            if left <= 0:
                return


def _read(
    pa: Any, opened: Any, path: PathLike, key: str | None, ids: str | None, rows: Rows
) -> VectorTable:
    column = _vector_column(pa, opened, path, key)
    columns = [column] if ids is None else [column, _id_column(pa, opened, path, ids)]
    chosen = row_slice(rows, opened.rows)
    collected = _Rows(path, _numpy_type(opened.schema.field(column).type))
    numbers: list[npt.NDArray[np.int64]] = []
    for batch in opened.batches(columns, chosen):
        collected.add(pa, batch.column(0))
        if ids is not None:
            numbers.append(_whole_numbers(batch.column(1), path, ids))
    want = chosen.stop - chosen.start
    vectors = collected.finish(_list_size(pa, opened.schema.field(column).type))
    if len(vectors) != want:
        raise format_error(path, 0, f"{len(vectors)} rows are there, wanted {want}")
    found = None
    if ids is not None:
        found = np.concatenate([np.empty(0, np.int64), *numbers])[:: chosen.step]
    return VectorTable(vectors[:: chosen.step], found)


class _Rows:
    """Grows a matrix from batches. A single batch is passed on as it is, without a copy.

    The size a file claims is not believed: memory doubles only as rows arrive.
    """

    def __init__(self, path: PathLike, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self.count = 0
        self.dim: int | None = None
        self.only: Array | None = None
        self.grown: Array | None = None

    def add(self, pa: Any, column: Any) -> None:
        block = self._matrix(pa, column)
        if self.count == 0:
            self.only = block
        else:
            if self.only is not None:
                self.grown = np.empty((2 * self.count + len(block), block.shape[1]), self.dtype)
                self.grown[: self.count] = self.only
                self.only = None
            assert self.grown is not None
            if self.count + len(block) > len(self.grown):
                rows = max(2 * len(self.grown), self.count + len(block))
                self.grown.resize((rows, block.shape[1]), refcheck=False)
            self.grown[self.count : self.count + len(block)] = block
        self.count += len(block)

    def finish(self, dim: int) -> Array:
        if self.count == 0:
            return np.empty((0, dim), self.dtype)
        if self.only is not None:
            return self.only
        assert self.grown is not None
        self.grown.resize((self.count, self.grown.shape[1]), refcheck=False)
        return self.grown

    def _matrix(self, pa: Any, column: Any) -> Array:
        if column.null_count:
            row = self.count + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise format_error(self.path, 0, f"row {row} has no vector")
        if pa.types.is_fixed_size_list(column.type):
            dim = int(column.type.list_size)
            self._same_width(dim, self.count)
        else:
            dim = self._one_length(column)
        flat = column.flatten()
        if flat.null_count:
            at = int(np.argmax(flat.is_null().to_numpy(zero_copy_only=False)))
            row = self.count + at // max(1, dim)
            raise format_error(self.path, 0, f"row {row} has an absent value")
        values: Array = flat.to_numpy(zero_copy_only=True)
        return values.reshape(len(column), dim)

    def _one_length(self, column: Any) -> int:
        lengths = np.diff(column.offsets.to_numpy(zero_copy_only=True).astype(np.int64))
        dim = int(lengths[0]) if self.dim is None else self.dim
        wrong = np.flatnonzero(lengths != dim)
        if wrong.size:
            row = int(wrong[0])
            raise format_error(
                self.path, 0, f"row {self.count + row} has {lengths[row]} values, wanted {dim}"
            )
        self._same_width(dim, self.count)
        return dim

    def _same_width(self, dim: int, row: int) -> None:
        if dim < 1:
            raise format_error(self.path, 0, f"row {row} has {dim} values, wanted 1 or more")
        if self.dim is not None and dim != self.dim:
            raise format_error(self.path, 0, f"row {row} has {dim} values, wanted {self.dim}")
        self.dim = dim


def _is_vectors(pa: Any, kind: Any) -> bool:
    types = pa.types
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    value = kind.value_type
    return value in (pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint8())


def _numpy_type(kind: Any) -> np.dtype[Any]:
    names = {"halffloat": "float16", "float": "float32", "double": "float64"}
    name = str(kind.value_type)
    return np.dtype(names.get(name, name))


def _list_size(pa: Any, kind: Any) -> int:
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else 0


def _vector_column(pa: Any, opened: Any, path: PathLike, key: str | None) -> int:
    names = list(opened.schema.names)
    if key is None:
        found = [i for i, field in enumerate(opened.schema) if _is_vectors(pa, field.type)]
        if len(found) == 1:
            return found[0]
        described = ", ".join(names[i] for i in found) if found else "none"
        raise ArgumentError(
            f"{path}: choose the column of vectors by key; those of a fitting type: {described}"
        )
    index = _named(opened, path, key)
    kind = opened.schema.field(index).type
    if not _is_vectors(pa, kind):
        raise ArgumentError(
            f"{path}: column {key!r} is {kind}, wanted lists of float16, float32, float64, int8 "
            "or uint8"
        )
    return index


def _id_column(pa: Any, opened: Any, path: PathLike, key: str) -> int:
    index = _named(opened, path, key)
    kind = opened.schema.field(index).type
    if not pa.types.is_integer(kind):
        raise ArgumentError(f"{path}: column {key!r} is {kind}, wanted whole numbers")
    return index


def _named(opened: Any, path: PathLike, key: str) -> int:
    names = list(opened.schema.names)
    if names.count(key) != 1:
        raise ArgumentError(f"{path}: {names.count(key)} columns {key!r}; it has {names}")
    return names.index(key)


def _whole_numbers(column: Any, path: PathLike, key: str) -> npt.NDArray[np.int64]:
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise format_error(path, 0, f"column {key!r} has no value in row {row}")
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "u" and values.size and int(values.max()) > 2**63 - 1:
        raise format_error(path, 0, f"column {key!r} holds {values.max()}, wanted below 2^63")
    return np.asarray(values, np.int64)
