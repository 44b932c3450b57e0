"""What runs inside a contender's process: build, find, time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import datasets, peers
from .peers import Adapter, Params


class Lab:
    """One data set, one adapter."""

    def __init__(
        self, name: str, adapters: Sequence[Path], data: Path, max_queries: int | None
    ) -> None:
        self.name = name
        contender = peers.known(adapters)[name]
        self.library = contender.library
        loaded = datasets.load(data, max_queries=max_queries)
        self.base: datasets.Floats | None = loaded.base
        self.query, self.data_name = loaded.query, loaded.name
        self.adapter: Adapter = contender.make(loaded.dim, loaded.metric)

    def build(
        self, build_threads: int, search_threads: int, cache: Path | None, keep: Path | None = None
    ) -> dict[str, Any]:
        """Build, or take from the cache another library's index built and measured before.

        ``keep``: where the index is written if it can be, for ``load``. The answer's ``kept`` says
        where it lies in the end, or None.
        """
        if self.base is None:
            raise RuntimeError("built already")
        stem = f"{self.data_name}.{self.name}.{build_threads}".replace(" ", "_").replace("+", "_")
        if self.library == "vicinal" or not self.adapter.saves:
            cache = None  # it changes between runs; the others do not
        kept, notes = (cache / stem, cache / f"{stem}.json") if cache else (None, None)
        before = _read(notes) if kept and kept.exists() else None
        if kept and before:
            self.adapter.load(kept)
            measured = {**before, "from_cache": True}
        else:
            measured = self._build(self.base, build_threads)
            if kept and notes:
                kept.parent.mkdir(parents=True, exist_ok=True)
                measured["file_bytes"] = self._file_bytes(kept)
                notes.write_text(json.dumps(measured))
            elif self.adapter.saves:
                with tempfile.TemporaryDirectory() as folder:
                    kept = keep or Path(folder) / "index"
                    measured["file_bytes"] = self._file_bytes(kept)
        saved = kept if measured["file_bytes"] is not None and (cache or keep) else None
        self._ready(search_threads)
        return {**measured, "kept": saved}

    def load(self, path: Path, search_threads: int) -> None:
        """What another process built and kept."""
        self.adapter.load(path)
        self._ready(search_threads)

    def _ready(self, search_threads: int) -> None:
        self.base = None
        self.adapter.ready(search_threads)
        _pin(search_threads)

    def _build(self, base: datasets.Floats, threads: int) -> dict[str, Any]:
        _pin(threads)
        before = _status("VmRSS")
        _reset_peak()
        start, cpu = time.perf_counter(), time.process_time()
        self.adapter.build(base, threads)
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "cpu_seconds": time.process_time() - cpu,  # of all threads
            "threads": threads,
            "peak_growth_bytes": _status("VmHWM") - before,
            "kept_growth_bytes": _status("VmRSS") - before,
            "index_bytes": self.adapter.index_bytes(),
            "file_bytes": None,
            "from_cache": False,
            "flags": self.adapter.flags,
            "version": self.adapter.version,
        }

    def _file_bytes(self, path: Path) -> int | None:
        if path.is_dir():
            shutil.rmtree(path)
        try:
            self.adapter.save(path)
        except peers.RefusedError:
            return None
        files = [path] if path.is_file() else path.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def sweep(self, k: int) -> list[list[Params]]:
        return self.adapter.sweep(k)

    def find(
        self, k: int, params: Params, queries: int, cpu_time: bool
    ) -> tuple[datasets.Ints, float]:
        """Row numbers for the first queries, and the seconds it took to find them."""
        clock = time.process_time if cpu_time else time.perf_counter
        batch = self.query[:queries]
        self.adapter.tune(k, params)
        start = clock()
        ids = self.adapter.search(batch, k)
        seconds = clock() - start
        if ids.shape != (len(batch), k):
            raise ValueError(f"ids of shape {ids.shape} for {len(batch)} queries and k {k}")
        return ids, seconds

    def warm(self, k: int, params: Params, queries: int) -> None:
        self.adapter.tune(k, params)
        self.adapter.search(self.query[:queries], k)

    def rate(
        self,
        k: int,
        params: Params,
        first: int,
        queries: int,
        passes: int,
        single: bool,
        cpu_time: bool,
    ) -> float:
        """Queries per second over some passes: in one call each, or in one call per query.

        The queries are those from ``first`` on, and after the last one come the first ones.
        """
        clock = time.process_time if cpu_time else time.perf_counter
        batch = self.query[np.arange(first, first + queries) % len(self.query)]
        calls = [batch[q : q + 1] for q in range(len(batch))] if single else [batch]
        self.adapter.tune(k, params)
        search = self.adapter.search
        start = clock()
        for _ in range(passes):
            for call in calls:
                search(call, k)
        return passes * len(batch) / (clock() - start)


def _read(notes: Path | None) -> dict[str, Any] | None:
    """What was measured when an index was kept; None if it is not there, or of an older form."""
    if notes is None or not notes.exists():
        return None
    kept: dict[str, Any] = json.loads(notes.read_text())
    return kept if "seconds" in kept else None


def _pin(threads: int) -> None:
    """A thread too many would run on the same processors: it would show as no gain at all."""
    if not hasattr(os, "sched_setaffinity"):
        return
    usable = sorted(_processors())
    for task in _tasks():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            os.sched_setaffinity(task, usable[-threads:])


_ALL: list[int] = []


def _processors() -> list[int]:
    if not _ALL:  # of the process as it was started, not as it was pinned last
        _ALL.extend(os.sched_getaffinity(0))
    return _ALL


def _tasks() -> Iterator[int]:
    try:
        yield from (int(task) for task in os.listdir("/proc/self/task"))
    except OSError:
        yield 0


def _reset_peak() -> None:
    # Not Linux, or not allowed: the peak then includes loading the data.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """Bytes from /proc/self/status; 0 where there is none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
