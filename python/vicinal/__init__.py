"""vicinal: find the nearest vectors, in as little memory and time as the machine allows.

>>> import numpy as np, vicinal
>>> vectors = np.random.default_rng(0).standard_normal((1000, 32), dtype=np.float32)
>>> index = vicinal.build(vectors, metric="cosine", recall=0.95)
>>> hits = index.search(vectors[:2], k=3)
>>> hits.ids.shape, hits.distances.shape
((2, 3), (2, 3))

:func:`build` and :func:`open` are the two doors for those who do not want to choose. The classes
:class:`FlatIndex` (exact), :class:`HNSWIndex` (a graph), :class:`IVFIndex` (inverted lists) and
:class:`BinaryIndex` (rows of bits, exact) are for those who do.
"""

from __future__ import annotations

from vicinal._core import version as __version__
from vicinal.binary import BinaryIndex
from vicinal.building import build
from vicinal.calibration import Calibration
from vicinal.cpu import CPUInfo, cpu_info, default_threads, set_default_threads
from vicinal.errors import (
    ArgumentError,
    CancelledError,
    ConfigError,
    DimensionError,
    Error,
    FormatError,
    RecallWarning,
)
from vicinal.files import FileInfo, Section, info, open, verify
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.ivf import IVFIndex
from vicinal.params import (
    PQ,
    RQ,
    SQ4,
    SQ8,
    Codec,
    FlatParams,
    Float8,
    Float16,
    Float32,
    HNSWParams,
    Int8,
    IVFParams,
    RaBitQ,
    SignBits,
    SQ4x8,
    Uint8,
)
from vicinal.report import BuildReport
from vicinal.results import (
    ListStats,
    MemoryPart,
    MemoryReport,
    Neighbors,
    RangeResult,
    SearchStats,
)
from vicinal.tuning import Plan, tune

__all__ = [
    "PQ",
    "RQ",
    "SQ4",
    "SQ8",
    "ArgumentError",
    "BinaryIndex",
    "BuildReport",
    "CPUInfo",
    "Calibration",
    "CancelledError",
    "Codec",
    "ConfigError",
    "DimensionError",
    "Error",
    "FileInfo",
    "FlatIndex",
    "FlatParams",
    "Float8",
    "Float16",
    "Float32",
    "FormatError",
    "HNSWIndex",
    "HNSWParams",
    "IVFIndex",
    "IVFParams",
    "Int8",
    "ListStats",
    "MemoryPart",
    "MemoryReport",
    "Neighbors",
    "Plan",
    "RaBitQ",
    "RangeResult",
    "RecallWarning",
    "SQ4x8",
    "SearchStats",
    "Section",
    "SignBits",
    "Uint8",
    "__version__",
    "build",
    "cpu_info",
    "default_threads",
    "info",
    "open",
    "set_default_threads",
    "tune",
    "verify",
]
