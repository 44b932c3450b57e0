"""Ten thousand word definitions to try things on, and the tour that ``vicinal demo`` takes.

The data come with the package: WordNet 3.0 (c) Princeton University, embedded by all-MiniLM-L6-v2;
see ``data/README.md`` beside this file for licence and citation.
"""

from __future__ import annotations

import functools
import gzip
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._types import Ids, Progress
from vicinal.errors import ArgumentError
from vicinal.evaluate import recall_at_k, throughput
from vicinal.files import AnyIndex
from vicinal.files import open as open_index
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.io import read_npz

__all__ = ["DemoData", "DemoReport", "Found", "IndexResult", "Lookup", "load", "run"]

WORDS = ("sleep", "slalom", "postmark", "cipher", "tongue")


@dataclass(frozen=True)
class DemoData:
    """Definitions, words to look up, and both as sentence embeddings."""

    vectors: npt.NDArray[np.float16]
    """One row per definition, shape (10000, 384), of unit length up to rounding."""
    definitions: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    """The words that each definition defines."""
    queries: tuple[str, ...]
    """1,000 words to look up."""
    query_vectors: npt.NDArray[np.float16]
    """One row per query, shape (1000, 384)."""
    targets: npt.NDArray[np.int32]
    """For each query the row of its own definition, shape (1000,)."""


@functools.cache
def load() -> DemoData:
    """Load the data that come with the package.

    Returns
    -------
    DemoData
        Read once and shared: the arrays are read-only.

    Raises
    ------
    FormatError, OSError
        The installed files are damaged or gone.

    References
    ----------
    Fellbaum (ed.), WordNet: An Electronic Lexical Database, MIT Press, 1998. Reimers and Gurevych,
    Sentence-BERT, EMNLP 2019; the encoder is all-MiniLM-L6-v2.
    """
    folder = Path(__file__).parent / "data"
    arrays = [
        read_npz(folder / "wordnet-10k.npz", key=key) for key in ("base", "queries", "targets")
    ]
    for array in arrays:
        array.flags.writeable = False
    text = json.loads(gzip.decompress((folder / "wordnet-10k.json.gz").read_bytes()))
    return DemoData(
        vectors=arrays[0],
        definitions=tuple(entry["definition"] for entry in text["definitions"]),
        words=tuple(tuple(entry["words"]) for entry in text["definitions"]),
        queries=tuple(text["queries"]),
        query_vectors=arrays[1],
        targets=arrays[2],
    )


@dataclass(frozen=True)
class IndexResult:
    """What one index reached on the demo data."""

    name: str
    recall: float
    """Share of the k exact neighbours found."""
    hit_rate: float
    """Share of the words whose own definition is among the k found."""
    queries_per_second: float
    """One thread, all queries in one call, median of the repeats."""
    single_queries_per_second: float
    """The same with a call for each query."""
    build_seconds: float
    bytes_per_vector: float
    """All parts of the index in memory, before it was saved, over the number of vectors."""
    file_bytes: int
    open_milliseconds: float
    """To open the saved file by mapping it."""


@dataclass(frozen=True)
class Found:
    """One definition found for a word."""

    row: int
    words: tuple[str, ...]
    definition: str
    distance: float
    """1 - cosine."""


@dataclass(frozen=True)
class Lookup:
    """A word and the definitions found for it, nearest first."""

    word: str
    answers: tuple[Found, ...]


@dataclass(frozen=True)
class DemoReport:
    """What the tour measured."""

    rows: int
    dim: int
    queries: int
    k: int
    ef: int
    repeats: int
    build_threads: int | None
    indexes: tuple[IndexResult, ...]
    lookups: tuple[Lookup, ...]
    looked_up_in: str
    """Name of the index that gave the lookups."""


def run(
    *,
    k: int = 10,
    ef: int = 64,
    repeats: int = 5,
    words: Sequence[str] = WORDS,
    shown: int = 3,
    threads: int | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> DemoReport:
    """Build, save, reopen and measure three indexes, and look up some words.

    Everything in the report is measured here and now.

    Parameters
    ----------
    k, ef : int
        Neighbours asked for, and candidates the graphs keep, per query.
    repeats : int
        Timed passes over all queries; the median counts.
    words : sequence of str
        Words to look up, out of ``load().queries``: the package brings no encoder for others.
    shown : int
        Definitions to show for each.
    threads : int, optional
        For building. Searches are timed on one.
    folder : path, optional
        Where to leave the saved indexes; a temporary folder, removed at the end, if not given.
    progress : callable, optional
        ``progress(stage, done, total)``.

    Returns
    -------
    DemoReport

    Raises
    ------
    ArgumentError
        A word that is not among the queries, or a number out of range. A ``ValueError``.
    """
    data = load()
    places = [_place(data, word) for word in words]
    if shown < 1:
        raise ArgumentError(f"shown is {shown}, wanted 1 or more")
    queries = data.query_vectors.astype(np.float32)
    dim = data.vectors.shape[1]
    plans: list[tuple[str, FlatIndex | HNSWIndex, dict[str, Any]]] = [
        ("exact, float32", FlatIndex(dim, "cosine"), {}),
        ("HNSW, float32", HNSWIndex(dim, "cosine"), {"ef": ef}),
        (
            "HNSW, SQ8 refined by float16",
            HNSWIndex(dim, "cosine", codec="sq8", refine="float16"),
            {"ef": ef},
        ),
    ]
    results: list[IndexResult] = []
    truth: Ids | None = None
    with tempfile.TemporaryDirectory(prefix="vicinal-demo-") as temporary:
        place = Path(temporary) if folder is None else folder
        place.mkdir(parents=True, exist_ok=True)
        for number, (name, index, how) in enumerate(plans):
            start = time.perf_counter()
            index.add(data.vectors, threads=threads, progress=progress)
            built = time.perf_counter() - start
            size = index.memory().total / len(index)
            path = place / f"{number}-{name.partition(',')[0].lower()}.vicinal"
            index.save(path)
            del index
            start = time.perf_counter()
            mapped = open_index(path)
            opened = time.perf_counter() - start
            search = functools.partial(mapped.search, queries, k, threads=1, **how)
            ids = search().ids
            if truth is None:  # the first one is exact
                truth = ids
            speed = throughput(search, len(queries), repeats=repeats)
            one_by_one = functools.partial(_each, mapped, queries, k, how)
            single = throughput(one_by_one, len(queries), repeats=repeats, warmup=0)
            results.append(
                IndexResult(
                    name=name,
                    recall=recall_at_k(ids, truth, k),
                    hit_rate=float((ids == data.targets[:, None]).any(axis=1).mean()),
                    queries_per_second=speed.per_second,
                    single_queries_per_second=single.per_second,
                    build_seconds=built,
                    bytes_per_vector=size,
                    file_bytes=path.stat().st_size,
                    open_milliseconds=1000 * opened,
                )
            )
        lookups: tuple[Lookup, ...] = ()
        if places:
            best = mapped.search(queries[places], shown, **how)
            lookups = tuple(
                Lookup(word, _answers(data, ids, distances))
                for word, ids, distances in zip(words, best.ids, best.distances, strict=True)
            )
        del (
            mapped,
            search,
            one_by_one,
        )  # so that the folder can go, on systems that keep mapped files
    return DemoReport(
        rows=len(data.vectors),
        dim=dim,
        queries=len(queries),
        k=k,
        ef=ef,
        repeats=repeats,
        build_threads=threads,
        indexes=tuple(results),
        lookups=lookups,
        looked_up_in=plans[-1][0],
    )


def _each(index: AnyIndex, queries: npt.NDArray[np.float32], k: int, how: dict[str, Any]) -> None:
    for query in queries:
        index.search(query, k, threads=1, **how)


def _place(data: DemoData, word: str) -> int:
    if word not in data.queries:
        import difflib

        near = difflib.get_close_matches(word, data.queries, n=3, cutoff=0.0)
        raise ArgumentError(
            f"word {word!r} is not among the {len(data.queries)} that come with the demo; "
            f"the nearest in spelling are {', '.join(near)}"
        )
    return data.queries.index(word)


def _answers(data: DemoData, ids: Ids, distances: npt.NDArray[np.float32]) -> tuple[Found, ...]:
    return tuple(
        Found(int(row), data.words[row], data.definitions[row], float(distance))
        for row, distance in zip(ids, distances, strict=True)
        if row >= 0
    )
