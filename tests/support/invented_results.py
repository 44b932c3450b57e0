"""A results file of invented numbers, for tests of what is done with such files.

Nothing in it was measured. Every name in it that could be taken for a measurement says "invented".
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

Line = dict[str, Any]

RUN = "20000101T000000Z"
DATA = "invented-128"
K = 10

# name, library, family, flags, speed, cost of recall, bytes per dimension, seconds of building
_CONTENDERS = (
    ("hnswlib", "hnswlib", "graph", {"M": 16, "efConstruction": 200}, 1.0, 1.0, 4.6, 9.0),
    ("faiss HNSW32", "faiss-cpu", "graph", {"efConstruction": 200}, 0.92, 1.0, 5.1, 11.0),
    ("faiss HNSW32-SQ8", "faiss-cpu", "graph", {"efConstruction": 200}, 1.05, 1.1, 2.1, 10.0),
    ("faiss IVF-PQ", "faiss-cpu", "lists", {"nlist": 1024}, 0.8, 1.9, 0.6, 4.0),
    ("usearch f32", "usearch", "graph", {"connectivity": 16}, 0.85, 1.0, 4.7, 12.0),
    ("ScaNN", "scann", "lists", {"leaves": 500}, 1.2, 1.7, 1.2, 6.0),
    ("SVS Vamana LVQ8", "scalable-vs", "graph", {"degree": 32}, 1.5, 1.1, 1.9, 14.0),
    ("vicinal HNSW f32", "vicinal", "graph", {"links": 16}, 1.3, 1.0, 4.6, 6.0),
    ("vicinal HNSW SQ8", "vicinal", "graph", {"links": 16}, 1.9, 1.05, 1.6, 4.0),
    ("vicinal HNSW SQ8+f16", "vicinal", "graph", {"links": 16}, 1.8, 1.0, 3.6, 4.2),
    ("vicinal HNSW SQ4+f16", "vicinal", "graph", {"links": 16}, 1.7, 1.2, 3.1, 4.1),
    ("faiss Flat", "faiss-cpu", "flat", {}, 0.010, 1.0, 4.0, 0.1),
    ("vicinal Flat", "vicinal", "flat", {}, 0.012, 1.0, 4.0, 0.1),
)  # fmt: skip
_EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ROWS, DIM, ROUNDS = 20_000, 128, 5


def run_line(run: str = RUN, **changes: Any) -> Line:
    line = {
        "kind": "run",
        "format": "vicinal-bench/1",
        "run": run,
        "command": f"python -m bench.recall /somewhere/else/{DATA}.npz --json invented.jsonl",
        "machine": {
            "cpu": "Invented CPU",
            "cpus": 2,
            "memory_bytes": 8 << 30,
            "l2_bytes": 1 << 20,
            "l3_bytes": None,
            "system": "Linux, invented",
            "load": 0.1,
            "python": "3.11",
            "compiler": "gcc 12",
            "level": "avx2",
        },
        "settings": {
            "k": K,
            "rounds": ROUNDS,
            "build_threads": 2,
            "search_threads": 1,
            "mode": "batch",
            "time_limit_s": 600.0,
            "clock": "wall",
        },
        "bounds": {"cpu": "Invented CPU", "dram_bytes_per_s": 12e9, "clock_hz": 3e9},
    }
    return {**line, **changes}


def dataset_line(run: str = RUN, data: str = DATA) -> Line:
    return {
        "kind": "dataset",
        "run": run,
        "data": data,
        "rows": ROWS,
        "dim": DIM,
        "queries": 1000,
        "metric": "l2",
        "sha256": "0" * 64,
    }


def contender_line(number: int, run: str = RUN, data: str = DATA) -> Line:
    name, library, family, flags, speed, cost, size, seconds = _CONTENDERS[number]
    points: list[Line] = []
    for ef in _EFS if family != "flat" else ():
        recall = 1 - 0.45 * math.exp(-math.pow(ef / (14 * cost), 0.75))
        middle = 9e5 * speed / (ef + 25)
        rates = [middle * (1 + 0.01 * (round_ - 2)) for round_ in range(ROUNDS)]
        points.append({"params": {"ef": ef}, "recall": recall, "rates": rates, "single_rates": []})
    if family == "flat":
        rates = [1e5 * speed * (1 + 0.01 * (round_ - 2)) for round_ in range(ROUNDS)]
        points = [{"params": {}, "recall": 1.0, "rates": rates, "single_rates": rates}]
    at = {target: _at(points, float(target)) for target in ("0.90", "0.95", "0.99")}
    own = int(size * DIM * ROWS)
    return {
        "kind": "contender",
        "run": run,
        "data": data,
        "contender": name,
        "library": library,
        "version": "0.0.1",
        "family": family,
        "flags": flags,
        "status": "ok",
        "why": None,
        "build": {
            "seconds": seconds,
            "cpu_seconds": 1.9 * seconds,
            "threads": 2,
            "peak_growth_bytes": int(1.4 * own) + 4 * DIM * ROWS,
            "kept_growth_bytes": int(1.1 * own),
            "index_bytes": own,
            "file_bytes": None if number % 2 else own,
            "from_cache": False,
        },
        "points": points,
        "at_recall": at,
    }


def _at(points: list[Line], target: float) -> Line | None:
    """Interpolate between two points, as the benchmark does."""
    if len(points) == 1:
        return {"rate": points[0]["rates"][2], "recall": points[0]["recall"], "above": True}
    for before, after in itertools.pairwise(points):
        if before["recall"] <= target <= after["recall"]:
            share = (target - before["recall"]) / (after["recall"] - before["recall"])
            rate = before["rates"][2] ** (1 - share) * after["rates"][2] ** share
            return {"rate": rate, "recall": target, "above": False}
    return None


def failed_line(run: str = RUN, data: str = DATA) -> Line:
    return {
        "kind": "contender",
        "run": run,
        "data": data,
        "contender": "VSAG HGraph",
        "library": "pyvsag",
        "version": "0.0.1",
        "family": "graph",
        "flags": {},
        "status": "failed",
        "why": "invented: the import ended with SIGILL",
        "build": None,
        "points": [],
        "at_recall": {},
    }


def ratio_line(contender: Line, reference: Line) -> Line | None:
    mine, theirs = contender["at_recall"]["0.95"], reference["at_recall"]["0.95"]
    if mine is None or theirs is None or contender is reference:
        return None
    ratio = mine["rate"] / theirs["rate"]
    return {
        "kind": "ratio",
        "run": contender["run"],
        "data": contender["data"],
        "contender": contender["contender"],
        "reference": reference["contender"],
        "target": 0.95,
        "ratio": ratio,
        "low": 0.97 * ratio,
        "high": 1.04 * ratio,
        "rounds": ROUNDS,
    }


def kernel_lines(run: str = RUN) -> list[Line]:
    made = []
    for name, share in (("float32", 0.93), ("float16", 0.88), ("sq8", 0.71), ("sq4", 0.64)):
        for where, bound, by in (("l2", 90.0, "arithmetic"), ("dram", 12.0, "memory")):
            reached = bound * min(0.99, share * (1.1 if where == "dram" else 0.9))
            made.append(
                {
                    "kind": "kernel",
                    "run": run,
                    "name": f"score_block {name} 128",
                    "level": "avx2",
                    "where": where,
                    "reached": reached,
                    "bound": bound,
                    "unit": "GB/s",
                    "bound_by": by,
                }
            )
    return made


def lines(run: str = RUN, data: str = DATA, contenders: int = len(_CONTENDERS)) -> list[Line]:
    """All lines of a run on one data set."""
    measured = [contender_line(number, run, data) for number in range(contenders)]
    ratios = [ratio_line(line, measured[0]) for line in measured]
    return [
        run_line(run),
        dataset_line(run, data),
        *measured,
        failed_line(run, data),
        *(line for line in ratios if line is not None),
        *kernel_lines(run),
    ]


def write(path: Path, content: list[Line]) -> Path:
    """Write lines as a results file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
    return path
