"""How a public data set is described."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

__all__ = ["FAMILIES", "Entry", "Family", "Remote"]


@dataclass(frozen=True)
class Family:
    """Sets that one project publishes, and where."""

    name: str
    url: str
    """Folder that the names of the files are relative to."""
    environment: str
    """Variable that puts another folder in its place."""
    homepage: str
    citation: str


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ann-benchmarks",
            "https://ann-benchmarks.com/",
            "VICINAL_URL_ANN_BENCHMARKS",
            "https://github.com/erikbern/ann-benchmarks",
            "Aumueller, Bernhardsson and Faithfull, ANN-Benchmarks: A benchmarking tool for "
            "approximate nearest neighbor algorithms, Information Systems 87, 2020",
        ),
        Family(
            "big-ann",
            "https://dl.fbaipublicfiles.com/billion-scale-ann-benchmarks/",
            "VICINAL_URL_BIG_ANN",
            "https://big-ann-benchmarks.com",
            "Simhadri et al., Results of the NeurIPS'21 Challenge on Billion-Scale Approximate "
            "Nearest Neighbor Search, PMLR 176, 2022",
        ),
        Family(
            "vibe",
            "https://huggingface.co/datasets/vector-index-bench/vibe/resolve/main/",
            "VICINAL_URL_VIBE",
            "https://vector-index-bench.github.io",
            "Jaasaari, Hyvonen, Ceccarello, Roos and Aumueller, VIBE: Vector Index Benchmark for "
            "Embeddings, Journal of Data-centric Machine Learning Research, 2026",
        ),
    )
}


@dataclass(frozen=True)
class Remote:
    """One file on a server."""

    name: str
    """Path below the folder of the family, there and in the cache."""
    url: str | None = None
    """Where it lies if not in that folder; another base URL takes precedence."""
    sha256: str | None = None
    """Checksum that the publisher gives; None if there is none."""

    def address(self, family: Family | None, base_url: str | None) -> str:
        """Where to ask for it: `base_url`, else the environment, else what is known."""
        moved = base_url
        if moved is None and family is not None:
            moved = os.environ.get(family.environment) or None
        if moved is not None:
            return f"{moved.rstrip('/')}/{self.name}"
        if self.url is not None:
            return self.url
        if family is None:
            raise ValueError(
                f"{self.name} has neither a URL nor a family, and no base_url is given"
            )
        return f"{family.url.rstrip('/')}/{self.name}"


@dataclass(frozen=True)
class Entry:
    """What is known of a data set without having it.

    ``rows_there`` counts the rows of the published file if the set is the front part of it.
    """

    name: str
    family: str
    metric: str
    """``l2``, ``ip``, ``cosine``; ``hamming`` and ``jaccard`` sets can be fetched, not loaded."""
    rows: int
    """Vectors in the base; 0 if not known."""
    dim: int
    base: Remote
    """The base vectors, or an HDF5 file with everything."""
    queries: Remote | None = None
    """None if they are in the file of the base."""
    truth: Remote | None = None
    # Rows in the published file, where this set is the front part of it; 0 if it is all.
    rows_there: int = 0
    dtype: str = "float32"
    homepage: str | None = None
    licence: str | None = None
    citation: str | None = None
    note: str = ""

    @property
    def loadable(self) -> bool:
        """Whether `load` reads it: vectors under a distance that this library has."""
        return self.metric in ("l2", "ip", "cosine")

    @property
    def base_bytes(self) -> int:
        """Bytes of the base vectors, by their shape; the files are a little larger."""
        return self.rows * self.dim * np.dtype(self.dtype).itemsize

    @property
    def source(self) -> str | None:
        """Page of the set, or of the project that publishes it."""
        family = FAMILIES.get(self.family)
        return self.homepage or (None if family is None else family.homepage)
