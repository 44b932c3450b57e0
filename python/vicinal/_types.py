"""Names for the types that the whole package speaks of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

#: ``progress(stage, done, total)``; returning False stops the work with a CancelledError.
Progress: TypeAlias = Callable[[str, int, int], object]
Path: TypeAlias = str | os.PathLike[str]
Metric: TypeAlias = Literal["l2", "ip", "cosine"]
Ids: TypeAlias = npt.NDArray[np.int64]
Distances: TypeAlias = npt.NDArray[np.float32]
Array: TypeAlias = npt.NDArray[Any]
