"""``vicinal search``: queries from a file against an index in a file."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from vicinal import BinaryIndex, FlatIndex, IVFIndex, Neighbors
from vicinal import io as vectors_io
from vicinal import open as open_index
from vicinal.cli import settings as opts
from vicinal.cli.output import (
    UsageProblem,
    command,
    emit,
    emit_json,
    progress,
)


class SearchFormat(str, Enum):
    """How to write the neighbours."""

    table = "table"
    json = "json"
    npz = "npz"


@command
def search(
    index_path: Annotated[Path, typer.Argument(metavar="INDEX", help="Saved index.")],
    queries_path: Annotated[Path, typer.Argument(metavar="QUERIES", help="File with vectors.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours per query.")] = 10,
    ef: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates kept per query; default as the index was built."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Instead of --ef: what found this share when the index was calibrated."),
    ] = None,
    nprobe: Annotated[
        int | None,
        typer.Option(min=1, help="Lists to look into; default as the index was built."),
    ] = None,
    rerank: Annotated[
        int | None, typer.Option(min=1, help="Candidates that the refine store re-ranks.")
    ] = None,
    allow: Annotated[
        Path | None, typer.Option(help="File with the ids that may be found, or a mask over ids.")
    ] = None,
    allow_key: Annotated[
        str | None, typer.Option(help="Array or column in the file of --allow.")
    ] = None,
    key: opts.KeyOption = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many queries.")] = None,
    threads: opts.ThreadsOption = None,
    mode: Annotated[
        opts.ModeName,
        typer.Option(help="Map the index, or read it into memory and check all of it."),
    ] = opts.ModeName.map,
    form: Annotated[
        SearchFormat | None,
        typer.Option("--format", help="Default: as the suffix of --output; table on stdout."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default stdout.")
    ] = None,
) -> None:
    """Find the nearest vectors of each query.

    Distances are smaller for nearer: squared L2, negative inner product, 1 - cosine, bits that
    differ or 1 - Jaccard. Where there are fewer than k neighbours, places hold id -1 and distance
    inf (null in JSON). An index of bits takes packed bits, as uint8.

    `vicinal search words.vicinal queries.npy -k 5 --format json`
    """
    form = form or _by_suffix(output)
    if form is SearchFormat.npz and output is None and sys.stdout.isatty():
        raise UsageProblem("npz is not for a terminal: give --output, or a pipe")
    if allow_key is not None and allow is None:
        raise UsageProblem("--allow-key needs --allow")
    index = open_index(index_path, mode.value)
    how: dict[str, Any] = {"threads": threads}
    if isinstance(index, FlatIndex | BinaryIndex):
        _refuse("an exact index", {"--ef": ef, "--nprobe": nprobe, "--rerank": rerank})
        if isinstance(index, FlatIndex):
            how["recall"] = recall
        else:
            _refuse("an index of bits", {"--recall": recall})
    elif isinstance(index, IVFIndex):
        _refuse("inverted lists", {"--ef": ef, "--recall": recall})
        how.update({"nprobe": nprobe, "candidates": rerank})
    else:
        _refuse("a graph", {"--nprobe": nprobe})
        how.update({"ef": ef, "recall": recall, "rerank": rerank})
    if allow is not None:
        how["allow"] = vectors_io.read_ids(allow, key=allow_key)
    queries = vectors_io.read(queries_path, key=key, rows=rows)
    with progress("queries") as report:
        hits = index.search(queries, k, progress=report, **how)
    if form is SearchFormat.json:
        emit_json({"ids": hits.ids, "distances": hits.distances}, output)
    elif form is SearchFormat.npz:
        emit(_npz(hits), output)
    else:
        emit(_table(hits), output)


def _refuse(index: str, options: Mapping[str, float | None]) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageProblem(f"{name} does not go with {index}")


def _by_suffix(output: Path | None) -> SearchFormat:
    suffix = "" if output is None else output.suffix.lower()
    return {".json": SearchFormat.json, ".npz": SearchFormat.npz}.get(suffix, SearchFormat.table)


def _npz(hits: Neighbors) -> bytes:
    with tempfile.TemporaryDirectory(prefix="vicinal-") as folder:
        path = Path(folder) / "hits.npz"
        vectors_io.write_npz(path, {"ids": hits.ids, "distances": hits.distances})
        return path.read_bytes()


def _table(hits: Neighbors) -> str:
    # By hand: a laid-out table of a hundred thousand lines would take longer than the search.
    width = max(len("id"), len(str(hits.ids.max(initial=0))))
    lines = [f"{'query':>7}  {'rank':>4}  {'id':>{width}}  distance"]
    for query, (ids, distances) in enumerate(zip(hits.ids, hits.distances, strict=True)):
        lines.extend(
            f"{query:>7}  {rank:>4}  {name:>{width}}  {distance:.6g}"
            for rank, (name, distance) in enumerate(zip(ids, distances, strict=True), start=1)
        )
    return "\n".join(lines) + "\n"
