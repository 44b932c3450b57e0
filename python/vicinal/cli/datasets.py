"""``vicinal datasets``: public benchmark sets by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vicinal import datasets
from vicinal.cli.output import command, emit_json, plain_table, quantity, safe, show, usage

app = typer.Typer(no_args_is_help=True, help="List and fetch public benchmark sets.")


@app.command("list")
@command
def list_sets(
    family: Annotated[
        str | None, typer.Option(help="Only this one: ann-benchmarks, big-ann or vibe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the sets that are known by name."""
    with usage("--family"):
        entries = datasets.list(family)
    if as_json:
        emit_json([{**asdict(entry), "base_bytes": entry.base_bytes} for entry in entries])
        return
    table = plain_table("family", "name", "distance", "rows", "dim", "base", left=3)
    for entry in entries:
        table.add_row(
            entry.family,
            entry.name,
            entry.metric,
            f"{entry.rows:,}" if entry.rows else "",
            f"{entry.dim:,}",
            quantity(entry.base_bytes, "B") if entry.loadable and entry.rows else "",
        )
    show(table)


@app.command()
@command
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `vicinal datasets list`.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Only so many rows of the base, if it is a big-ann.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum the base must have.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Folder on a server to get the files from instead.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use only what is in the cache.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Get the files anew though they are here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Get the files of a set into the cache, check them, and tell where they are."""
    with usage():
        datasets.find(name)
    files = datasets.fetch(
        name,
        rows=rows,
        sha256=sha256,
        base_url=base_url,
        offline=True if offline else None,  # else VICINAL_OFFLINE decides
        again=again,
    )
    if as_json:
        emit_json([asdict(file) for file in files])
        return
    table = plain_table("file", "bytes", "sha256", "checksum from", left=1)
    for file in files:
        origin = "beforehand" if file.published else "first download"
        table.add_row(safe(file.path), f"{file.bytes:,}", file.sha256, origin)
    show(table)
