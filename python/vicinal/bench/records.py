"""The lines of a results file, as objects: run, dataset, contender, ratio, kernel."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

#: Recalls at which throughput is compared, as they are spelt in a file.
TARGETS = ("0.90", "0.95", "0.99")


@dataclass(frozen=True)
class Machine:
    """Where it was measured; None for what was not told."""

    cpu: str
    cpus: int
    memory_bytes: int | None
    l2_bytes: int | None
    l3_bytes: int | None
    system: str
    load: float | None
    python: str | None
    compiler: str | None
    level: str | None


@dataclass(frozen=True)
class Settings:
    """How it was measured.

    ``mode`` is "batch" or "single", one call per query; ``clock`` is "wall" or "processor".
    ``extra_rounds``: at most so many more, for contenders whose interval was wide after ``rounds``.
    ``repeats``: of each setting in a round.
    """

    k: int
    rounds: int
    build_threads: int
    search_threads: int
    mode: str
    time_limit_s: float | None
    clock: str
    extra_rounds: int
    repeats: int


@dataclass(frozen=True)
class Run:
    """One run of the benchmark; ``bounds`` are what the machine can do, if that was measured."""

    id: str
    command: str
    machine: Machine
    settings: Settings
    bounds: dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """The data of a run."""

    run: str
    name: str
    rows: int
    dim: int
    queries: int
    metric: str
    sha256: str


@dataclass(frozen=True)
class Build:
    """What building cost; None for what could not be told."""

    seconds: float
    cpu_seconds: float | None
    threads: int | None
    peak_growth_bytes: int | None
    kept_growth_bytes: int | None
    index_bytes: int | None
    file_bytes: int | None
    from_cache: bool

    @property
    def own_bytes(self) -> int | None:
        """Bytes of the index: its file, which is counted alike for all, or what it says itself."""
        return self.file_bytes or self.index_bytes


@dataclass(frozen=True)
class Point:
    """One setting of one contender; rates are queries per second, one for each round."""

    params: dict[str, Any]
    recall: float
    rates: tuple[float, ...]
    single_rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates)

    @property
    def single_rate(self) -> float | None:
        """The same with one call per query, if that was measured beside it."""
        return statistics.median(self.single_rates) if self.single_rates else None


@dataclass(frozen=True)
class Matched:
    """Throughput at a recall; ``above`` if the fastest setting has a higher recall already."""

    rate: float
    recall: float
    above: bool


@dataclass(frozen=True)
class Contender:
    """All that was measured of one contender on one data set."""

    run: str
    data: str
    name: str
    library: str
    version: str
    family: str
    flags: dict[str, Any]
    status: str
    why: str | None
    build: Build | None
    points: tuple[Point, ...]
    at_recall: dict[str, Matched]

    @property
    def ours(self) -> bool:
        """Whether it is vicinal."""
        return self.library == "vicinal"

    @property
    def exact(self) -> bool:
        """Whether it compares every row, and so has no curve of recall."""
        return self.family == "flat"

    @property
    def best_recall(self) -> float | None:
        """The highest recall of its points."""
        return max((point.recall for point in self.points), default=None)


@dataclass(frozen=True)
class Ratio:
    """Throughput over that of the reference, with the 95% interval of the paired rounds."""

    run: str
    data: str
    contender: str
    reference: str
    target: float
    ratio: float
    low: float | None
    high: float | None
    rounds: int


@dataclass(frozen=True)
class Kernel:
    """What a kernel reached, and what the machine would allow."""

    run: str
    name: str
    level: str
    where: str
    reached: float
    bound: float
    unit: str
    bound_by: str
