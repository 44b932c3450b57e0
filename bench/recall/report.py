"""What was measured, as a table and as JSON lines."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .rounds import FLAT_BATCH, FLAT_SINGLE, Result, Settings
from .sweep import TARGETS, Matched, at_recall

REFERENCE = {False: "hnswlib", True: "faiss Flat"}


def machine() -> dict[str, Any]:
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "system": platform.platform(terse=True),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def how(settings: Settings) -> str:
    here = machine()
    call = "one call per query" if settings.single else "all queries in one call"
    busy = ""
    if here["load"] is not None and here["load"] > 0.7 * (here["cpus"] or 1):
        busy = f"\nThe machine is busy (load {here['load']:.1f}): these numbers are no evidence."
    if settings.cpu_time:
        busy += "\nThroughput by processor time, not by wall time."
    return (
        f"{here['cpu']}, {here['cpus']} CPUs. Search: one thread pinned to one CPU, {call};\n"
        f"recall@{settings.k} by true distance, ties count; median of {settings.rounds} rounds, "
        f"contenders interleaved, each in its own process.\nAll get the same float32 rows. "
        f"Build: {settings.build_threads} threads.{busy}"
    )


def table(name: str, results: Sequence[Result], settings: Settings) -> str:
    if not results:
        return f"{name}: nothing measured"
    exact = results[0].exact
    reference = next((r for r in results if r.name == REFERENCE[exact]), None)
    rows = [_flat_head() if exact else _graph_head(reference is not None)]
    row = _flat_row if exact else _graph_row
    rows += [row(result, reference) for result in results]
    notes = "" if exact else "\n  > the smallest ef has this higher recall already; - not reached"
    return f"\n{name}\n{columns(rows)}{notes}\n"


def _graph_head(ratios: bool) -> list[str]:
    head = ["contender"]
    for target in TARGETS:
        head += [f"q/s at {target:.2f}"] + (["ratio"] if ratios else [])
    return [*head, "build s", "peak MB", "kept MB", "index MB"]


def _graph_row(result: Result, reference: Result | None) -> list[str]:
    row = [result.name]
    for target in TARGETS:
        mine = at_recall(result.points, target)
        row.append(_matched(mine))
        if reference is not None:
            theirs = at_recall(reference.points, target)
            row.append(f"{mine.rate / theirs.rate:.2f}" if mine and theirs else "-")
    return row + _build_cells(result)


def _flat_head() -> list[str]:
    return [
        "contender",
        f"q/s, batch of {FLAT_BATCH}",
        "ratio",
        f"q/s, single ({FLAT_SINGLE} calls)",
        "ratio",
        "recall",
        "build s",
        "peak MB",
        "kept MB",
        "index MB",
    ]


def _flat_row(result: Result, reference: Result | None) -> list[str]:
    row = [result.name]
    for rates, theirs in (
        (result.points[0].rates, reference.points[0].rates if reference else []),
        (result.single_rates, reference.single_rates if reference else []),
    ):
        mine = statistics.median(rates)
        row += [f"{mine:,.1f}", f"{mine / statistics.median(theirs):.2f}" if theirs else "-"]
    return [*row, f"{result.points[0].recall:.4f}", *_build_cells(result)]


def _build_cells(result: Result) -> list[str]:
    build = result.build
    size = build.get("index_bytes") or build.get("file_bytes")
    counts = (build["peak_growth_bytes"], build["kept_growth_bytes"], size)
    megabytes = [f"{count / 1e6:,.0f}" if count else "-" for count in counts]
    return [f"{build['build_seconds']:.1f}", *megabytes]


def _matched(matched: Matched | None) -> str:
    if matched is None:
        return "-"
    return f"{matched.rate:,.0f}" + (f" >{matched.recall:.3f}" if matched.above else "")


def columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if c == 0 else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells))
    lines.insert(1, "  " + "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def append_json(path: Path, name: str, results: Sequence[Result], settings: Settings) -> None:
    with path.open("a") as file:
        for result in results:
            matched = {str(t): at_recall(result.points, t) for t in TARGETS}
            line = {
                "data": name,
                "contender": result.name,
                "machine": machine(),
                "k": settings.k,
                "rounds": settings.rounds,
                "single": settings.single,
                "cpu_time": settings.cpu_time,
                "build": result.build,
                "points": [
                    {"ef": p.ef, "recall": p.recall, "queries_per_second": p.rates}
                    for p in result.points
                ],
                "at_recall": {t: m.__dict__ if m else None for t, m in matched.items()},
                "fixed_ef_recall": result.fixed_recall,
                "single_queries_per_second": result.single_rates,
            }
            file.write(json.dumps(line) + "\n")
