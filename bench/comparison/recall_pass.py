"""One pass of the recall benchmark with the vicinal that PYTHONPATH names; JSON to standard output.

Runs as a program: ``recall_pass.py DATA K``. One thread, for building too: on one processor its
time depends least on the neighbours.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

EFS = (32, 64, 128)
REPEATS = 5  # the best counts: neighbours only ever slow a search down
FLAT_PAIRS = 1 << 25  # queries of exact search times rows: some tenths of a second

Clocks = tuple[float, float]


def distances(
    base: npt.NDArray[np.float32],
    query: npt.NDArray[np.float32],
    metric: str,
    ids: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Distances of the rows named for each query, in double; inf where an id is -1."""
    out = np.full(ids.shape, np.inf)
    for q, row in enumerate(ids):
        found = base[np.maximum(row, 0)].astype(np.float64)
        wanted = query[q].astype(np.float64)
        if metric == "l2":
            away = ((found - wanted) ** 2).sum(axis=1)
        else:
            away = -(found @ wanted)
            if metric == "cosine":
                away = 1 + away / (np.linalg.norm(found, axis=1) * np.linalg.norm(wanted))
        out[q] = np.where(row >= 0, away, np.inf)
    return out


def recall(
    ids: npt.NDArray[np.int64], away: npt.NDArray[np.float64], kth: npt.NDArray[np.float64]
) -> float:
    """Share of places no farther than the true k-th neighbour; a row named twice counts once."""
    ordered = np.sort(ids, axis=1)
    repeats = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).sum(axis=1)
    near = (away <= (kth + 1e-6 * np.abs(kth) + 1e-9)[:, None]).sum(axis=1)
    return float((near - repeats).clip(min=0).sum() / ids.size)


def timed(call: Callable[[], Any]) -> Clocks:
    """Processor and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def line(name: str, times: list[Clocks], **more: Any) -> dict[str, Any]:
    cpu, wall = (min(clock) for clock in zip(*times, strict=True))
    return {"name": name, "cpu_seconds": cpu, "wall_seconds": wall, **more}


def run(data: Path, k: int) -> list[dict[str, Any]]:
    import vicinal

    with np.load(data) as file:
        base, query, kth = file["base"], file["query"], file["kth"]
        metric = str(file["metric"])

    def searches(
        name: str, search: Callable[[npt.NDArray[np.float32]], Any], queries: int
    ) -> dict[str, Any]:
        """Seconds per query, and the answers; the first call also warms the caches."""
        some = query[:queries]
        ids = search(some).ids
        times = [timed(lambda: search(some)) for _ in range(REPEATS)]
        each = [(cpu / len(some), wall / len(some)) for cpu, wall in times]
        found = recall(ids, distances(base, some, metric, ids), kth[: len(some)])
        digest = hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()
        return line(name, each, recall=found, digest=digest)

    dim = base.shape[1]
    lines = []
    for name, index in (
        ("HNSW sq8+f16", vicinal.HNSWIndex(dim, metric, codec="sq8", refine="float16")),
        ("HNSW f32", vicinal.HNSWIndex(dim, metric)),
    ):
        build = timed(functools.partial(index.add, base, threads=1))
        lines.append(line(f"{name} build", [build]))
        for ef in EFS:

            def search(rows: Any, index: Any = index, ef: int = ef) -> Any:
                return index.search(rows, k, ef=ef, threads=1)

            lines.append(searches(f"{name} ef={ef}", search, len(query)))
    flat = vicinal.FlatIndex(dim, metric)
    flat.add(base, threads=1)
    queries = max(1, min(len(query), FLAT_PAIRS // len(base)))
    lines.append(searches("Flat f32 batch", lambda rows: flat.search(rows, k, threads=1), queries))
    return lines


def main() -> int:
    import vicinal

    wanted = Path(os.environ["PYTHONPATH"]).resolve()
    if wanted not in Path(vicinal.__file__).resolve().parents:
        # An editable installation puts itself before PYTHONPATH.
        print(f"imported {vicinal.__file__}, not the one in {wanted}", file=sys.stderr)
        return 1
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
