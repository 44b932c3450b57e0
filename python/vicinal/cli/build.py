"""``vicinal build``: vectors from a file into an index in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vicinal import FlatIndex, HNSWIndex, IVFIndex
from vicinal import io as vectors_io
from vicinal._types import Array
from vicinal.cli import settings as opts
from vicinal.cli.making import described, make, report_rows
from vicinal.cli.output import (
    UsageProblem,
    command,
    emit_json,
    plain_table,
    progress,
    quantity,
    safe,
    show,
)


@command
def build(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="File with vectors.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the index.")
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
    lists: opts.ListsOption = None,
    seed: opts.SeedOption = None,
    threads: opts.ThreadsOption = None,
    key: opts.KeyOption = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Only the first so many.", rich_help_panel="What to read"),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            help="File with one id per vector (text, npy, ivecs, Parquet, ...).",
            rich_help_panel="What to read",
        ),
    ] = None,
    ids_key: Annotated[
        str | None,
        typer.Option(
            help="Array or column with the ids, in the file of --ids or else in INPUT.",
            rich_help_panel="What to read",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="auto: file with queries like those to come, to calibrate with.",
            rich_help_panel="What to read",
        ),
    ] = None,
    queries_key: Annotated[
        str | None,
        typer.Option(
            help="Array or column in the file of --queries.", rich_help_panel="What to read"
        ),
    ] = None,
    config: opts.ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was built as JSON.")] = False,
) -> None:
    """Build an index from vectors in a file.

    Reads npy, npz, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, HDF5, Parquet, Arrow and Feather.
    Without any option on what to build, exact search or a graph is chosen by the size of the data,
    and the graph is calibrated to a recall of 0.95.

    `vicinal build vectors.npy -o words.vicinal --metric cosine`
    """
    given = opts.merged(
        opts.BuildSettings,
        config,
        {
            "output": output,
            "metric": metric,
            "index": index,
            "recall": recall,
            "memory": memory,
            "build_time": build_time,
            "codec": codec,
            "refine": refine,
            "links": links,
            "build_ef": build_ef,
            "lists": lists,
            "seed": seed,
            "threads": threads,
            "key": key,
            "rows": rows,
            "ids": ids,
            "ids_key": ids_key,
            "queries": queries,
            "queries_key": queries_key,
        },
    )
    if given.output is None:
        raise UsageProblem("say where to write the index", param_hint="--output")
    kind = given.kind()
    if given.queries is not None and kind != "auto":
        raise UsageProblem(f"--queries does not go with --index {kind}: nothing is calibrated")
    vectors, names = _read(source, given)
    calibration = None
    if given.queries is not None:
        calibration = vectors_io.read(given.queries, key=given.queries_key)
    with progress() as report:
        made, seconds = make(
            given,
            vectors,
            given.metric or "l2",
            ids=names,
            queries=calibration,
            progress=report,
        )
        made.save(given.output, progress=report)
    _say(made, given.output, seconds, as_json)


def _read(source: Path, given: opts.BuildSettings) -> tuple[Array, Array | None]:
    vectors = vectors_io.read(source, key=given.key, rows=given.rows)
    if vectors.ndim != 2:
        raise ValueError(f"{source} holds an array of shape {vectors.shape}, wanted 2 sizes")
    names = None
    if given.ids is not None or given.ids_key is not None:
        names = vectors_io.read_ids(given.ids or source, key=given.ids_key)
        if names.dtype == bool:
            raise ValueError(f"{given.ids or source} holds a mask, wanted one id per vector")
        if given.rows is not None:
            names = names[: given.rows]
    return vectors, names


def _say(
    index: FlatIndex | HNSWIndex | IVFIndex, path: Path, seconds: float, as_json: bool
) -> None:
    facts = described(index)
    size = path.stat().st_size
    per_vector = index.memory().total / max(1, len(index))
    if as_json:
        report = None if index.report is None else index.report.to_dict()
        emit_json(
            {
                "path": path,
                **facts,
                "build_seconds": seconds,
                "bytes_per_vector": per_vector,
                "file_bytes": size,
                "report": report,
            }
        )
        return
    table = plain_table("", "", left=2)
    table.show_header = False
    if index.report is None:
        for name, value in facts.items():
            table.add_row(name.replace("_", " "), f"{value:,}" if _is_int(value) else str(value))
        table.add_row("in memory", f"{per_vector:,.1f} bytes per vector")
        table.add_row("built in", f"{seconds:,.1f} s, {len(index) / seconds:,.0f} vectors/s")
    else:
        for name, text in report_rows(index.report):
            table.add_row(safe(name), safe(text))
    table.add_row("file", f"{safe(path)}, {quantity(size, 'B')}")
    show(table)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
