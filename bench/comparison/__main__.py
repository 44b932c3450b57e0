"""Compare two revisions: what got slower or faster beyond the noise of this machine.

Builds both, times BASE, HEAD and BASE again in interleaved rounds, and names what lies outside of
what BASE shows against itself. HEAD may be ".", the working tree as it is now, and is if left out.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from . import builds, instructions, kernels, noise
from .builds import Build
from .errors import CompareError
from .recall import Recall, prepare
from .report import Report
from .revisions import WORKING_TREE, Repository
from .rounds import interleave, pinned

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "python" / "vicinal" / "data" / "wordnet-10k.npz"
PARTS = ("kernels", "recall", "instructions")
ROUNDS = {"kernels": 15, "recall": 9}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    first, _, more = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="bench/compare", description=first, epilog=more)
    add = parser.add_argument
    add("base", metavar="BASE", help="a commit, tag or branch")
    add("head", metavar="HEAD", nargs="?", default=WORKING_TREE, help="likewise, or .")
    add("--kernels", metavar="FILTER", help="regular expression over the names of the benchmarks")
    add("--data", type=Path, default=DEMO, help="npz with base, query, gt, metric (default: demo)")
    add("--rounds", type=int, help="default: 15 for kernels, 9 for recall")
    add("--only", choices=PARTS, action="append", help="this part alone (repeatable)")
    add("--least", type=float, default=2.0, help="smallest change reported, in percent (default 2)")
    add("--wall", action="store_true", help="recall: count wall time, not processor time")
    add("--json", type=Path, metavar="FILE", help="append everything measured, one object a line")
    add("--fail-on-slower", action="store_true", help="exit status 1 if something got slower")
    add("--jobs", type=int, default=2, help="compilers at a time (default 2)")
    add("--folder", type=Path, default=ROOT / "build" / "compare", help="keeps the builds")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, wanted 1 or more")
    if options.kernels is not None:
        try:
            re.compile(options.kernels)
        except re.error as error:
            parser.error(f"--kernels {options.kernels!r} is no regular expression: {error}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        slower = compare(options, sys.argv[1:] if arguments is None else arguments)
    except CompareError as error:
        print(f"bench/compare: {error}", file=sys.stderr)
        if error.details:
            print(error.details, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench/compare: interrupted; the builds so far are kept", file=sys.stderr)
        return 130
    return 1 if slower and options.fail_on_slower else 0


def compare(options: argparse.Namespace, arguments: Sequence[str]) -> bool:
    """Do it all; whether anything got slower."""
    wanted = [part for part in PARTS if part in (options.only or PARTS)]
    lacks = {part: builds.lacking(part) for part in wanted}
    for part, what in lacks.items():
        if what:
            note(f"{part}: left out, {what}")
    wanted = [part for part in wanted if not lacks[part]]
    if not wanted:
        raise CompareError("nothing is left to measure")
    if "recall" in wanted and not options.data.is_file():
        raise CompareError(f"no file {options.data}")

    repository = Repository(ROOT, options.folder.resolve())
    names = {"base": options.base, "head": options.head}
    revisions = {side: repository.resolve(name) for side, name in names.items()}
    built: dict[str, Build] = {}
    for side, revision in revisions.items():
        note(f"building {side.upper()}: {revision.title}")
        source = repository.export(revision)
        build = built[side] = builds.configure(side.upper(), source, wanted)
        for part in tuple(wanted):
            try:
                builds.make(build, source, part, options.jobs)
            except CompareError as error:
                # The counting program is ours and new; an old revision's kernels may not fit it.
                if part != "instructions" or wanted == ["instructions"]:
                    raise
                note(f"instructions: left out, {error}")
                wanted.remove("instructions")

    report = Report()
    command = shlex.join(["bench/compare", *arguments])
    settings = {"least_percent": options.least, "rounds": options.rounds or ROUNDS}
    report.begin(command, {side: asdict(r) for side, r in revisions.items()}, settings)
    if revisions["base"].tree == revisions["head"].tree:
        print("The same files: whatever is reported below is noise.")
    measures: dict[str, Callable[[argparse.Namespace, Mapping[str, Build], Report], None]] = {
        "kernels": compare_kernels,
        "recall": compare_recall,
        "instructions": compare_instructions,
    }
    for part in wanted:
        measures[part](options, built, report)
    if options.json:
        report.write(options.json)
    return report.slower


def compare_kernels(
    options: argparse.Namespace, built: Mapping[str, Build], report: Report
) -> None:
    known = {side: kernels.names(build.kernels) for side, build in built.items()}
    chosen = {side: kernels.chosen(names, options.kernels) for side, names in known.items()}
    head = set(known["head"])
    both = [name for name in chosen["base"] if name in head]
    alone = [
        [name for name in chosen[side] if name not in set(known[other])]
        for side, other in (("base", "head"), ("head", "base"))
    ]
    if not both:
        print(f"\nkernels: no benchmark in both revisions matches {options.kernels!r}")
        report.alone("kernels", *alone)
        return
    rounds = options.rounds or ROUNDS["kernels"]
    programs = {"base": "base", "head": "head", "again": "base"}
    with pinned() as processor:
        samples = interleave(
            lambda side: kernels.seconds(built[programs[side]].kernels, both),
            rounds,
            lambda done: note(f"kernels: round {done} of {rounds}"),
        )
    verdicts = noise.judge(samples, options.least / 100)
    where = f"processor {processor}" if processor is not None else "not pinned"
    heading = f"{len(both)} benchmarks, {rounds} rounds, processor time, {where}"
    report.timings("kernels", heading, verdicts)
    enough("kernels", rounds, len(both))
    report.alone("kernels", *alone)


def compare_recall(options: argparse.Namespace, built: Mapping[str, Build], report: Report) -> None:
    rounds = options.rounds or ROUNDS["recall"]
    with tempfile.TemporaryDirectory(prefix="vicinal-compare-") as folder:
        data = Path(folder) / "data.npz"
        facts = prepare(options.data, data)
        base, head = built["base"].python, built["head"].python
        recall = Recall(data, {"base": base, "head": head, "again": base}, options.wall)
        with pinned() as processor:
            samples = interleave(
                recall.measure, rounds, lambda done: note(f"recall: round {done} of {rounds}")
            )
    verdicts = noise.judge(samples, options.least / 100)
    clock = "wall" if options.wall else "processor"
    where = f"processor {processor}" if processor is not None else "not pinned"
    heading = (
        f"{facts['data']}, {facts['rows']:,} x {facts['dim']}, {facts['queries']:,} queries, one "
        f"thread, {rounds} rounds, {clock} time, {where}"
    )
    report.timings("recall", heading, verdicts)
    enough("recall", rounds, len(verdicts))
    report.answers(recall)


def compare_instructions(
    options: argparse.Namespace, built: Mapping[str, Build], report: Report
) -> None:
    counted = {}
    for side, build in (("base", "base"), ("again", "base"), ("head", "head")):
        note(f"instructions: {'BASE' if build == 'base' else 'HEAD'}")
        all_cases = instructions.count(built[build].count)
        keep = [name for name in all_cases if re.search(options.kernels or "", name)]
        counted[side] = {name: all_cases[name] for name in keep}
    counts, unsteady = instructions.compare(counted["base"], counted["again"], counted["head"])
    seen = {level for name in counted["base"] for level in name.split("/")}
    levels = ", ".join(level for level in ("avx2", "scalar") if level in seen) or "none"
    report.instructions(counts, unsteady, levels)
    alone = [
        [name for name in counted[side] if name not in counted[other]]
        for side, other in (("base", "head"), ("head", "base"))
    ]
    report.alone("instructions", *alone)


def enough(part: str, rounds: int, benchmarks: int) -> None:
    needed = noise.rounds_needed(benchmarks)
    if rounds < needed:
        print(
            f"  {rounds} rounds cannot tell {benchmarks} benchmarks from noise: --rounds {needed} "
            f"or more, or fewer benchmarks ({part})"
        )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
