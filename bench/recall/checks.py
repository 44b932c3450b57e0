"""Every bar of the first release beside what is measured.

``python -m bench.recall.checks DATA ...``

It judges and does not fail: the exit code is 0 whatever the verdicts.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import face, machine, report
from .datasets import shape
from .results import Record
from .rounds import Result, Settings
from .sweep import at_recall

RECALL = 0.95
SQ8_WANTED = {"mnist-784": 3.0}  # else 2
GRAPHS = [
    "hnswlib",
    "faiss HNSW32-SQ8",
    "vicinal HNSW f32",
    "vicinal HNSW SQ8",
    "vicinal HNSW SQ8+f16",
]
FLATS = ["faiss Flat", "vicinal Flat"]


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    what: str
    where: str
    value: float | None
    wanted: float
    unit: str = "x"
    at_most: bool = False
    note: str = ""

    def row(self) -> list[str]:
        sign = "<=" if self.at_most else ">="
        wanted = f"{sign} {self.wanted:g} {self.unit}"
        if self.value is None:
            return [self.what, self.where, "-", wanted, "not measured", self.note]
        good = self.value <= self.wanted if self.at_most else self.value >= self.wanted
        off = abs(self.value / self.wanted - 1)
        verdict = "pass" if good else f"miss by {off:.0%}"
        return [self.what, self.where, f"{self.value:.3g} {self.unit}", wanted, verdict, self.note]


def graph_checks(name: str, results: Sequence[Result], settings: Settings) -> list[Check]:
    found = {r.name: r for r in results if r.status == "ok" and r.build}
    rates = {r.name: at_recall(r.points, RECALL) for r in results}

    def over(mine: str, theirs: str) -> float | None:
        a, b = rates.get(mine), rates.get(theirs)
        return a.rate / b.rate if a and b else None

    refined = "vicinal HNSW SQ8+f16"
    checks = [
        Check("HNSW float32 / hnswlib", name, over("vicinal HNSW f32", "hnswlib"), 1.5),
        Check(
            "HNSW SQ8 + refine / hnswlib",
            name,
            over(refined, "hnswlib"),
            SQ8_WANTED.get(name, 2.0),
        ),
        Check(
            "HNSW SQ8 + refine / faiss HNSW32-SQ8",
            name,
            over(refined, "faiss HNSW32-SQ8"),
            1.3,
        ),
    ]
    ours, theirs = found.get("vicinal HNSW f32"), found.get("hnswlib")
    if ours and theirs and ours.build and theirs.build:
        key = "cpu_seconds" if settings.cpu_time else "seconds"
        took = theirs.build.get(key)
        note = f"recall at ef 64: {theirs.fixed_recall:.4f} / {ours.fixed_recall:.4f}"
        if theirs.build["from_cache"]:
            note += "; hnswlib measured earlier"
        checks.append(
            Check(
                "build, hnswlib / HNSW float32",
                name,
                took / ours.build[key] if took else None,
                1.5,
                note=note,
            )
        )
    small = found.get("vicinal HNSW SQ8")
    if small and theirs and small.build and theirs.build:
        size = theirs.build.get("index_bytes") or theirs.build.get("file_bytes")
        grown = small.build["kept_growth_bytes"] / max(1, theirs.build["kept_growth_bytes"])
        checks.append(
            Check(
                "memory, HNSW SQ8 / hnswlib",
                name,
                small.build["index_bytes"] / size if size else None,
                0.45,
                at_most=True,
                note=f"by growth of the process {grown:.2f}",
            )
        )
    return checks


def flat_checks(
    name: str, results: Sequence[Result], values: int, peaks: dict[str, Any]
) -> list[Check]:
    found = {r.name: r for r in results if r.status == "ok"}
    if "vicinal Flat" not in found:
        return []
    ours = found["vicinal Flat"]
    batch = statistics.median(ours.points[0].rates)
    single = statistics.median(ours.points[0].single_rates)
    ratio = None
    if "faiss Flat" in found:
        ratio = batch / statistics.median(found["faiss Flat"].points[0].rates)
    peak, stream = peaks.get("fma_flop_per_s"), peaks.get("dram_bytes_per_s")
    flops, read = 2 * values * batch, 4 * values * single
    return [
        Check("Flat float32, batch of 1,000 / faiss IndexFlat", name, ratio, 1.2),
        Check(
            "Flat float32, batch of 1,000 / FMA peak",
            name,
            100 * flops / peak if peak else None,
            70,
            "%",
            note=f"{flops / 1e9:.1f} GFLOP/s",
        ),
        Check(
            "Flat float32, single query / DRAM bandwidth",
            name,
            100 * read / stream if stream else None,
            85,
            "%",
            note=f"{read / 1e9:.1f} GB/s",
        ),
    ]


def face_checks(kept: Path | None) -> list[Check]:
    checks = [
        Check("one search call, ten vectors", kind, 1e6 * seconds, 5, "us", at_most=True)
        for kind, seconds in face.apart(face.call_seconds).items()
    ]
    opened = face.apart(face.open_seconds, kept)
    note = f"with the first search {1e3 * opened['open_and_first_search']:.1f} ms"
    size = f"500k x 128, {opened['file_bytes'] / 1e6:.0f} MB"
    return [*checks, Check("open by mapping", size, 1e3 * opened["open"], 50, "ms", True, note)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recall.checks", description=__doc__)
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--machine", type=Path, help="the program vicinal_machine, for the peaks")
    parser.add_argument("--parts", default="graph,flat,face", help="which bars (graph,flat,face)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="as for python -m bench.recall")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="as for python -m bench.recall")
    parser.add_argument("--open-file", type=Path, help="keep the 500k x 128 index here")
    parser.add_argument("--json", type=Path, help="append all that was measured, as JSON lines")
    options = parser.parse_args()
    if options.machine and not options.machine.is_file():
        parser.error(f"no such file: {options.machine}")

    settings = Settings(
        rounds=options.rounds,
        cpu_time=options.cpu_time,
        max_queries=options.queries,
        build_threads=options.build_threads,
        cache=options.cache,
        fixed_ef=64,
    )
    parts = options.parts.split(",")
    checks: list[Check] = []
    print(report.how(settings))  # before: its load is not ours
    # Peaks are of wall time: beside processor time on a busy machine they would say nothing.
    program = options.machine if "flat" in parts and not options.cpu_time else None
    before = machine.measure(program) if program else {}
    record = Record(
        options.json, shlex.join(["python", "-m", "bench.recall.checks", *sys.argv[1:]]), settings
    )
    record.begin(before or None)
    for data in options.data:
        if "graph" in parts:
            results = record.measure(data, GRAPHS, "hnswlib")
            print(report.table(data.stem, results, "hnswlib"), flush=True)
            checks += graph_checks(data.stem, results, settings)
        if "flat" in parts:
            results = record.measure(data, FLATS, "faiss Flat")
            print(report.table(data.stem, results, "faiss Flat"), flush=True)
            after = machine.measure(program) if program else {}
            # Before and after, the higher of both: a quiet minute flatters nobody.
            peaks: dict[str, Any] = {
                key: max(before[key] or 0, after[key] or 0)
                for key in ("fma_flop_per_s", "dram_bytes_per_s")
                if key in before
            }
            rows, dim = shape(data)
            checks += flat_checks(data.stem, results, rows * dim, peaks)
    if "face" in parts:
        checks += face_checks(options.open_file)
    head = ["bar", "on", "measured", "wanted", "verdict", ""]
    print(report.columns([head, *[check.row() for check in checks]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
