"""``vicinal calibrate``: measure which effort gives which recall, and keep it in the index file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vicinal import HNSWIndex
from vicinal import io as vectors_io
from vicinal import open as open_index
from vicinal.cli import settings as opts
from vicinal.cli.output import UsageProblem, command, emit_json, progress, safe, show


@command
def calibrate(
    path: Annotated[Path, typer.Argument(metavar="INDEX", help="Saved graph.")],
    queries: Annotated[
        Path | None,
        typer.Option(help="File with queries like those to come; default: rows of the index."),
    ] = None,
    key: opts.KeyOption = None,
    k: Annotated[
        list[int] | None, typer.Option("-k", min=1, help="Neighbours per query; may be repeated.")
    ] = None,
    recall: Annotated[float, typer.Option(help="Measure up to this share of them.")] = 0.99,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the index itself.")
    ] = None,
    seed: opts.SeedOption = None,
    threads: opts.ThreadsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was measured as JSON.")] = False,
) -> None:
    """Measure how much recall each effort of a search gives.

    Afterwards `vicinal search --recall`, and `recall=` in Python, may ask for a share of the true
    neighbours. Half of the queries choose the effort, the other half only checks it.

    `vicinal calibrate words.vicinal --queries queries.npy`
    """
    if key is not None and queries is None:
        raise UsageProblem("--key goes with --queries")
    index = open_index(path)
    if not isinstance(index, HNSWIndex):
        raise UsageProblem(f"{type(index).__name__} has no effort to choose: it is for graphs")
    asked = None if queries is None else vectors_io.read(queries, key=key)
    with progress() as report:
        measured = index.calibrate(
            asked, k=k or 10, recall=recall, seed=seed or 0, threads=threads, progress=report
        )
        index.save(output or path, progress=report)
    if as_json:
        emit_json(measured.to_dict())
    else:
        show(safe(measured), f"kept in {safe(output or path)}")
