"""The results file: one JSON object per line, the line of the run first.

Lines are written whole and at once, so a file that was cut short can be read up to its end.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import datasets, machine
from .ratios import Ratio, paired
from .rounds import REPEATS, Result, Session, Settings
from .sweep import TARGETS, Point, at_recall

FORMAT = "vicinal-bench/1"


class Record:
    """What a run measures, told to whoever asks and to a file."""

    def __init__(self, path: Path | None, command: str, settings: Settings) -> None:
        self.path, self.settings = path, settings
        self.run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.command = command

    def begin(self, bounds: machine.Object | None, dims: Sequence[int] = ()) -> None:
        """The line of the run, and a line for each kernel that vicinal_machine measured."""
        kernels = machine.kernels(bounds) if bounds and dims else []
        if bounds:
            bounds = {**bounds, "kernels": []}
        settings = self.settings
        self.write(
            "run",
            format=FORMAT,
            command=self.command,
            machine=machine.facts(),
            settings={
                "k": settings.k,
                "rounds": settings.rounds,
                "processes": settings.processes,
                "extra_rounds": settings.extra,
                "repeats": REPEATS,
                "build_threads": settings.build_threads,
                "search_threads": settings.search_threads,
                "mode": "single" if settings.single else "batch",
                "time_limit_s": settings.time_limit,
                "search_limit_s": settings.search_limit,
                "queries": settings.max_queries,
                "clock": "processor" if settings.cpu_time else "wall",
            },
            bounds=bounds,
        )
        for line in kernels:
            self.write("kernel", **line)

    def measure(self, path: Path, names: Sequence[str], reference: str) -> list[Result]:
        """Everybody on one data set; a line as each ends, then ratios to the reference."""
        ended = partial(self.contender, path)
        session = Session(path, self.settings, reference, ended)
        data = session.data
        self.write(
            "dataset",
            data=path.stem,
            rows=len(data.base),
            dim=data.dim,
            queries=len(data.query),
            metric=data.metric,
            sha256=datasets.sha256(path) if self.path else None,
        )
        results = session.run(names)
        for contender, target, ratio in ratios(results):
            self.write(
                "ratio",
                data=path.stem,
                contender=contender,
                reference=reference,
                target=target,
                ratio=ratio.ratio,
                low=ratio.low,
                high=ratio.high,
                rounds=ratio.rounds,
            )
        return results

    def contender(self, path: Path, result: Result) -> None:
        matched = {f"{t:.2f}": at_recall(result.points, t) for t in TARGETS}
        self.write(
            "contender",
            data=path.stem,
            contender=result.name,
            library=result.contender.library,
            version=result.version,
            family=result.contender.family,
            flags=result.flags,
            status=result.status,
            why=result.why,
            build=result.build,
            points=[_point(point) for point in result.points],
            beside=[_point(point) for point in result.beside],
            at_recall={key: found and vars(found) for key, found in matched.items()},
        )

    def write(self, kind: str, **fields: Any) -> None:
        if self.path is None:
            return
        line = json.dumps(_plain({"kind": kind, "run": self.run, **fields}), allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def ratios(results: Sequence[Result]) -> list[tuple[str, float, Ratio]]:
    """Every contender against the reference, at every recall that both reach."""
    found = []
    for result in results:
        for target in TARGETS:
            ratio = paired(result.points, result.beside, target, result.repeats)
            if ratio:
                found.append((result.name, target, ratio))
    return found


def _point(point: Point) -> dict[str, Any]:
    line = {"params": point.params, "recall": point.recall, "rates": point.rates}
    if point.single_rates:
        line["single_rates"] = point.single_rates
    if point.family:  # without it nobody could tell which neighbours to interpolate between
        line["family"] = point.family
    return line


def _plain(value: Any) -> Any:
    """JSON has no NaN: an interval of one round has no ends."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
