"""``vicinal eval``: recall against throughput, on data with known or computed answers."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from vicinal import BinaryIndex, FlatIndex, HNSWIndex, IVFIndex
from vicinal import evaluate as measure
from vicinal import io as vectors_io
from vicinal import open as open_index
from vicinal._types import Array, Progress
from vicinal.cli import settings as opts
from vicinal.cli.making import described, make
from vicinal.cli.output import (
    UsageProblem,
    command,
    emit,
    emit_json,
    plain_table,
    progress,
    safe,
    show,
)
from vicinal.io import Dataset


class EvalFormat(str, Enum):
    """How to write the measurements."""

    table = "table"
    json = "json"
    csv = "csv"


EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class _Truth:
    ids: Array
    distances: Array | None
    source: str
    """Where it came from, in words."""


@command
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Data set (HDF5 in the ann-benchmarks layout, or npz with base and queries), or "
            "file with the base vectors if QUERIES is given.",
        ),
    ],
    queries: Annotated[
        Path | None, typer.Argument(metavar="[QUERIES]", help="File with queries.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="File with the ids of the true neighbours, nearest first; default as in DATA, "
            "or computed."
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option("--saved", help="Measure this saved index instead of building one."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="Neighbours per query; default 10.")
    ] = None,
    ef: Annotated[
        str | None,
        typer.Option(help=f"Candidates to try, as 16,32,64; default {','.join(map(str, EFS))}."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Timed passes; the median counts; default 3.")
    ] = None,
    search_threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads that search; default 1.")
    ] = None,
    metric: opts.MetricOption = None,
    index: opts.KindOption = None,
    recall: opts.RecallOption = None,
    memory: opts.MemoryOption = None,
    build_time: opts.BuildTimeOption = None,
    codec: opts.CodecOption = None,
    refine: opts.RefineOption = None,
    links: opts.LinksOption = None,
    build_ef: opts.BuildEfOption = None,
    seed: opts.SeedOption = None,
    threads: opts.ThreadsOption = None,
    key: opts.KeyOption = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Only the first so many base vectors; the truth is then computed.",
            rich_help_panel="What to read",
        ),
    ] = None,
    config: opts.ConfigOption = None,
    form: Annotated[
        EvalFormat | None,
        typer.Option("--format", help="Default: as the suffix of --output; table on stdout."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default stdout.")
    ] = None,
) -> None:
    """Measure recall and throughput over a range of ef.

    Recall is the share of the k true nearest neighbours found. With the true distances at hand a
    second recall counts ties: whatever is as near as the true k-th (within 0.1%).

    `vicinal eval sift-128-euclidean.hdf5 --codec sq8 --refine float16`
    """
    given = opts.merged(
        opts.EvalSettings,
        config,
        {
            "k": k,
            "ef": None if ef is None else numbers(ef, "--ef"),
            "repeats": repeats,
            "search_threads": search_threads,
            "metric": metric,
            "index": index,
            "recall": recall,
            "memory": memory,
            "build_time": build_time,
            "codec": codec,
            "refine": refine,
            "links": links,
            "build_ef": build_ef,
            "seed": seed,
            "threads": threads,
            "key": key,
            "rows": rows,
            "truth": truth,
        },
    )
    # Without a choice, the graph: sweeping over ef is what this is for.
    limits = (given.recall, given.memory, given.build_time)
    if saved is None and given.index is None and limits == (None, None, None):
        given = opts.merged(opts.EvalSettings, None, {**asdict(given), "index": "hnsw"})
    if saved is None:
        given.kind()
    form = form or by_suffix(output)
    asked = _data(data, queries, given)
    near = given.k or 10
    with progress() as report:
        made, seconds = _index(saved, given, asked, report)
        answers = _truth(given, asked, made.metric, near, report)
        points = measure.sweep(
            made,
            asked.queries,
            answers.ids,
            near,
            given.ef or EFS,
            true_distances=answers.distances,
            repeats=given.repeats or 3,
            threads=given.search_threads or 1,
            progress=report,
        )
    facts = {
        **described(made),
        "build_seconds": seconds,
        "bytes_per_vector": made.memory().total / max(1, len(made)),
        "queries": len(asked.queries),
        "k": near,
        "truth": answers.source,
        "search_threads": given.search_threads or 1,
        "repeats": given.repeats or 3,
    }
    _write(facts, points, form, output)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read a list as 16,32,64; `UsageProblem` naming the option."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageProblem(f"{text!r} is not a list as 16,32,64", param_hint=option)
    return tuple(int(part) for part in parts)


def by_suffix(output: Path | None) -> EvalFormat:
    """Tell the format that a file name asks for."""
    suffix = "" if output is None else output.suffix.lower()
    return {".json": EvalFormat.json, ".csv": EvalFormat.csv}.get(suffix, EvalFormat.table)


def _data(data: Path, queries: Path | None, given: opts.EvalSettings) -> Dataset:
    if queries is None:
        whole = vectors_io.read_dataset(data)
        if given.rows is None or given.rows >= len(whole.base):
            return whole
        return Dataset(whole.base[: given.rows], whole.queries, whole.metric)
    base = vectors_io.read(data, key=given.key, rows=given.rows)
    return Dataset(base, vectors_io.read(queries))


def _index(
    saved: Path | None, given: opts.EvalSettings, data: Dataset, report: Progress | None
) -> tuple[FlatIndex | HNSWIndex | IVFIndex, float | None]:
    if saved is None:
        return make(given, data.base, given.metric or data.metric or "l2", progress=report)
    index = open_index(saved)
    if isinstance(index, BinaryIndex):
        raise UsageProblem(f"{saved} holds bits, whose search is exact: no recall to measure")
    if given.metric is not None and given.metric != index.metric:
        raise UsageProblem(f"{saved} measures {index.metric}", param_hint="--metric")
    return index, None


def _truth(
    given: opts.EvalSettings, data: Dataset, metric: str, k: int, report: Progress | None
) -> _Truth:
    if given.truth is not None:
        ids = vectors_io.read(given.truth)
        return _Truth(ids, None, str(given.truth))
    # The neighbours in a file are those of its own metric.
    fits = data.metric in (None, metric)
    if fits and data.neighbors is not None and data.neighbors.shape[1] >= k:
        unknown = "" if data.metric else ", which does not state its metric"
        return _Truth(data.neighbors, data.distances, f"data set{unknown}")
    start = time.perf_counter()
    found = measure.ground_truth(
        data.base, data.queries, k, metric, threads=given.threads, progress=report
    )
    seconds = time.perf_counter() - start
    return _Truth(found.ids, found.distances, f"computed in {seconds:.1f} s")


def _write(
    facts: dict[str, Any],
    points: list[measure.OperatingPoint],
    form: EvalFormat,
    output: Path | None,
) -> None:
    if form is EvalFormat.json:
        emit_json({**facts, "points": [asdict(point) for point in points]}, output)
        return
    if form is EvalFormat.csv:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(asdict(points[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
        emit(text.getvalue(), output)
        return
    by_distance = points[0].recall_by_distance is not None
    headings = ["nprobe" if facts["kind"] == "IVFIndex" else "ef", f"recall@{facts['k']}"]
    headings += ["by distance"] if by_distance else []
    table = plain_table(*headings, "queries/s", "us/query", left=0)
    for point in points:
        extra = [f"{point.recall_by_distance:.4f}"] if by_distance else []
        table.add_row(
            "exact" if point.ef is None else str(point.ef),
            f"{point.recall:.4f}",
            *extra,
            f"{point.queries_per_second:,.0f}",
            f"{point.microseconds:,.1f}",
        )
    built = facts["build_seconds"]
    made = "" if built is None else f", built in {built:.1f} s"
    show(
        f"{facts['kind']} of {facts['vectors']:,} vectors, dim {facts['dim']}, {facts['metric']}, "
        f"{facts['codec']}, {facts['bytes_per_vector']:,.1f} bytes a vector{made}",
        f"{facts['queries']:,} queries on {facts['search_threads']} thread(s), median of "
        f"{facts['repeats']}; truth: {safe(facts['truth'])}\n",
        table,
        output=output,
    )
