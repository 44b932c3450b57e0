"""``python -m bench.whitening DATA``: recall of short codes behind transforms, on held-out queries.

Half of the queries teach the transforms, the other half is searched for. ``DATA`` is a file as
``bench.recall`` takes it, of unit vectors and inner products.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy.typing as npt
from bench.recall.datasets import Floats, load

import vicinal
from vicinal.codecs import PQ
from vicinal.evaluate import ground_truth, recall_at_k
from vicinal.transforms import OPQ, LeanVec, QueryWhitening, Transform

K = 10


def contenders(
    base: Floats, taught: Floats, parts: int, ridge: float
) -> Iterator[tuple[str, Transform | None]]:
    yield "none", None
    opq = OPQ(parts)
    yield "OPQ", opq.fit(base, metric="ip")
    yield "OPQ, its start", OPQ(parts, iterations=0).fit(base, metric="ip")
    whitening = QueryWhitening(ridge).fit(base, taught, metric="ip")
    yield "whitening", whitening
    yield "whitening by parts", QueryWhitening(ridge, parts).fit(base, taught, metric="ip")
    yield "whitening, then OPQ", whitening.compose(opq.fit(whitening.data(base), metric="ip"))
    half = LeanVec(base.shape[1] // 2, ridge).fit(base, taught, metric="ip")
    yield "LeanVec to half", half


def recall(
    transform: Transform | None, base: Floats, queries: Floats, truth: npt.ArrayLike, parts: int
) -> float:
    if transform is not None:
        base, queries = transform.data(base), transform.queries(queries, "ip")
    index = vicinal.FlatIndex(base.shape[1], "ip", codec=PQ(parts))
    index.add(base)
    return recall_at_k(index.search(queries, K).ids, truth, K)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.whitening", description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rows", type=int, default=100_000, help="of the base")
    parser.add_argument("--queries", type=int, default=1000, help="searched for")
    parser.add_argument("--parts", type=int, nargs="+", default=[16, 32], help="bytes per code")
    parser.add_argument("--ridge", type=float, default=QueryWhitening().ridge)
    options = parser.parse_args(arguments)

    data = load(options.data)
    if data.metric == "l2":
        parser.error("whitening by queries keeps inner products; this set measures l2")
    base, taught, asked = data.base[: options.rows], data.query[::2], data.query[1::2]
    asked = asked[: options.queries]
    truth = ground_truth(base, asked, K, "ip").ids
    print(f"{len(base):,} rows, {len(taught):,} queries to learn from, {len(asked):,} searched for")
    print(f"{'bytes':>5}  {'transform':<24}recall@{K}")
    for parts in options.parts:
        for name, transform in contenders(base, taught, parts, options.ridge):
            print(f"{parts:>5}  {name:<24}{recall(transform, base, asked, truth, parts):.3f}")


if __name__ == "__main__":
    main()
