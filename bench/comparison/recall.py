"""The short recall benchmark: the data, and one pass of one revision in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CompareError, tail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WORKER = Path(__file__).resolve().parent / "recall_pass.py"
K = 10
PAIRS_AT_ONCE = 1 << 24


@dataclass
class Answers:
    """What searches found, which is the same in every pass if builds are deterministic."""

    recall: float
    digest: str  # of all ids


@dataclass
class Recall:
    """Passes of one comparison: gives seconds to ``rounds.interleave``, keeps the answers."""

    data: Path  # as prepare() writes it
    python: dict[str, Path]  # by side: the folder that holds the package vicinal
    wall: bool = False
    answers: dict[tuple[str, str], list[Answers]] = field(default_factory=dict)

    def measure(self, side: str) -> dict[str, float]:
        env = {**os.environ, "PYTHONPATH": str(self.python[side]), "PYTHONNOUSERSITE": "1"}
        command = [sys.executable, str(WORKER), str(self.data), str(K)]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise CompareError(
                f"the recall pass of {'HEAD' if side == 'head' else 'BASE'} failed",
                tail(done.stderr, 8),
            )
        seconds = {}
        for line in json.loads(done.stdout):
            seconds[line["name"]] = line["wall_seconds" if self.wall else "cpu_seconds"]
            if "digest" in line:
                known = self.answers.setdefault((side, line["name"]), [])
                known.append(Answers(line["recall"], line["digest"]))
        return seconds

    def names(self) -> list[str]:
        return [name for side, name in self.answers if side == "base"]

    def unsteady(self) -> list[str]:
        """Searches of BASE that did not give the same answers in every pass."""
        digests: dict[str, set[str]] = {}
        for (side, name), answers in self.answers.items():
            if side != "head":
                digests.setdefault(name, set()).update(a.digest for a in answers)
        return [name for name, different in digests.items() if len(different) > 1]


def prepare(path: Path, out: Path) -> dict[str, Any]:
    """Write base, query, kth and metric to ``out``, once for all passes; say what they are.

    ``path`` is an npz file with ``base``, ``query`` or ``queries``, and perhaps ``gt`` (row numbers
    of the exact nearest) and ``metric`` ("l2", "ip" or, if it is absent, "cosine").
    """
    import numpy as np

    with np.load(path) as file:
        metric = str(file["metric"]) if "metric" in file else "cosine"
        base = np.ascontiguousarray(file["base"], dtype=np.float32)
        query = np.ascontiguousarray(
            file["query" if "query" in file else "queries"], dtype=np.float32
        )
        truth = file["gt"][:, :K].astype(np.int64) if "gt" in file else None
    if metric == "ip":  # rows of any length make other graphs; the peers' benchmark does the same
        base /= np.linalg.norm(base, axis=1, keepdims=True)
        query /= np.linalg.norm(query, axis=1, keepdims=True)
    np.savez(
        out, base=base, query=query, kth=kth_distance(base, query, metric, truth), metric=metric
    )
    return {"data": path.stem, "rows": len(base), "dim": base.shape[1], "queries": len(query)}


def kth_distance(
    base: npt.NDArray[np.float32],
    query: npt.NDArray[np.float32],
    metric: str,
    truth: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.float64]:
    """Distance of each query's K-th neighbour, in double; exact search in float32 finds it."""
    import numpy as np

    from .recall_pass import distances

    if truth is None:
        square = np.einsum("ij,ij->i", base, base)
        step = max(1, PAIRS_AT_ONCE // len(base))
        found = []
        for first in range(0, len(query), step):
            products = query[first : first + step] @ base.T
            if metric == "l2":
                far = square - 2 * products
            else:
                far = -products / (np.sqrt(square) if metric == "cosine" else 1)
            found.append(np.argpartition(far, K - 1, axis=1)[:, :K])
        truth = np.concatenate(found)
    farthest: npt.NDArray[np.float64] = distances(base, query, metric, truth).max(axis=1)
    return farthest
