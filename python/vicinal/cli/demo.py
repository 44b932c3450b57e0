"""``vicinal demo``: the tour, told in plain words."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from vicinal import demo as tour
from vicinal.cli.output import command, emit_json, plain_table, progress, quantity, safe, show


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
    place = "a temporary folder" if keep is None else str(keep)
    told = (
        f"The data: {found.rows:,} definitions from WordNet 3.0 (c) Princeton University, each a "
        f"vector of {found.dim} numbers made by the sentence encoder all-MiniLM-L6-v2. The "
        f"queries: {found.queries:,} words, made vectors the same way.",
        f"What was done: three indexes were built under cosine distance, saved to {place}, opened "
        f"again by mapping the file, and asked for the {found.k} definitions nearest to each word, "
        f"the graphs with ef {found.ef}. The first compares every vector, so its answers are the "
        f'truth that recall@{found.k} is measured by. "Right one" is how often the word\'s own '
        f"definition is among the {found.k}: that is up to the encoder. Searches ran on one "
        f"thread, median of {found.repeats} passes: all words in one call, which lets exact search "
        "compare many words at once, and one by one.",
    )
    table = plain_table(
        "index",
        f"recall@{found.k}",
        "right one",
        "queries/s",
        "one by one",
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
            f"{result.single_queries_per_second:,.0f}",
            f"{result.build_seconds:.2f} s",
            f"{result.bytes_per_vector:,.0f}",
            quantity(result.file_bytes, "B"),
            f"{result.open_milliseconds:.1f} ms",
        )
    lines = [safe("\n\n".join(textwrap.fill(part, 96) for part in told)), ""]
    found_words = [f"\nWhat {safe(found.looked_up_in)} finds for a few words, with 1 - cosine:"]
    for lookup in found.lookups:
        found_words.append(f"\n[bold]{safe(lookup.word)}[/bold]")
        for answer in lookup.answers:
            names = safe(", ".join(answer.words))
            found_words.append(
                f"  {answer.distance:.3f}  [bold]{names}[/bold]: {safe(answer.definition)}"
            )
    found_words.append(
        "\nNext, with vectors of your own:\n"
        "  vicinal build VECTORS.npy -o INDEX.vicinal\n"
        "  vicinal search INDEX.vicinal QUERIES.npy"
    )
    show(*lines, table, *found_words)
