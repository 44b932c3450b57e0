"""One library in a process of its own, kept alive between rounds so that memory stays warm.

The parent sends (command, arguments) through a pipe and gets ("ok", result) or ("error", text).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import time
import traceback
from pathlib import Path
from typing import Any

# Read by the numerical libraries when they load. Builds ask for their threads by argument.
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class Worker:
    """The parent's end. Every call waits for its answer: only one contender runs at a time."""

    def __init__(self, contender: str, data: Path, max_queries: int | None) -> None:
        for variable in THREAD_LIMITS:
            os.environ[variable] = "1"
        context = multiprocessing.get_context("spawn")
        self.name = contender
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, contender, data, max_queries), daemon=True
        )
        self._process.start()
        other.close()

    def call(self, command: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((command, arguments))
            state, result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(1)
            raise RuntimeError(f"{self.name}: process ended ({self._process.exitcode})") from None
        if state == "error":
            raise RuntimeError(f"{self.name}: {result}")
        return result

    def close(self) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


def _serve(
    pipe: multiprocessing.connection.Connection, name: str, data: Path, max_queries: int | None
) -> None:
    lab: _Lab | None = None
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if lab is None:
                lab = _Lab(name, data, max_queries)
            pipe.send(("ok", getattr(lab, command)(*arguments)))
        except Exception:  # the parent reports it and leaves this contender out
            pipe.send(("error", traceback.format_exc(limit=3)))


class _Lab:
    def __init__(self, name: str, data: Path, max_queries: int | None) -> None:
        from . import contenders, datasets

        self.name = name
        self.data = datasets.load(data, max_queries=max_queries)
        self.datasets = datasets
        self.kth: dict[int, Any] = {}
        self.contender = contenders.MAKERS[name](self.data.dim, self.data.metric)

    def build(self, threads: int, cache: Path | None) -> dict[str, Any]:
        """Build, or take from the cache another library's index built and measured before."""
        stem = f"{self.data.name}.{self.name.replace(' ', '_')}.{threads}"
        if self.contender.package == "vicinal":
            cache = None  # it changes between runs; the others do not
        file = cache / stem if cache else None
        notes = cache / f"{stem}.json" if cache else None
        if file and notes and file.exists() and notes.exists():
            self.contender.load(file)
            measured: dict[str, Any] = {**json.loads(notes.read_text()), "from_cache": True}
        else:
            before = _status("VmRSS")
            _reset_peak()
            start, cpu = time.perf_counter(), time.process_time()
            self.contender.build(self.data.base, threads)
            seconds = time.perf_counter() - start
            cpu = time.process_time() - cpu
            measured = {
                "build_seconds": seconds,
                "build_cpu_seconds": cpu,  # of all threads
                "build_threads": threads,
                "peak_growth_bytes": _status("VmHWM") - before,
                "kept_growth_bytes": _status("VmRSS") - before,
                "index_bytes": self.contender.index_bytes(),
                "flags": self.contender.flags,
                "version": self.contender.version,
                "from_cache": False,
            }
            if file and notes:
                file.parent.mkdir(parents=True, exist_ok=True)
                self.contender.save(file)
                measured["file_bytes"] = file.stat().st_size
                notes.write_text(json.dumps(measured))
        self.contender.one_thread()
        _pin()
        return {**measured, "kept": cache is not None}

    def count(self, queries: int) -> int:
        return min(queries, len(self.data.query))

    def recall(self, k: int, ef: int, queries: int | None) -> float:
        if k not in self.kth:
            self.kth[k] = self.datasets.kth_distance(self.data, k)
        ids = self.contender.search(self.data.query[:queries], k, ef)
        return self.datasets.recall(self.data, ids, self.kth[k])

    def seconds(self, k: int, ef: int, queries: int, single: bool, cpu_time: bool) -> float:
        """Seconds for so many queries: in one call, or one call each."""
        clock = time.process_time if cpu_time else time.perf_counter
        batch = self.data.query[:queries]
        search = self.contender.search
        start = clock()
        if single:
            for q in range(len(batch)):
                search(batch[q : q + 1], k, ef)
        else:
            search(batch, k, ef)
        return clock() - start


def _pin() -> None:
    """Searches stay on one processor: a thread too many would show as no gain at all."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[-1]})


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
