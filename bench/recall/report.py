"""What was measured, as a table for the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from . import machine
from .ratios import Ratio
from .results import ratios
from .rounds import FLAT_BATCH, FLAT_SINGLE, REPEATS, Result, Settings
from .sweep import TARGETS, Matched, at_recall

REFERENCE = {False: "hnswlib", True: "faiss Flat"}


def how(settings: Settings) -> str:
    here = machine.facts()
    call = "one call per query" if settings.single else "all queries in one call"
    busy = ""
    if here["load"] > 0.7 * (here["cpus"] or 1):
        busy = f"\nThe machine is busy (load {here['load']:.1f}): these numbers are no evidence."
    if settings.cpu_time:
        busy += "\nThroughput by processor time, not by wall time."
    threads = settings.search_threads
    pinned = (
        "one thread pinned to one CPU" if threads == 1 else f"{threads} threads on as many CPUs"
    )
    extra = f", {settings.extra} rounds more where an interval is wide" if settings.extra else ""
    return (
        f"{here['cpu']}, {here['cpus']} CPUs. Search: {pinned}, {call};\n"
        f"recall@{settings.k} by true distance, ties count; median of {settings.rounds} rounds of "
        f"{REPEATS} repeats{extra}, contenders interleaved, each in its own process.\n"
        f"All get the same float32 rows. Build: {settings.build_threads} threads.{busy}"
    )


def table(name: str, results: Sequence[Result], reference: str) -> str:
    good = [r for r in results if r.status == "ok" and r.build]
    out = [f"\n{name}"]
    if good:
        exact = good[0].exact
        rows = _flat_rows(good, reference) if exact else _graph_rows(good, reference)
        out.append(columns(rows))
        out.append(f"  ratio: to {reference}, of the same rounds, with its 95% interval")
        if not exact:
            out.append("  > the cheapest setting has this higher recall already; - not reached")
    out += [f"  {r.name}: {r.status}: {r.why}" for r in results if r.status != "ok"]
    return "\n".join(out) + "\n"


def _graph_rows(results: Sequence[Result], reference: str) -> list[list[str]]:
    found = {(name, target): _spread(ratio) for name, target, ratio in ratios(results)}
    head = ["contender"]
    for target in TARGETS:
        head += [f"q/s at {target:.2f}", "ratio"]
    rows = [[*head, "build s", "peak MB", "kept MB", "index MB"]]
    for result in results:
        row = [result.name]
        for target in TARGETS:
            row.append(_matched(at_recall(result.points, target)))
            itself = "1" if result.name == reference and row[-1] != "-" else "-"
            row.append(found.get((result.name, target), itself))
        rows.append(row + _build_cells(result))
    return rows


def _flat_rows(results: Sequence[Result], reference: str) -> list[list[str]]:
    head = ["contender", f"q/s, batch of {FLAT_BATCH}", "ratio"]
    head += [f"q/s, single ({FLAT_SINGLE} calls)", "ratio", "recall"]
    rows = [[*head, "build s", "peak MB", "kept MB", "index MB"]]
    found = {name: _spread(ratio) for name, _, ratio in ratios(results)}
    against = next((r for r in results if r.name == reference and r.points), None)
    for result in results:
        if not result.points:
            continue
        point = result.points[0]
        batch, single = statistics.median(point.rates), statistics.median(point.single_rates)
        theirs = statistics.median(against.points[0].single_rates) if against else None
        row = [result.name, f"{batch:,.1f}", found.get(result.name, "-"), f"{single:,.1f}"]
        row += [f"{single / theirs:.2f}" if theirs else "-", f"{point.recall:.4f}"]
        rows.append(row + _build_cells(result))
    return rows


def _spread(ratio: Ratio) -> str:
    ends = f" ({ratio.low:.2f}-{ratio.high:.2f})" if ratio.rounds > 1 else ""
    return f"{ratio.ratio:.2f}{ends}"


def _build_cells(result: Result) -> list[str]:
    build = result.build or {}
    size = build.get("index_bytes") or build.get("file_bytes")
    counts = (build["peak_growth_bytes"], build["kept_growth_bytes"], size)
    megabytes = [f"{count / 1e6:,.0f}" if count else "-" for count in counts]
    return [f"{build['seconds']:.1f}", *megabytes]


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
