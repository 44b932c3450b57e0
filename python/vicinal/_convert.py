"""Turns what people hand in into what the compiled part takes, or explains why not."""

from __future__ import annotations

import operator
import os

import numpy as np
import numpy.typing as npt

from vicinal._types import Array, Ids, Path
from vicinal.errors import ArgumentError, FormatError

#: Element types that are read where they lie, at any strides.
NATIVE = frozenset(np.dtype(t) for t in (np.float64, np.float32, np.float16, np.int8, np.uint8))
_LARGEST_ID = np.iinfo(np.int64).max


def as_array(values: object, argument: str) -> Array:
    """Make an array of anything array-like; TypeError or ArgumentError naming the argument."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{argument} is a masked array; fill or drop the masked values first")
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{argument} is not a rectangular array of numbers: {error}") from error


def as_vectors(values: npt.ArrayLike, argument: str) -> Array:
    """Make an array of one of the NATIVE types.

    Arrays of these types pass as they are. Other integers and floats are copied: to float32 if that
    holds each of their values, else to float64.
    """
    array = as_array(values, argument)
    if array.dtype in NATIVE:
        return array
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "iu":
        return array.astype(np.float32 if size <= 2 else np.float64)
    if kind == "f":
        return array.astype(np.float32 if size <= 4 else np.float64)
    hint = "; make one array of the rows first: numpy.stack(...)" if kind == "O" else ""
    raise TypeError(
        f"{argument} holds {array.dtype}; wanted float64, float32, float16, int8 or uint8, "
        f"or other integers or floats{hint}"
    )


def as_ids(values: npt.ArrayLike, argument: str) -> Ids:
    """Make a one-dimensional int64 array without gaps; a single integer counts as one id."""
    array = as_array(values, argument)
    if array.dtype.kind not in "iu":
        if array.size or array.dtype.kind in "bOSU":
            raise TypeError(
                f"{argument} holds {array.dtype}; wanted integers from 0 to {_LARGEST_ID}"
            )
        array = array.astype(np.int64)
    if array.dtype.kind == "u" and array.size and array.max() > _LARGEST_ID:
        raise ArgumentError(
            f"{argument} holds {array.max()}; wanted integers from 0 to {_LARGEST_ID}"
        )
    if array.ndim > 1:
        raise ArgumentError(f"{argument} has {array.ndim} dimensions; wanted 1")
    return np.require(np.atleast_1d(array), np.int64, ["C", "A"])


def as_allow(values: object) -> Array:
    """Make a bool mask (one entry per id) or int64 ids."""
    if isinstance(values, set | frozenset):
        values = list(values)
    array = as_array(values, "allow")
    if array.dtype.kind != "b":
        return as_ids(array, "allow")
    if array.ndim != 1:
        raise ArgumentError(f"allow has {array.ndim} dimensions; wanted 1: one bool per id")
    return np.ascontiguousarray(array)


def as_id(value: object, argument: str) -> int:
    """Make one id of an integer."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument} must be an integer, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{argument} must be an integer, got {type(value).__name__} {value!r}"
        ) from None
    if not 0 <= number <= _LARGEST_ID:
        raise ArgumentError(f"{argument} must be from 0 to {_LARGEST_ID}, got {number}")
    return number


def as_seed(value: object) -> int:
    """Make a seed of an integer."""
    return as_id(value, "seed")


def as_count(value: object, argument: str) -> int:
    """Make a whole number from 1 of an integer."""
    number = as_id(value, argument)
    if not 1 <= number < 2**32:
        raise ArgumentError(f"{argument} must be from 1 to {2**32 - 1}, got {number}")
    return number


def as_path(path: Path) -> bytes:
    """Encode a path as the file system wants it."""
    try:
        encoded = os.fsencode(path)
    except TypeError:
        raise TypeError(
            f"path must be a string or an os.PathLike, got {type(path).__name__} {path!r}"
        ) from None
    if b"\0" in encoded:
        raise ArgumentError(f"path must not hold a null byte, got {encoded!r}")
    return encoded


def format_error(path: str, what: str) -> FormatError:
    """Make the error for a file whose header says something that cannot be."""
    error = FormatError(f"{path}: at byte 0: {what}")
    error.path = path
    error.offset = 0
    return error
