"""Building an index as options say; shared by ``build`` and ``eval``."""

from __future__ import annotations

import time
import warnings
from typing import Any

from vicinal import BuildReport, FlatIndex, HNSWIndex, IVFIndex, Plan, RecallWarning, build
from vicinal._types import Array, Progress
from vicinal.cli.output import stderr, usage
from vicinal.cli.settings import IndexSettings

KINDS: dict[str, type[FlatIndex] | type[HNSWIndex] | type[IVFIndex]] = {
    "flat": FlatIndex,
    "hnsw": HNSWIndex,
    "ivf": IVFIndex,
}


def make(
    settings: IndexSettings,
    vectors: Array,
    metric: str,
    *,
    ids: Array | None = None,
    queries: Array | None = None,
    progress: Progress | None = None,
) -> tuple[FlatIndex | HNSWIndex | IVFIndex, float]:
    """Build what the settings ask for; the index, and the seconds it took."""
    start = time.perf_counter()
    kind = settings.kind()
    index: FlatIndex | HNSWIndex | IVFIndex
    if kind == "auto":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RecallWarning)
            index = build(
                vectors,
                metric,
                recall=0.95 if settings.recall is None else settings.recall,
                memory=settings.memory,
                build_time=settings.build_time,
                ids=ids,
                queries=queries,
                threads=settings.threads,
                seed=settings.seed or 0,
                progress=progress,
            )
        for warning in caught:
            stderr().print(f"vicinal: warning: {warning.message}", markup=False, soft_wrap=True)
        return index, time.perf_counter() - start
    dim = vectors.shape[1]
    names = {
        "flat": ("codec",),
        "hnsw": ("codec", "refine", "links", "build_ef", "seed"),
        "ivf": ("codec", "refine", "lists", "seed"),
    }[kind]
    given: dict[str, Any] = {
        name: getattr(settings, name) for name in names if getattr(settings, name) is not None
    }
    with usage():  # a codec that this index does not have, for one
        index = KINDS[kind](dim, metric, **given)
    index.add(vectors, ids, threads=settings.threads, progress=progress)
    if isinstance(index, HNSWIndex):
        index.reorder(threads=settings.threads, progress=progress)
    return index, time.perf_counter() - start


def report_rows(report: BuildReport | Plan) -> list[tuple[str, str]]:
    """Split its own words into names and what they say."""
    first, *rest = str(report).splitlines()
    pairs = [line.partition("  ") for line in rest]
    return [("index", first), *((name, text.strip()) for name, _, text in pairs)]


def described(index: FlatIndex | HNSWIndex | IVFIndex) -> dict[str, Any]:
    """Tell what an index is, in plain values."""
    return {
        "kind": type(index).__name__,
        "vectors": len(index),
        "dim": index.dim,
        "metric": index.metric,
        **index.params.to_dict(),
        **({"ef": index.ef} if isinstance(index, HNSWIndex) else {}),
        **({"nprobe": index.nprobe} if isinstance(index, IVFIndex) else {}),
    }
