"""Make a data file for the benchmarks: base, held-out queries and the exact truth.

usage: python -m bench.data.make NAME OUT.npz

NAME is one of

  wordnet-10k              10,000 definitions; the queries are 996 words, so they lie elsewhere
  wordnet-10k-definitions  9,000 definitions; the queries are 1,000 others
  glyphs-1024              about 82,000 printed ideographs as pictures of 1,024 pixels; the queries
                           are 2,000 in a brush script
  any set of `vicinal datasets list`, or a file that vicinal.datasets.load reads

The file holds base and query as they come, gt (row numbers of the exact nearest neighbours, nearest
first, ties by smaller number), gtd (squared L2, or cosine similarity) and metric ("l2", or "ip" for
rows to be scaled to length one). The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench.data import glyphs

import vicinal.io
from vicinal import datasets, demo
from vicinal.evaluate import ground_truth

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

HELD_OUT = 1_000
_ROWS_AT_ONCE = 1 << 16
_LENGTH_SLACK = 2e-3  # of rows that were scaled to length one and then rounded to float16


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.data.make",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", metavar="NAME")
    add("out", metavar="OUT.npz", type=Path)
    add("--rows", type=int, help="only the first so many rows of the base")
    add("--queries", type=int, help="only the first so many queries")
    add("--k", type=int, default=100, help="true neighbours of each query (default 100)")
    add("--metric", choices=("l2", "ip", "cosine"), help="for files that do not say")
    add("--threads", type=int, help="for the exact search; default one per processor")
    add("--keep-truth", action="store_true", help="take the truth of the file, if it has one")
    add("--offline", action="store_true", help="use only what is in the cache")
    args = parser.parse_args(arguments)
    try:
        made = make(args)
        vicinal.io.write_npz(args.out, made)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"{args.name}: {error}")
    shape = " x ".join(f"{n:,}" for n in made["base"].shape)
    print(
        f"{args.out}: {shape} {made['base'].dtype}, {len(made['query']):,} queries, "
        f"{made['gt'].shape[1]} neighbours each, {made['metric']}"
    )


def make(args: argparse.Namespace) -> Arrays:
    """Everything the file holds."""
    found = MADE_HERE[args.name]() if args.name in MADE_HERE else _from_set(args)
    truth = found.pop("truth", None)
    if args.rows is not None and args.rows < len(found["base"]):
        found["base"], truth = found["base"][: args.rows], None
        found.pop("target", None)  # which may be gone
    if args.queries is not None:
        for name in ("query", "target"):
            if name in found:
                found[name] = found[name][: args.queries]
        truth = None if truth is None else tuple(part[: args.queries] for part in truth)
    metric = "l2" if str(found["metric"]) == "l2" else "cosine"
    k = min(args.k, len(found["base"]))
    if truth is None or truth[0].shape[1] < k:
        exact = ground_truth(found["base"], found["query"], k, metric, threads=args.threads)
        truth = exact.ids, exact.distances
    ids, distances = (part[:, :k] for part in truth)
    nearness = distances if metric == "l2" else 1 - distances
    return {
        "base": found["base"],
        "query": found["query"],
        "gt": ids.astype(np.int32),
        "gtd": nearness.astype(np.float32),
        "metric": found["metric"],
        **({"target": found["target"]} if "target" in found else {}),
    }


def wordnet() -> Arrays:
    """Definitions, and words to look up: queries of another kind than the base."""
    data = demo.load()
    stored = {row.tobytes() for row in data.vectors}
    # Four of the words are also the whole text of a definition, so they are no queries.
    kept = [at for at, row in enumerate(data.query_vectors) if row.tobytes() not in stored]
    return {
        "base": data.vectors,
        "query": data.query_vectors[kept],
        "target": data.targets[kept],
        "metric": np.asarray("ip"),
    }


def wordnet_definitions() -> Arrays:
    """Definitions, and others held out: queries of the same kind as the base."""
    vectors = demo.load().vectors
    # A held-out definition whose twin stays would be too easy to find.
    _, twins, counts = np.unique(vectors, axis=0, return_inverse=True, return_counts=True)
    alone = np.flatnonzero(counts[twins.reshape(-1)] == 1)
    held_out = np.sort(np.random.default_rng(0).choice(alone, HELD_OUT, replace=False))
    return {
        "base": np.delete(vectors, held_out, axis=0),
        "query": vectors[held_out],
        "metric": np.asarray("ip"),
    }


MADE_HERE: dict[str, Callable[[], Arrays]] = {
    "wordnet-10k": wordnet,
    "wordnet-10k-definitions": wordnet_definitions,
    "glyphs-1024": glyphs.glyphs,
}


def _from_set(args: argparse.Namespace) -> dict[str, Any]:
    """A named set or a local file; the layout has no metric for products of unequal rows."""
    data = datasets.load(
        args.name, rows=args.rows, metric=args.metric, offline=True if args.offline else None
    )
    found: dict[str, Any] = {"base": data.base, "query": data.queries}
    if data.metric == "ip":
        for name, rows in found.items():
            lengths = _lengths(rows)
            if np.abs(lengths - 1).max(initial=0) > _LENGTH_SLACK:
                raise ValueError(
                    f"{name} is compared by inner product and has rows of length {lengths.min():g} "
                    f"to {lengths.max():g}; benchmark files hold l2, or rows of length one"
                )
    found["metric"] = np.asarray("l2" if data.metric == "l2" else "ip")
    if args.keep_truth and data.neighbors is not None and data.distances is not None:
        # Of rows of length one, 1 - product is the cosine distance.
        shift = 1 if data.metric == "ip" else 0
        found["truth"] = data.neighbors, data.distances + np.float32(shift)
    return found


def _lengths(rows: Array) -> Array:
    """Block by block: the rows may be mapped and many."""
    blocks = [rows[at : at + _ROWS_AT_ONCE] for at in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate([np.linalg.norm(b.astype(np.float64), axis=1) for b in blocks])


if __name__ == "__main__":
    main()
