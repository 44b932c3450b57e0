"""``vicinal bench``: what was measured, as a page and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vicinal.bench.drawing import write_figures
from vicinal.bench.page import write_page
from vicinal.bench.results import read_results
from vicinal.cli.output import command, progress, quantity, safe, show

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def _group() -> None:
    """Show what a benchmark measured."""


@app.command()
@command
def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Results files, JSON lines.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path(
        "report.html"
    ),
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each figure there too, as SVG and PNG."),
    ] = None,
) -> None:
    """Make one page of HTML from results files.

    It holds curves of recall against throughput, size, building, ratios, kernels against their
    bounds, and every number in tables. The page needs no network, then or later.

    `vicinal bench report results.jsonl -o report.html`
    """
    found = read_results(results)
    words = ["vicinal", "bench", "report", *map(str, results), "-o", str(output)]
    words += [] if figures is None else ["--figures", str(figures)]
    with progress("figures") as tell:
        write_page(found, output, command=words, progress=tell)
        drawn = [] if figures is None else write_figures(found, figures, progress=tell)
    lines = [f"{safe(output)}: {quantity(output.stat().st_size, 'B')}"]
    if drawn:
        lines.append(f"{safe(figures)}: {len(drawn)} files, {len(drawn) // 2} figures")
    show(*lines)
