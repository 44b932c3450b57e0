"""The measuring loop: build each contender once, then search in interleaved rounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .sweep import Point, around, brackets, ef_grid
from .worker import Worker

ENOUGH_RECALL = 0.993  # beyond the highest target the sweep stops
SCOUTS = 300  # queries that look for the ef values worth measuring
FLAT_BATCH, FLAT_SINGLE = 1000, 50  # queries of one repeat of exact search


@dataclass(frozen=True)
class Settings:
    k: int = 10
    rounds: int = 5
    single: bool = False
    cpu_time: bool = False
    max_queries: int | None = None
    build_threads: int = 2
    cache: Path | None = None
    build_only: bool = False
    fixed_ef: int | None = None  # recall there too, to compare graphs


@dataclass
class Result:
    """All that was measured of one contender on one data set."""

    name: str
    build: dict[str, Any]
    points: list[Point] = field(default_factory=list)
    exact: bool = False
    fixed_recall: float = float("nan")
    single_rates: list[float] = field(default_factory=list)  # exact search, one query a call


def measure(data: Path, names: Sequence[str], settings: Settings) -> list[Result]:
    workers: list[Worker] = []
    results: list[Result] = []
    for name in names:
        worker = Worker(name, data, settings.max_queries)
        try:
            build = worker.call("build", settings.build_threads, settings.cache)
        except RuntimeError as error:
            _note(f"left out: {_reason(error)}")
            worker.close()
            continue
        _note(f"{data.stem}: {name} built in {build['build_seconds']:.1f} s")
        workers.append(worker)
        results.append(Result(name, build, exact="Flat" in name))
    if not settings.build_only:
        for worker, result in zip(workers, results, strict=True):
            result.points = _explore(worker, result, data, settings)
            if settings.fixed_ef is not None and not result.exact:
                result.fixed_recall = worker.call("recall", settings.k, settings.fixed_ef, None)
            _note(f"{data.stem}: {result.name} explored")
        for number in range(settings.rounds):
            for worker, result in zip(workers, results, strict=True):
                _one_round(worker, result, settings)
            _note(f"{data.stem}: round {number + 1} of {settings.rounds}")
    for worker in workers:
        worker.close()
    return results


def _explore(worker: Worker, result: Result, data: Path, settings: Settings) -> list[Point]:
    """Recall on a grid of ef over some queries, then of all at the values beside a target."""
    if result.exact:
        return [Point(settings.k, worker.call("recall", settings.k, settings.k, None))]
    known = _known(result, data, settings)
    if known is not None and known.exists():
        return [Point(*pair) for pair in json.loads(known.read_text())]
    points: list[Point] = []
    for ef in ef_grid(settings.k):
        points.append(Point(ef, worker.call("recall", settings.k, ef, SCOUTS)))
        if points[-1].recall >= ENOUGH_RECALL or _flat_curve(points):
            break
    # One step more on both sides, for the scouts' recall is not quite that of all queries.
    keep = around(points, brackets(points))
    sure = [Point(ef, worker.call("recall", settings.k, ef, None)) for ef in keep]
    needed = brackets(sure)
    if known is not None:
        known.write_text(json.dumps([(p.ef, p.recall) for p in sure if p.ef in needed]))
    return [point for point in sure if point.ef in needed]


def _known(result: Result, data: Path, settings: Settings) -> Path | None:
    """Where the cache keeps the recall curve of an index that is not built anew."""
    if settings.cache is None or not result.build.get("kept"):
        return None
    name = f"{data.stem}.{result.name}.{settings.k}.{settings.max_queries}.curve.json"
    return settings.cache / name.replace(" ", "_")


def _flat_curve(points: Sequence[Point]) -> bool:
    """Codes alone may never reach a target: more ef brought next to nothing three times."""
    return len(points) > 6 and points[-1].recall - points[-4].recall < 0.0005


def _one_round(worker: Worker, result: Result, settings: Settings) -> None:
    for point in result.points:
        queries = settings.max_queries or (FLAT_BATCH if result.exact else 1_000_000)
        how = (settings.single, settings.cpu_time)
        seconds = worker.call("seconds", settings.k, point.ef, queries, *how)
        point.rates.append(worker.call("count", queries) / seconds)
    if result.exact:
        how = (True, settings.cpu_time)
        seconds = worker.call("seconds", settings.k, settings.k, FLAT_SINGLE, *how)
        result.single_rates.append(FLAT_SINGLE / seconds)


def _reason(error: RuntimeError) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{lines[0].split(':')[0]}: {lines[-1].strip()}"


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
