"""The measuring loop: build each contender once, then search in interleaved rounds."""

from __future__ import annotations

import importlib.metadata
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import datasets
from .explore import explore
from .peers import Contender, Params, known
from .ratios import paired
from .sweep import TARGETS, Point
from .worker import Failure, Worker

FLAT_BATCH, FLAT_SINGLE = 1000, 50  # queries of one repeat of exact search
# What a repeat lasts where LEAST queries are done sooner. Two libraries that take turns for 0.4 s
# are compared to within 5.9% (standard deviation) in repeats of 0.1 s, 3.2% in repeats of 0.035 s
# and 2.3% in repeats of 0.017 s; but then each finds the caches full of the other's rows, which
# takes 3% of its time.
REPEAT_SECONDS = 0.035
LEAST = 100  # queries of one repeat; the next repeat takes the next ones
REPEATS = 3  # of each setting in a turn, not one after the other
WARM = 100  # queries before a contender's turn in a round
# Extra rounds, in a process of their own, are for contenders of which an interval reaches farther
# than that to either side: a second run would find these elsewhere.
WIDE = 0.045


@dataclass(frozen=True)
class Settings:
    k: int = 10
    rounds: int = 7  # of three repeats each: 2,100 queries at least
    processes: int = 1  # that each contender is measured in, one after the other
    extra: int = 0  # rounds at most, for contenders whose ratios are not sure by then
    single: bool = False
    cpu_time: bool = False
    max_queries: int | None = None
    build_threads: int = 2
    search_threads: int = 1
    time_limit: float = 900.0  # seconds of a build
    search_limit: float = 60.0  # seconds of one search command
    cache: Path | None = None
    build_only: bool = False
    fixed_ef: int | None = None  # recall there too, to compare graphs
    adapters: tuple[Path, ...] = ()


@dataclass
class Result:
    """All that was measured of one contender on one data set."""

    contender: Contender
    status: str = "ok"
    why: str | None = None
    version: str | None = None
    flags: dict[str, Any] = field(default_factory=dict)
    build: dict[str, Any] | None = None
    points: list[Point] = field(default_factory=list)
    beside: list[Point] = field(default_factory=list)  # the reference, in each turn of ours
    fixed_recall: float = math.nan

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def exact(self) -> bool:
        return self.contender.family == "flat"

    @property
    def repeats(self) -> int:
        """Of each setting in a turn."""
        return 1 if self.exact else REPEATS

    def cut_short(self) -> None:
        """Forget the round that an interruption ended early."""
        done = min((len(point.rates) for point in self.points + self.beside), default=0)
        for point in self.points + self.beside:
            del point.rates[done:], point.single_rates[done:]
        if done == 0:
            self.status, self.why, self.points = "failed", "interrupted", []


@dataclass
class _Runner:
    """A contender that is still in the race."""

    result: Result
    worker: Worker
    repeats: list[tuple[int, int]] = field(default_factory=list)  # queries and passes, per point
    rates: list[list[float]] = field(default_factory=list)  # of its last turn, per point
    kept: Path | None = None  # its index, if it could be saved


class Session:
    """One data set and everybody who is measured on it."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        reference: str = "",
        ended: Callable[[Result], None] | None = None,
    ) -> None:
        self.path, self.settings, self.reference = path, settings, reference
        self.data = datasets.load(path, max_queries=settings.max_queries)
        self.kth = datasets.kth_distance(self.data, settings.k)
        self.known = known(settings.adapters)
        self.ended = ended or (lambda result: None)
        self.results: list[Result] = []
        self.runners: list[_Runner] = []
        self.folder = tempfile.TemporaryDirectory(prefix="bench-recall-")

    def run(self, names: Sequence[str]) -> list[Result]:
        """Measure; ``ended`` hears of each contender as soon as nothing more happens to it."""
        try:
            for name in names:
                self._begin(name)
            if not self.settings.build_only:
                self._each(list(self.runners), self._explore)
                for reference in self._references():
                    for runner in self.runners:
                        if runner is not reference:
                            runner.result.beside = _blank(reference.result.points)
                for number in range(self.settings.rounds):
                    if number in self._fresh():
                        self._each(list(self.runners), self._again)
                    self._one_round(number, self.runners)
                    self._note(f"round {number + 1} of {self.settings.rounds}")
                self._extra()
        except KeyboardInterrupt:
            for runner in self.runners:
                runner.result.cut_short()
            raise
        finally:
            for runner in self.runners:
                runner.worker.close(kill=True)
                self.ended(runner.result)
            self.folder.cleanup()
        return self.results

    def _begin(self, name: str) -> None:
        result = Result(self.known[name], version=_installed(self.known[name].library))
        self.results.append(result)
        runner = _Runner(result, self._worker(name))
        self.runners.append(runner)
        self._note(f"{name} builds")
        self._each([runner], self._build)
        if result.build:
            self._note(f"{name} built in {result.build['seconds']:.1f} s")

    def _build(self, runner: _Runner) -> None:
        settings = self.settings
        threads = (settings.build_threads, settings.search_threads)
        keep = Path(self.folder.name) / runner.result.name.replace(" ", "_")
        where = (settings.cache, keep if settings.processes > 1 else None)
        built = runner.worker.call(settings.time_limit, "build", *threads, *where)
        runner.kept = built.pop("kept")
        runner.result.flags, runner.result.version = built.pop("flags"), built.pop("version")
        runner.result.build = built

    def _worker(self, name: str) -> Worker:
        return Worker(name, self.settings.adapters, self.path, self.settings.max_queries)

    def _fresh(self) -> set[int]:
        """The rounds that begin with new processes."""
        rounds, processes = self.settings.rounds, self.settings.processes
        return {round(rounds * i / processes) for i in range(1, processes)}

    def _again(self, runner: _Runner) -> None:
        """A new process, other pages of memory: what these happen to be makes some percent."""
        if runner.kept is None:
            return
        runner.worker.close(kill=True)
        runner.worker = self._worker(runner.result.name)
        self._call(runner, "load", runner.kept, self.settings.search_threads)

    def _explore(self, runner: _Runner) -> None:
        k, result, most = self.settings.k, runner.result, len(self.data.query)
        slowest = 2 * most / self.settings.search_limit  # all queries take half the limit

        def attempt(params: Params, queries: int | None) -> tuple[float, float]:
            count = (FLAT_BATCH if result.exact else most) if queries is None else queries
            how = (k, params, count, self.settings.cpu_time)
            ids, seconds = self._call(runner, "find", *how)
            return datasets.recall(self.data, ids, self.kth), len(ids) / max(seconds, 1e-9)

        families = self._call(runner, "sweep", k)
        for point, rate in explore(families, attempt, slowest):
            result.points.append(point)
            runner.repeats.append(self._repeat(rate, result.exact))
        if self.settings.fixed_ef is not None and "ef" in result.points[0].params:
            result.fixed_recall = attempt({"ef": self.settings.fixed_ef}, None)[0]
        self._note(f"{result.name} explored, {len(result.points)} settings")

    def _repeat(self, rate: float, exact: bool) -> tuple[int, int]:
        """Queries and passes of a repeat that lasts neither a blink nor for ever."""
        all_queries = len(self.data.query)
        if exact:
            return min(FLAT_BATCH, all_queries), 1
        wanted = rate * REPEAT_SECONDS
        queries = min(all_queries, max(LEAST, math.ceil(wanted)))
        return queries, max(1, round(wanted / queries))

    def _extra(self) -> None:
        """A few more rounds in new processes, for those whose ratios are not sure yet."""
        if self.settings.extra == 0:
            return
        unsure = [runner for runner in self.runners if _unsure(runner.result)]
        if unsure:
            self._each([*self._references(), *unsure], self._again)
        for number in range(self.settings.extra):
            unsure = [runner for runner in unsure if runner in self.runners]
            if unsure:
                self._one_round(self.settings.rounds + number, unsure)
                self._note(f"extra round {number + 1} for {len(unsure)} contenders")

    def _one_round(self, number: int, runners: Sequence[_Runner]) -> None:
        """A turn for each, from another one on in every round, with the reference beside it."""
        references = self._references()
        others = [runner for runner in runners if runner not in references]
        first = number % max(1, len(others))
        beside: list[list[list[float]]] = []
        for runner in others[first:] + others[:first]:
            if self._turn([runner, *references], number):
                _append(runner.result.points, runner.rates)
                for reference in references:
                    _append(runner.result.beside, reference.rates)
                    beside.append(reference.rates)
            references = [reference for reference in references if reference in self.runners]
        for reference in references:
            if not beside and self._turn([reference], number):  # nobody else is left
                beside.append(reference.rates)
            _append(reference.result.points, *beside)

    def _references(self) -> list[_Runner]:
        """The reference, if it is in the race and not alone in it."""
        found = [runner for runner in self.runners if runner.result.name == self.reference]
        return found if len(self.runners) > 1 else []

    def _turn(self, runners: Sequence[_Runner], number: int) -> bool:
        """Throughputs of every point of one contender, or of two whose points alternate.

        What has the same recall is measured in the same tenth of a second, for a shared machine is
        faster or slower for a fraction of a second, or for two. False if one of them failed.
        """
        slots = [
            (point.recall, runner, place)
            for runner in runners
            for place, point in enumerate(runner.result.points)
        ]
        slots.sort(key=lambda slot: slot[0])
        for runner in runners:
            runner.rates = [[] for _ in runner.result.points]
            self._each([runner], self._warm)
        repeats = runners[0].result.repeats
        for repeat in range(number * repeats, (number + 1) * repeats):
            for _, runner, place in slots if repeat % 2 == 0 else slots[::-1]:
                if any(runner not in self.runners for runner in runners):
                    return False
                self._each([runner], partial(self._measure, place=place, number=repeat))
        return all(runner in self.runners for runner in runners)

    def _warm(self, runner: _Runner) -> None:
        self._call(runner, "warm", self.settings.k, runner.result.points[0].params, WARM)

    def _measure(self, runner: _Runner, place: int, number: int) -> None:
        settings, point = self.settings, runner.result.points[place]
        queries, passes = runner.repeats[place]
        repeat = (settings.k, point.params, number * queries, queries, passes)
        how = (settings.single, settings.cpu_time)
        runner.rates[place].append(self._call(runner, "rate", *repeat, *how))
        if runner.result.exact and len(point.single_rates) <= number:
            one = (settings.k, point.params, 0, FLAT_SINGLE, 1, True, settings.cpu_time)
            point.single_rates.append(self._call(runner, "rate", *one))

    def _call(self, runner: _Runner, command: str, *arguments: Any) -> Any:
        return runner.worker.call(self.settings.search_limit, command, *arguments)

    def _each(self, runners: Sequence[_Runner], work: Callable[[_Runner], None]) -> None:
        """Whoever fails leaves the race, with a reason, and the others go on."""
        for runner in runners:
            try:
                work(runner)
            except Failure as failure:
                result = runner.result
                result.status, result.why, result.points = failure.status, failure.why, []
                self._note(f"{result.name}: {failure.status}: {failure.why}")
                runner.worker.close(kill=True)
                self.runners.remove(runner)
                self.ended(result)

    def _note(self, text: str) -> None:
        print(f"{self.path.stem}: {text}", file=sys.stderr, flush=True)


def _blank(points: Sequence[Point]) -> list[Point]:
    return [Point(point.params, point.recall, family=point.family) for point in points]


def _unsure(result: Result) -> bool:
    """Whether a ratio of it has an interval that is wide; of one round there is none."""
    points, repeats = (result.points, result.beside), result.repeats
    found = [paired(*points, target, repeats) for target in TARGETS]
    return any(math.log(ratio.high / ratio.low) / 2 > WIDE for ratio in found if ratio)


def _append(points: Sequence[Point], *turns: Sequence[Sequence[float]]) -> None:
    """The repeats of one more round for each point: geometric means of those of some turns."""
    for point, rates in zip(points, zip(*turns, strict=True), strict=True):
        point.rates += [statistics.geometric_mean(same) for same in zip(*rates, strict=True)]


def _installed(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
