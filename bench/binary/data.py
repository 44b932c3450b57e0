"""Bits to measure with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal import binary
from vicinal.fingerprints import HashedFolding

Bits = npt.NDArray[np.uint8]


def random_bits(n: int, dim: int, seed: int) -> Bits:
    return np.random.default_rng(seed).integers(0, 256, (n, dim // 8), np.uint8)


def hyperplanes(path: Path, dim: int, queries: int) -> tuple[Bits, Bits]:
    """On which side of `dim` random hyperplanes through the mean the vectors of a set lie."""
    with np.load(path) as file:
        base, asked = file["base"].astype(np.float32), file["query"].astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    mean = base.mean(axis=0)
    planes = np.random.default_rng(0).standard_normal((base.shape[1], dim), np.float32)
    return binary.pack((base - mean) @ planes), binary.pack((asked[:queries] - mean) @ planes)


def molecules(n: int, bits: int, seed: int, series: bool) -> Bits:
    """Fingerprints as sparse and as uneven as those of molecules; they are invented.

    A set has most ids of one of 4,000 scaffolds of 20 to 60 ids, and some of its own; ids are drawn
    from 50,000 with probabilities that fall as 1 / rank. In series, as chemists make them around
    one scaffold, it has 93 % of the scaffold's and 2 to 12 of its own; else 80 %, and 5 to 30.
    Folded to 1,024 bits some 20 to 60 are set, as circular fingerprints of radius 2 have them.
    """
    rng, scaffolds = np.random.default_rng(seed), np.random.default_rng(0)
    ranks = np.arange(1, 50_001)
    chances = np.cumsum(1.0 / ranks)
    chances /= chances[-1]

    def ids(source: Any, count: int) -> Any:
        return np.searchsorted(chances, source.random(count))

    cores = ids(scaffolds, 4_000 * 60).reshape(4_000, 60)
    sizes = scaffolds.integers(20, 61, 4_000)
    share, least, most = (0.93, 2, 12) if series else (0.8, 5, 30)
    out = np.empty((n, (bits + 7) // 8), np.uint8)
    folding = HashedFolding(bits)
    for begin in range(0, n, 50_000):
        count = min(n - begin, 50_000)
        core = rng.integers(0, 4_000, count)
        own = rng.integers(least, most + 1, count)
        places = np.arange(90)
        here = np.where(
            places < 60,
            (places < sizes[core, None]) & (rng.random((count, 90)) < share),
            places - 60 < own[:, None],
        )
        every = np.concatenate([cores[core], ids(rng, count * 30).reshape(count, 30)], axis=1)
        offsets = np.concatenate([[0], np.cumsum(here.sum(axis=1))])
        out[begin : begin + count] = folding.encode(every[here], offsets)
    return out
