"""``vicinal eval codecs``: what each codec costs and keeps, on the user's own data."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vicinal import compression
from vicinal import io as vectors_io
from vicinal.cli import settings as opts
from vicinal.cli.evaluate import EvalFormat, by_suffix, numbers
from vicinal.cli.output import command, emit, emit_json, plain_table, progress, safe, show, usage
from vicinal.io import Dataset

CANDIDATES = (20, 100, 500)


@command
def codecs(
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
    codec: Annotated[
        list[str] | None,
        typer.Option(
            "--codec",
            help="One to measure, as sq8, pq48, pq96x4, rq16, rabitq2, signs; may be repeated. "
            "Default: a spread over the sizes.",
        ),
    ] = None,
    metric: opts.MetricOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours per query.")] = 10,
    candidates: Annotated[
        str, typer.Option(help="How many of the nearest codes are re-ranked.")
    ] = ",".join(map(str, CANDIDATES)),
    rows: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many base vectors.")
    ] = None,
    most: Annotated[int, typer.Option("--queries", min=1, help="At most so many queries.")] = 1000,
    key: opts.KeyOption = None,
    threads: opts.ThreadsOption = None,
    form: Annotated[
        EvalFormat | None,
        typer.Option("--format", help="Default: as the suffix of --output; table on stdout."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default stdout.")
    ] = None,
) -> None:
    """Compare codecs: recall of the codes alone and after re-ranking, bytes, and rates.

    Every code is compared with every query, so that nothing but the codes loses neighbours. Bytes
    count all that belongs to one vector. Scans are timed one query at a time on one thread.

    `vicinal eval codecs sift-128-euclidean.hdf5 --codec pq32 --codec rabitq2 --codec sq8`
    """
    if queries is None:
        whole = vectors_io.read_dataset(data)
    else:
        whole = Dataset(vectors_io.read(data, key=key), vectors_io.read(queries))
    measured_by = (metric.value if metric is not None else whole.metric) or "l2"
    base = whole.base if rows is None else whole.base[:rows]
    fits = whole.metric in (None, measured_by) and len(base) == len(whole.base)
    known = whole.neighbors if fits else None
    asked = whole.queries[:most]
    truth = known[:most] if known is not None and known.shape[1] >= k else None
    with progress() as report, usage():
        points = compression.compare_codecs(
            base,
            asked,
            codec,
            metric=measured_by,
            k=k,
            candidates=numbers(candidates, "--candidates"),
            truth=truth,
            threads=threads,
            progress=report,
        )
    facts = {
        "vectors": len(base),
        "dim": base.shape[1],
        "metric": measured_by,
        "queries": len(asked),
        "k": k,
    }
    _write(facts, points, form or by_suffix(output), output)


def _write(
    facts: dict[str, Any],
    points: list[compression.CodecPoint],
    form: EvalFormat,
    output: Path | None,
) -> None:
    if form is EvalFormat.json:
        emit_json({**facts, "codecs": [asdict(point) for point in points]}, output)
        return
    depths = next((tuple(point.recall_after) for point in points if point.recall_after), ())
    if form is EvalFormat.csv:
        text = io.StringIO(newline="")
        flat = [_flat(point, depths) for point in points]
        writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        emit(text.getvalue(), output)
        return
    table = plain_table(
        "codec",
        "bytes",
        f"recall@{facts['k']}",
        *(f"of {depth}" for depth in depths),
        "train s",
        "encoded/s",
        "scanned/s",
        left=0,
    )
    for point in points:
        if point.problem:
            continue
        after = point.recall_after or {}
        table.add_row(
            point.codec,
            str(point.bytes_per_vector),
            f"{point.recall:.4f}",
            *(f"{after[depth]:.4f}" for depth in depths),
            f"{point.train_seconds:.1f}",
            f"{point.encode_rows_per_second:,.0f}",
            f"{point.scan_rows_per_second:,.0f}",
        )
    refused = [f"{point.codec}: {safe(point.problem)}" for point in points if point.problem]
    show(
        f"{facts['vectors']:,} vectors, dim {facts['dim']}, {facts['metric']}; "
        f"{facts['queries']:,} queries\n",
        table,
        *refused,
        output=output,
    )


def _flat(point: compression.CodecPoint, depths: tuple[int, ...]) -> dict[str, Any]:
    values = asdict(point)
    after = values.pop("recall_after") or {}
    return {**values, **{f"recall_after_{depth}": after.get(depth, "") for depth in depths}}
