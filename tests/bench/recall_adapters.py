"""Contenders that are slow, wrong, or break: the harness has to show each as what it is."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from bench.recall.datasets import Floats, Ints
from bench.recall.peers import Adapter, Contender, Params, RefusedError


class Exact(Adapter):
    """Looks at ef percent of the rows, which lie in no order: that much is its recall."""

    library = "numpy"
    saves = False

    def build(self, base: Floats, threads: int) -> None:
        self.rows = base.copy()
        self.norms = (base**2).sum(axis=1)

    def sweep(self, k: int) -> list[list[Params]]:
        return [[{"ef": percent} for percent in range(20, 101, 5)]]

    def search(self, queries: Floats, k: int) -> Ints:
        looked = len(self.rows) * self.params["ef"] // 100
        near = self.norms[:looked] - 2 * queries @ self.rows[:looked].T
        return np.argpartition(near, k, axis=1)[:, :k].astype(np.int64)


class Sleeping(Exact):
    def search(self, queries: Floats, k: int) -> Ints:
        start = time.perf_counter()
        ids = super().search(queries, k)
        time.sleep(2 * (time.perf_counter() - start))
        return ids


class WrongIds(Exact):
    """Every second id belongs to some other row, or to none."""

    def search(self, queries: Floats, k: int) -> Ints:
        ids = super().search(queries, k)
        ids[:, ::4] = (ids[:, ::4] + len(self.rows) // 2) % len(self.rows)
        ids[:, 2::4] += len(self.rows)
        return ids


class Saving(Exact):
    saves = True

    def save(self, path: Path) -> None:
        path.mkdir()
        np.save(path / "rows.npy", self.rows)

    def load(self, path: Path) -> None:
        super().build(np.load(path / "rows.npy"), 1)

    def index_bytes(self) -> int:
        return self.rows.nbytes


class Moody(Saving):
    """Fast in one repeat, slow in the next."""

    def __init__(self, dim: int, metric: str) -> None:
        super().__init__(dim, metric)
        self.moods = np.random.default_rng(os.getpid())
        self.mood = 1.0

    def tune(self, k: int, params: Params) -> None:
        super().tune(k, params)
        self.mood = float(self.moods.choice([1.0, 8.0]))

    def search(self, queries: Floats, k: int) -> Ints:
        start = time.perf_counter()
        ids = super().search(queries, k)
        time.sleep((self.mood - 1) * (time.perf_counter() - start))
        return ids


class Flat(Exact):
    def sweep(self, k: int) -> list[list[Params]]:
        return [[{}]]

    def tune(self, k: int, params: Params) -> None:
        self.params = {"ef": 100}


class Breaking(Exact):
    def __init__(self, dim: int, metric: str, how: str) -> None:
        super().__init__(dim, metric)
        self.how = how
        if how == "missing package":
            import no_such_library_of_vectors  # noqa: F401
        if how == "refusing":
            raise RefusedError("not on this processor")

    def build(self, base: Floats, threads: int) -> None:
        if self.how == "crashing":
            print("about to read where nothing is", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "hanging":
            time.sleep(3600)
        if self.how == "leaving":
            os._exit(3)
        if self.how == "raising":
            raise ValueError("rows\nare not to its taste")
        super().build(base, threads)

    def search(self, queries: Floats, k: int) -> Ints:
        if self.how == "hanging in search":
            time.sleep(3600)
        if self.how == "crashing late" and self.params["ef"] > 60:
            os.kill(os.getpid(), signal.SIGILL)
        if self.how == "wrong shape":
            return super().search(queries, k)[:, :-1]
        return super().search(queries, k)


BREAKING = [
    "missing package",
    "refusing",
    "crashing",
    "hanging",
    "leaving",
    "raising",
    "hanging in search",
    "crashing late",
    "wrong shape",
]

CONTENDERS = [
    Contender("test exact", "numpy", "graph", Exact),
    Contender("test sleeping", "numpy", "graph", Sleeping),
    Contender("test wrong ids", "numpy", "graph", WrongIds),
    Contender("saving", "numpy", "graph", Saving),
    Contender("moody", "numpy", "graph", Moody),
    Contender("flat one", "numpy", "flat", Flat),
    Contender("flat two", "numpy", "flat", Flat),
    *(Contender(f"test {how}", "numpy", "graph", partial(Breaking, how=how)) for how in BREAKING),
]
