"""``vicinal demo``: the tour, told in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vicinal import demo as tour
from vicinal.cli.output import command, emit_json, plain_table, progress, quantity, safe, stdout


@command
def demo(
    word: Annotated[
        list[str] | None,
        typer.Option(help="Word to look up, of the 1,000 that come along; may be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours per query.")] = 10,
    ef: Annotated[int, typer.Option(min=1, help="Candidates the graphs keep per query.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes; the median counts.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="For building; default one per processor.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder to leave the saved indexes in.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Build, save, reopen and measure indexes on 10,000 word definitions that come along."""
    with progress() as report:
        found = tour.run(
            k=k,
            ef=ef,
            repeats=repeats,
            words=tuple(word) if word else tour.WORDS,
            threads=threads,
            folder=keep,
            progress=report,
        )
    if as_json:
        emit_json(found)
    else:
        _tell(found, keep)


def _tell(found: tour.DemoReport, keep: Path | None) -> None:
    console = stdout()
    place = "a temporary folder" if keep is None else safe(keep)
    console.print(
        f"The data: {found.rows:,} definitions from WordNet 3.0 (c) Princeton University, each a "
        f"vector of {found.dim} numbers made by the sentence encoder all-MiniLM-L6-v2. The "
        f"queries: {found.queries:,} single words, made vectors the same way.\n\n"
        f"What was done: three indexes were built under cosine distance, saved to {place}, opened "
        f"again by mapping the file, and asked for the {found.k} definitions nearest to each word, "
        f"the graphs with ef {found.ef}. The first compares every vector, so its answers are the "
        f'truth that recall@{found.k} is measured by. "Right one" is how often the word\'s own '
        f"definition is among the {found.k}: that is up to the encoder. Searches ran on one "
        f"thread, all words in one call, median of {found.repeats} passes.\n",
        width=min(console.width, 100),
    )
    table = plain_table(
        "index",
        f"recall@{found.k}",
        "right one",
        "queries/s",
        "build",
        "bytes per vector",
        "file",
        "open",
    )
    for result in found.indexes:
        table.add_row(
            safe(result.name),
            f"{result.recall:.4f}",
            f"{result.hit_rate:.1%}",
            f"{result.queries_per_second:,.0f}",
            f"{result.build_seconds:.2f} s",
            f"{result.bytes_per_vector:,.0f}",
            quantity(result.file_bytes, "B"),
            f"{result.open_milliseconds:.1f} ms",
        )
    console.print(table)
    console.print(
        f"\nWhat {safe(found.looked_up_in)} finds for a few words (1 - cosine before each):"
    )
    for lookup in found.lookups:
        console.print(f"\n[bold]{safe(lookup.word)}[/bold]")
        for answer in lookup.answers:
            names = ", ".join(answer.words)
            console.print(
                f"  {answer.distance:.3f}  [bold]{safe(names)}[/bold]: {safe(answer.definition)}"
            )
    console.print(
        "\nNext: vicinal build VECTORS.npy -o INDEX.vicinal, then vicinal search INDEX.vicinal "
        "QUERIES.npy, with your own."
    )
