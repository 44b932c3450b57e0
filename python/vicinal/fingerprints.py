"""Fingerprints: rows of bits made of sets of substructure ids.

What the ids mean, and who computes them, is left to chemistry toolkits: circular (Morgan)
environments, paths, or words of a text. An encoder turns each set into packed bits for a
:class:`~vicinal.BinaryIndex` with metric "jaccard".

>>> from vicinal import BinaryIndex
>>> from vicinal.fingerprints import FingerprintEncoder
>>> sets = [{7, 8, 100}, {7, 9}, {7, 8, 9, 11}]
>>> encoder = FingerprintEncoder.fit(sets, bits=4)
>>> encoder.ids
(7, 8, 9, 11)
>>> index = BinaryIndex(dim=4, metric="jaccard")
>>> index.add(encoder.encode(sets))
>>> index.search(encoder.encode([{7, 9, 12345}]), k=1).ids
array([[1]])
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_ids, as_seed
from vicinal.errors import ArgumentError

__all__ = ["FingerprintEncoder", "HashedFolding"]

Sets = Sequence[Iterable[int]] | npt.ArrayLike

_MOST_BITS = 262144
_ROWS_AT_ONCE = 1 << 25  # places of unpacked bits: 32 MiB


@dataclass(frozen=True)
class FingerprintEncoder:
    """One bit for each of the substructures that most sets have: no two share a bit.

    Made by :meth:`fit`. Ids that it does not know set no bit.

    Parameters
    ----------
    bits : int
        Width of a row, 1 to 262144.
    ids : tuple of int
        The id of each bit, the most prevalent first; there may be fewer than bits.

    References
    ----------
    Dablander, Hanser, Lambiotte and Morris, "Sort & Slice: a simple and superior alternative to
    hash-based folding for extended-connectivity fingerprints", arXiv 2403.17954, 2024.
    """

    bits: int
    ids: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", _as_bits(self.bits))
        known = as_ids(self.ids, "ids")
        if len(known) > self.bits:
            raise ArgumentError(f"ids has {len(known)} entries; wanted at most bits = {self.bits}")
        if len(np.unique(known)) != len(known):
            raise ArgumentError("ids names an id twice; each has one bit")
        object.__setattr__(self, "ids", tuple(known.tolist()))

    @classmethod
    def fit(
        cls, sets: Sets, offsets: npt.ArrayLike | None = None, *, bits: int = 1024
    ) -> FingerprintEncoder:
        """Learn which ids most sets have; ties go to the smaller id.

        Parameters
        ----------
        sets : sequence of iterables of int, or array_like of int
            The ids of each set; one that is repeated counts once. With `offsets`, the ids of all
            sets one after the other.
        offsets : array_like of int, shape (n + 1,), optional
            Set i owns ``sets[offsets[i] : offsets[i + 1]]``.
        bits : int
            Width of a row, 1 to 262144.

        Returns
        -------
        FingerprintEncoder

        Raises
        ------
        ArgumentError
            The offsets do not divide the ids; bits is out of range. A ``ValueError``.
        TypeError
            The ids are not integers.
        """
        bits = _as_bits(bits)
        ids, rows, _ = _flat(sets, offsets)
        order = np.lexsort((ids, rows))
        ids, rows = ids[order], rows[order]
        first = np.ones(len(ids), bool)
        first[1:] = (ids[1:] != ids[:-1]) | (rows[1:] != rows[:-1])
        known, counts = np.unique(ids[first], return_counts=True)
        best = np.argsort(-counts, kind="stable")[:bits]  # known is ascending: ties stay so
        return cls(bits, tuple(known[best].tolist()))

    def encode(self, sets: Sets, offsets: npt.ArrayLike | None = None) -> npt.NDArray[np.uint8]:
        """Make packed bits of sets.

        Parameters
        ----------
        sets, offsets
            As for :meth:`fit`.

        Returns
        -------
        ndarray of uint8, shape (n, (bits + 7) // 8)
            Bit i stands for ``ids[i]``, in the order of :func:`numpy.packbits`.

        Raises
        ------
        ArgumentError, TypeError
            As for :meth:`fit`.
        """
        ids, rows, count = _flat(sets, offsets)
        known = np.asarray(self.ids, np.int64)
        by_id = np.argsort(known)
        place = np.searchsorted(known, ids, sorter=by_id)
        here = place < len(known)
        bit = by_id[place[here]]
        right = known[bit] == ids[here]
        return _packed(rows[here][right], bit[right], count, self.bits)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, as TOML and JSON hold them."""
        return {"bits": self.bits, "ids": list(self.ids)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FingerprintEncoder:
        """Undo :meth:`to_dict`; an unknown or a missing key is an error."""
        _check_keys(cls.__name__, values, {"bits", "ids"}, {"bits", "ids"})
        return cls(values["bits"], tuple(values["ids"]))


@dataclass(frozen=True)
class HashedFolding:
    """One bit for each id by a hash: nothing to learn, and different ids may share a bit.

    Parameters
    ----------
    bits : int
        Width of a row, 1 to 262144.
    seed : int
        Which hash.
    """

    bits: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", _as_bits(self.bits))
        object.__setattr__(self, "seed", as_seed(self.seed))

    def encode(self, sets: Sets, offsets: npt.ArrayLike | None = None) -> npt.NDArray[np.uint8]:
        """Make packed bits of sets.

        Parameters
        ----------
        sets, offsets
            As for :meth:`FingerprintEncoder.fit`.

        Returns
        -------
        ndarray of uint8, shape (n, (bits + 7) // 8)
            In the order of :func:`numpy.packbits`.

        Raises
        ------
        ArgumentError, TypeError
            As for :meth:`FingerprintEncoder.fit`.
        """
        ids, rows, count = _flat(sets, offsets)
        bit = _mixed(ids.view(np.uint64), self.seed) % np.uint64(self.bits)
        return _packed(rows, bit.astype(np.int64), count, self.bits)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, as TOML and JSON hold them."""
        return {"bits": self.bits, "seed": self.seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HashedFolding:
        """Undo :meth:`to_dict`; what is left out has its default, an unknown key is an error."""
        _check_keys(cls.__name__, values, {"bits", "seed"}, set())
        return cls(**values)


def _as_bits(bits: object) -> int:
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer):
        raise TypeError(f"bits must be a whole number, got {type(bits).__name__} {bits!r}")
    if not 1 <= bits <= _MOST_BITS:
        raise ArgumentError(f"bits must be from 1 to {_MOST_BITS}, got {bits}")
    return int(bits)


def _check_keys(name: str, values: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    for key in values:
        if key not in known:
            raise ArgumentError(f"{name} has no {key!r}; it has {', '.join(sorted(known))}")
    for key in sorted(needed - set(values)):
        raise ArgumentError(f"{name} needs {key!r}")


def _flat(
    sets: Sets, offsets: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Give the ids of all sets, the set of each id, and how many sets there are."""
    if offsets is None:
        try:
            lists = [list(one) for one in sets]  # type: ignore[arg-type, union-attr]
        except TypeError:
            raise TypeError(
                "sets must be a sequence of iterables of int, or ids with offsets"
            ) from None
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = as_ids(list(itertools.chain.from_iterable(lists)), "sets")
    else:
        ids = as_ids(sets, "sets")  # type: ignore[arg-type]
        bounds = as_ids(offsets, "offsets")
        if len(bounds) == 0 or bounds[0] != 0 or bounds[-1] != len(ids):
            raise ArgumentError(
                f"offsets must go from 0 to {len(ids)}, the number of ids, "
                f"got {bounds[0] if len(bounds) else 'none'} to {bounds[-1] if len(bounds) else ''}"
            )
        lengths = np.diff(bounds)
        if (lengths < 0).any():
            raise ArgumentError(f"offsets must not fall, as after place {np.argmin(lengths)}")
    return ids, np.repeat(np.arange(len(lengths)), lengths), len(lengths)


def _packed(
    rows: npt.NDArray[np.int64], bit: npt.NDArray[np.int64], count: int, bits: int
) -> npt.NDArray[np.uint8]:
    """Set these bits of `count` rows; rows is ascending."""
    out = np.empty((count, (bits + 7) // 8), np.uint8)
    step = max(1, _ROWS_AT_ONCE // bits)
    for begin in range(0, count, step):  # blocks of rows: bool takes eight times the room
        end = min(count, begin + step)
        here = slice(*np.searchsorted(rows, [begin, end]))
        block = np.zeros((end - begin, bits), bool)
        block[rows[here] - begin, bit[here]] = True
        out[begin:end] = np.packbits(block, axis=1)
    return out


def _mixed(values: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) over id and seed."""
    gamma = 0x9E3779B97F4A7C15
    z = values + np.uint64((seed + 1) * gamma % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed
