"""The numbers as tables of text: for the page, the README and the documentation alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vicinal.bench import wording
from vicinal.bench._fields import LARGEST
from vicinal.bench.records import TARGETS, Contender, Kernel, Machine, Run
from vicinal.bench.results import Study
from vicinal.bench.sizes import TARGET
from vicinal.bench.wording import DASH

__all__ = [
    "Table",
    "bounds_table",
    "brief_table",
    "busy_line",
    "flags_table",
    "full_table",
    "headline",
    "kernels_table",
    "machine_line",
    "points_table",
    "study_line",
    "unfinished_table",
]


@dataclass(frozen=True)
class Table:
    """Headings and rows; the first ``left`` columns are words, the others numbers.

    ``strong`` holds the numbers of the rows that are vicinal's.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    strong: frozenset[int] = frozenset()


def full_table(study: Study) -> Table | None:
    """Tabulate throughput at each recall, ratios, build and memory of every contender measured."""
    reference = study.reference
    compared = {target for target in TARGETS if _has_ratios(study, target)}
    headings = ["contender"]
    for target in TARGETS:
        headings.append(f"q/s at {target}")
        if target in compared:
            headings.append(f"× {reference}")
    headings += ["best recall", "build s", "peak MB", "kept MB", "index MB", "bytes/vector"]
    rows = []
    for contender in _by_speed(study.measured):
        cells = [contender.name]
        for target in TARGETS:
            cells.append(wording.matched(contender.at_recall.get(target)))
            if target in compared:
                cells.append(_ratio(study, contender, target, reference))
        best = contender.best_recall
        cells.append(DASH if best is None else wording.recall(best))
        rows.append((*cells, *_costs(contender, study)))
    return _table(headings, rows, study)


def brief_table(study: Study) -> Table | None:
    """Tabulate throughput at one recall, ratio, build time and size of those measured."""
    reference = study.reference if _has_ratios(study, TARGET) else ""
    headings = ["contender", f"q/s at recall {TARGET}"]
    headings += [f"× {reference} (95% interval)"] if reference else []
    headings += ["build s", "index MB"]
    rows = []
    for contender in _by_speed(study.measured):
        cells = [contender.name, wording.matched(contender.at_recall.get(TARGET))]
        cells += [_ratio(study, contender, TARGET, reference)] if reference else []
        build, _, _, index, _ = _costs(contender, study)
        rows.append((*cells, build, index))
    return _table(headings, rows, study)


def points_table(study: Study) -> Table | None:
    """Tabulate every setting measured."""
    single = any(point.single_rates for c in study.measured for point in c.points)
    headings = ["contender", "parameters", f"recall@{study.settings.k}", "q/s", "rounds"]
    headings += ["q/s, one call per query"] if single else []
    rows = []
    for contender in study.measured:
        for point in contender.points:
            cells = [contender.name, wording.pairs(point.params), wording.recall(point.recall)]
            cells += [wording.rate(point.rate), wording.rounds(point)]
            if single:
                rate = point.single_rate
                cells.append(DASH if rate is None else wording.rate(rate))
            rows.append(tuple(cells))
    return _table(headings, rows, study, left=2)


def unfinished_table(studies: Iterable[Study]) -> Table | None:
    """Tabulate those that gave no result, or not all of it, and why."""
    rows = [
        (c.name, study.title, c.status, c.why or DASH, wording.version(c))
        for study in studies
        for c in study.unfinished
    ]
    return Table(("contender", "data", "what", "why", "version"), tuple(rows), 5) if rows else None


def flags_table(studies: Iterable[Study]) -> Table | None:
    """Tabulate version and flags of each contender, once for all data where they are the same."""
    rows: dict[tuple[str, str, str], None] = {}
    for study in studies:
        for c in study.contenders:
            rows[c.name, wording.version(c), wording.pairs(c.flags) or DASH] = None
    return Table(("contender", "version", "flags"), tuple(rows), 3) if rows else None


def kernels_table(kernels: Sequence[Kernel]) -> Table | None:
    """Tabulate what each kernel reached of its bound."""
    rows = tuple(
        (
            kernel.name,
            kernel.level or DASH,
            kernel.where or DASH,
            kernel.bound_by or DASH,
            f"{kernel.reached:,.1f} {kernel.unit}",
            f"{kernel.bound:,.1f} {kernel.unit}",
            f"{100 * kernel.reached / kernel.bound:.0f}%",
        )
        for kernel in kernels
    )
    headings = ("kernel", "level", "rows in", "bound set by", "reached", "bound", "of bound")
    return Table(headings, rows, 4) if rows else None


def bounds_table(run: Run) -> Table | None:
    """Tabulate what the machine can do; what is not a number is left out."""
    rows = []
    for name, value in run.bounds.items():
        for suffix, scale, unit in _UNITS:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and abs(value) < LARGEST and name.endswith(suffix):
                words = name.removesuffix(suffix).replace("_", " ")
                rows.append((words, f"{value * scale:,.2f} {unit}"))
                break
    return Table(("what", "measured"), tuple(rows)) if rows else None


# Share of the processors that may have been at work before a run.
_BUSY = 0.7

# Endings of names, longest first, with the factor to what people read.
_UNITS = (
    ("_bytes_per_s", 1e-9, "GB/s"),
    ("_flop_per_s", 1e-9, "GFLOP/s"),
    ("_mac_per_s", 1e-9, "GMAC/s"),
    ("_per_s", 1e-9, "G/s"),
    ("_hz", 1e-9, "GHz"),
    ("_s", 1e9, "ns"),
)


def headline(study: Study) -> str | None:
    """Say in a sentence or two how the fastest compare at one recall; None if none reach it."""
    at = [(c.at_recall[TARGET].rate, c) for c in study.measured if TARGET in c.at_recall]
    ours = max(((rate, c) for rate, c in at if c.ours), key=lambda pair: pair[0], default=None)
    theirs = max(
        ((rate, c) for rate, c in at if not c.ours), key=lambda pair: pair[0], default=None
    )
    if ours is None and theirs is None:
        return None
    if ours is None and theirs is not None:
        missed = any(c.ours for c in study.contenders)
        start = f"no form of vicinal reaches recall {TARGET}; " if missed else ""
        return (
            f"{start}at recall {TARGET} the fastest of the others ({theirs[1].name}) answers "
            f"{wording.rate(theirs[0])} queries a second."
        )
    assert ours is not None
    text = (
        f"at recall {TARGET} the fastest form of vicinal ({ours[1].name}) answers "
        f"{wording.rate(ours[0])} queries a second, "
    )
    if theirs is None:
        text += "and no other contender reaches it"
    else:
        text += f"the fastest of the others ({theirs[1].name}) {wording.rate(theirs[0])}"
    ratio = study.ratio(ours[1].name, float(TARGET))
    if ratio is not None:
        text += f"; against {ratio.reference}, paired: {wording.ratio(ratio)} times"
    return text + "."


def study_line(study: Study) -> str:
    """Say what was searched, and how."""
    data, settings = study.dataset, study.settings
    calls = "one call per query" if settings.mode == "single" else "all queries in one call"
    threads = f"{settings.search_threads} search thread{'s' * (settings.search_threads > 1)}"
    clock = "" if settings.clock == "wall" else f" Throughput by {settings.clock} time."
    metric = "inner product of rows of length 1" if data.metric == "ip" else data.metric
    return (
        f"{data.rows:,} vectors of {data.dim:,} dimensions, metric {metric}; "
        f"{data.queries:,} queries, recall@{settings.k}; {threads}, {calls}; "
        f"{wording.repeats(settings)}, interleaved; built with {settings.build_threads} "
        f"threads.{clock}"
    )


def machine_line(machine: Machine) -> str:
    """Say where it was measured."""
    parts = [machine.cpu, f"{machine.cpus} CPUs"]
    if machine.memory_bytes:
        parts.append(f"{machine.memory_bytes / 2**30:,.0f} GiB")
    parts.append(machine.system)
    parts += [f"Python {machine.python}"] if machine.python else []
    parts += [machine.compiler] if machine.compiler else []
    parts += [f"kernels {machine.level}"] if machine.level else []
    return ", ".join(parts)


def busy_line(machine: Machine) -> str | None:
    """Warn if the machine had other work when a run began."""
    if machine.load is None or machine.load <= _BUSY * machine.cpus:
        return None
    return (
        f"The machine was busy when the run began (load {machine.load:.1f} on {machine.cpus} "
        "CPUs): ratios may hold, other numbers are no evidence."
    )


def _table(
    headings: Sequence[str], rows: Sequence[tuple[str, ...]], study: Study, left: int = 1
) -> Table | None:
    ours = {contender.name for contender in study.contenders if contender.ours}
    strong = frozenset(i for i, row in enumerate(rows) if row[0] in ours)
    return Table(tuple(headings), tuple(rows), left, strong) if rows else None


def _by_speed(contenders: Iterable[Contender]) -> list[Contender]:
    """Fastest first; those that do not reach the recall last, in their order."""

    def speed(contender: Contender) -> float:
        at = contender.at_recall.get(TARGET)
        return -at.rate if at else 0.0

    return sorted(contenders, key=speed)


def _has_ratios(study: Study, target: str) -> bool:
    return any(abs(ratio.target - float(target)) < 1e-9 for ratio in study.ratios)


def _ratio(study: Study, contender: Contender, target: str, reference: str) -> str:
    if contender.name == reference:
        return "1" if target in contender.at_recall else DASH
    found = study.ratio(contender.name, float(target))
    text = wording.ratio(found)
    return text if found is None or found.reference == reference else f"{text} × {found.reference}"


def _costs(contender: Contender, study: Study) -> tuple[str, str, str, str, str]:
    build = contender.build
    if build is None:
        return (DASH, DASH, DASH, DASH, DASH)
    own = build.own_bytes
    return (
        wording.seconds(build.seconds) + (" (kept)" if build.from_cache else ""),
        wording.megabytes(build.peak_growth_bytes),
        wording.megabytes(build.kept_growth_bytes),
        wording.megabytes(own),
        f"{own / study.dataset.rows:,.0f}" if own else DASH,
    )
