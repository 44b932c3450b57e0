"""What a benchmark measured: results files read, checked and merged."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from vicinal.bench._fields import Fields, bad_line, parse_line
from vicinal.bench._lines import KINDS
from vicinal.bench.records import (
    TARGETS,
    Build,
    Contender,
    Dataset,
    Kernel,
    Machine,
    Matched,
    Point,
    Ratio,
    Run,
    Settings,
)
from vicinal.errors import ArgumentError

__all__ = [
    "TARGETS",
    "Build",
    "Contender",
    "Dataset",
    "Kernel",
    "Machine",
    "Matched",
    "Point",
    "Ratio",
    "Results",
    "Run",
    "Settings",
    "Study",
    "read_results",
    "slug",
]

_Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True)
class Study:
    """Contenders that may be compared: same data, machine, mode, k, threads and clock.

    ``key`` is short and made of letters, digits and dashes. If several runs measured a contender,
    the newest counts.
    """

    key: str
    title: str
    dataset: Dataset
    machine: Machine
    settings: Settings
    runs: tuple[Run, ...]
    contenders: tuple[Contender, ...]
    ratios: tuple[Ratio, ...]

    def ratio(self, contender: str, target: float) -> Ratio | None:
        """Return the ratio of a contender at a recall."""
        for ratio in self.ratios:
            if ratio.contender == contender and abs(ratio.target - target) < 1e-9:
                return ratio
        return None

    @property
    def reference(self) -> str:
        """What most ratios are to; empty if there are none."""
        counts = Counter(ratio.reference for ratio in self.ratios)
        return counts.most_common(1)[0][0] if counts else ""

    @property
    def measured(self) -> tuple[Contender, ...]:
        """Those with at least one point."""
        return tuple(c for c in self.contenders if c.points)

    @property
    def curved(self) -> tuple[Contender, ...]:
        """Those measured that trade recall for speed: all but exact search."""
        return tuple(c for c in self.measured if not c.exact)

    @property
    def exact(self) -> tuple[Contender, ...]:
        """Those measured that search exactly."""
        return tuple(c for c in self.measured if c.exact)

    @property
    def unfinished(self) -> tuple[Contender, ...]:
        """Those that failed, took too long or refused."""
        return tuple(c for c in self.contenders if c.status != "ok")


@dataclass(frozen=True)
class Results:
    """The lines of one or several results files, in their order."""

    runs: tuple[Run, ...]
    datasets: tuple[Dataset, ...]
    contenders: tuple[Contender, ...]
    ratios: tuple[Ratio, ...]
    kernels: tuple[Kernel, ...]

    def run(self, name: str) -> Run:
        """Return the run of that name."""
        return next(run for run in self.runs if run.id == name)

    def newest_kernels(self) -> tuple[Kernel, ...]:
        """Return each kernel once, as the newest run measured it."""
        newest: dict[tuple[str, str, str], Kernel] = {}
        for kernel in sorted(self.kernels, key=lambda kernel: kernel.run):
            newest[kernel.name, kernel.level, kernel.where] = kernel
        return tuple(newest.values())

    def studies(self) -> tuple[Study, ...]:
        """Sort what may be compared into studies, in the order of the files."""
        groups: dict[_Key, list[Dataset]] = {}
        for dataset in self.datasets:
            run = self.run(dataset.run)
            settings = run.settings
            key = (
                *(dataset.name, dataset.sha256, dataset.rows, run.machine.cpu),
                *(settings.mode, settings.k, settings.search_threads, settings.clock),
            )
            groups.setdefault(key, []).append(dataset)
        taken: set[str] = set()
        return tuple(self._study(group, taken) for group in groups.values())

    def _study(self, datasets: Sequence[Dataset], taken: set[str]) -> Study:
        runs = sorted((self.run(dataset.run) for dataset in datasets), key=lambda run: run.id)
        names = {run.id for run in runs}
        dataset = max(datasets, key=lambda dataset: dataset.run)
        mine = [c for c in self.contenders if c.run in names and c.data == dataset.name]
        newest = {c.name: c for c in sorted(mine, key=lambda c: c.run)}
        # In the order of the file, which is that of the benchmark.
        order = dict.fromkeys(c.name for c in mine)
        contenders = tuple(newest[name] for name in order)
        told = {(c.run, c.name) for c in contenders}
        ratios = (r for r in self.ratios if (r.run, r.contender) in told and r.data == dataset.name)
        settings = runs[-1].settings
        title = dataset.name + (", one call per query" if settings.mode == "single" else "")
        if settings.search_threads > 1:
            title += f", {settings.search_threads} threads"
        if slug(title) in taken:  # the same data on another machine, say
            title += f", run {runs[-1].id}"
        taken.add(slug(title))
        return Study(
            slug(title),
            title,
            dataset,
            runs[-1].machine,
            settings,
            tuple(runs),
            contenders,
            tuple(ratios),
        )


def slug(text: str) -> str:
    """Make a name of letters, digits and dashes for a file or an element."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "data"


def read_results(paths: Iterable[str | os.PathLike[str]]) -> Results:
    """Read results files and check every line.

    Parameters
    ----------
    paths : iterable of path-like
        Files of JSON lines in the format ``vicinal-bench/1``. A run may be spread over several.

    Returns
    -------
    Results

    Raises
    ------
    FormatError
        A line is damaged or says what cannot be; the message names file, line and value.
    ValueError
        No file, or nothing measured in any.
    """
    files = [os.fspath(path) for path in paths]
    if not files:
        raise ArgumentError("no results file given, wanted one or more")
    reader = _Reader()
    for name in files:
        reader.read(name)
    found = reader.finish()
    if not (found.contenders or found.kernels):
        raise ArgumentError(f"nothing measured in {', '.join(files)}: no contender, no kernel")
    return found


class _Reader:
    """Lines of all files, by what makes them one and the same measurement."""

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[object, ...], Any]] = {kind: {} for kind in KINDS}
        self._where: dict[str, dict[tuple[object, ...], tuple[str, int]]] = {
            kind: {} for kind in KINDS
        }

    def read(self, path: str) -> None:
        number = 0
        with Path(path).open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    text = raw.decode("utf-8").strip()
                except UnicodeDecodeError:
                    raise bad_line(path, number, "not UTF-8 text") from None
                if text:
                    self._take(parse_line(text, path, number))

    def _take(self, fields: Fields) -> None:
        kind = fields.choice("kind", tuple(KINDS))
        make, key_of = KINDS[kind]
        made = make(fields)
        key = key_of(made)
        path, number = self._where[kind].setdefault(key, fields.where)
        if self._found[kind].setdefault(key, made) != made:  # the same line again is no harm
            raise fields.problem(
                f"this {kind} of run {key[0]} differs from the one in {path}, line {number}"
            )

    def finish(self) -> Results:
        runs, datasets = self._found["run"], self._found["dataset"]
        for kind, lines in self._found.items():
            for key, line in lines.items():
                path, number = self._where[kind][key]
                if kind != "run" and (line.run,) not in runs:
                    raise bad_line(path, number, f"no file tells of run {line.run!r}")
                if kind in ("contender", "ratio") and (line.run, line.data) not in datasets:
                    what = f"run {line.run} has no line for data set {line.data!r}"
                    raise bad_line(path, number, what)
        return Results(*(tuple(lines.values()) for lines in self._found.values()))
