"""``vicinal tune``: what would be built for vectors from a file, and how much it would take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vicinal import io as vectors_io
from vicinal import tune as tune_for
from vicinal.cli import settings as opts
from vicinal.cli.making import report_rows
from vicinal.cli.output import command, emit_json, plain_table, progress, quantity, safe, show


@command
def tune(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="File with vectors.")],
    metric: opts.MetricOption = None,
    recall: Annotated[float, typer.Option(help="Share of the ten nearest to find.")] = 0.95,
    memory: Annotated[
        int | None,
        typer.Option(min=0, help="Most bytes that the index may take, such as 500_000_000."),
    ] = None,
    build_time: Annotated[
        float | None, typer.Option(help="Seconds that building should take at most.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="File with queries like those to come.")
    ] = None,
    queries_key: Annotated[
        str | None, typer.Option(help="Array or column in the file of --queries.")
    ] = None,
    seed: opts.SeedOption = None,
    threads: opts.ThreadsOption = None,
    key: opts.KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was chosen as JSON.")] = False,
) -> None:
    """Choose what `vicinal build` would build, without building it.

    Looks at a sample, which takes about a second; says why, and how much memory the index would
    take.

    `vicinal tune vectors.npy --metric cosine --memory 500_000_000`
    """
    vectors = vectors_io.read(source, key=key)
    asked = None if queries is None else vectors_io.read(queries, key=queries_key)
    with progress() as report:
        plan = tune_for(
            vectors,
            "l2" if metric is None else metric.value,
            recall=recall,
            memory=memory,
            build_time=build_time,
            queries=asked,
            threads=threads,
            seed=seed or 0,
            progress=report,
        )
    if as_json:
        before = plan.transform
        emit_json(
            {
                "rows": plan.rows,
                "dim": plan.dim,
                "metric": plan.metric,
                "params": plan.params.to_dict(),
                "directions": None if before is None else before.out_dim,
                "bytes_per_vector": plan.bytes_per_vector,
                "why": plan.why,
                "tried": [one._asdict() for one in plan.tried],
            }
        )
        return
    table = plain_table("", "", left=2)
    table.show_header = False
    for name, text in report_rows(plan):
        table.add_row(safe(name), safe(text))
    table.add_row("in all", quantity(int(plan.bytes_per_vector * plan.rows), "B"))
    show(table)
