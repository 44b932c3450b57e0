"""What the person at the terminal reads, and the same as JSON lines."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .instructions import Count
from .noise import Verdict
from .recall import Recall

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


@dataclass
class Report:
    """All that was found, part by part; ``lines`` are for JSON."""

    slower: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)

    def begin(
        self, command: str, revisions: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        machine = {"cpu": cpu(), "cpus": os.cpu_count(), "system": platform.platform()}
        self.lines.append(
            {
                "kind": "run",
                "format": "vicinal-compare/1",
                "run": f"{now:%Y%m%dT%H%M%SZ}",
                "command": command,
                "machine": {**machine, "load": load, "python": platform.python_version()},
                **revisions,
                "settings": dict(settings),
            }
        )
        for side, revision in revisions.items():
            print(f"{side.upper()}  {revision['title']}")
        busy = f", load {load:.2f}" if load is not None else ""
        print(f"{machine['cpu']}, {machine['cpus']} processors{busy}")

    def timings(self, part: str, heading: str, verdicts: Sequence[Verdict]) -> None:
        print(f"\n{part}: {heading}")
        print(f"  {noise_here(verdicts)}")
        moved = sorted((v for v in verdicts if v.moved), key=lambda v: -v.change)
        width = max((len(v.name) for v in moved), default=0)
        for v in moved:
            print(
                f"  {'SLOWER' if v.slower else 'faster'}  {v.name:<{width}}  "
                f"{duration(v.base_seconds):>9} -> {duration(v.head_seconds):>9}  "
                f"{percent(v.change):>7}  (BASE twice: {percent(v.noise_low)} to "
                f"{percent(v.noise_high)}; p {v.p:.1g})"
            )
        print(f"  {summary(len(moved), len(verdicts))}")
        self.slower |= any(v.slower for v in verdicts)
        self.lines += [{"kind": "timing", "part": part, **asdict(v)} for v in verdicts]

    def answers(self, recall: Recall) -> None:
        """Recall is no matter of noise: equal programs give equal answers."""
        names = recall.names()
        print(f"\nanswers: {len(names)} searches, compared exactly")
        same = 0
        for name in names:
            base, head = recall.answers[("base", name)][0], recall.answers[("head", name)][0]
            equal = base.digest == head.digest
            same += equal
            if not equal:
                print(f"  changed  {name}: recall {base.recall:.4f} -> {head.recall:.4f}")
            self.lines.append(
                {
                    "kind": "answers",
                    "name": name,
                    "base_recall": base.recall,
                    "head_recall": head.recall,
                    "same": equal,
                }
            )
        for name in recall.unsteady():
            print(f"  BASE itself gave different answers from pass to pass: {name}")
        reached = [recall.answers[("base", name)][0].recall for name in names]
        span = f", recall {min(reached):.4f} to {max(reached):.4f}" if reached else ""
        print(f"  {same} of {len(names)} the same in every id{span}")

    def instructions(self, counts: Sequence[Count], unsteady: Sequence[str], levels: str) -> None:
        print(f"\ninstructions: {len(counts)} cases by callgrind, levels {levels}")
        print("  (valgrind hides AVX-512 from programs, so wider levels cannot be counted)")
        moved = sorted((c for c in counts if c.moved), key=lambda c: -c.change)
        width = max((len(c.name) for c in moved), default=0)
        for c in moved:
            print(
                f"  {'MORE' if c.slower else 'fewer':<6}  {c.name:<{width}}  {c.base:>11,} -> "
                f"{c.head:>11,}  {percent(c.change):>7}"
            )
        for name in unsteady:
            print(f"  not the same from run to run of BASE, left out: {name}")
        print(f"  {summary(len(moved), len(counts), 'by more than 0.5%')}")
        self.slower |= any(c.slower for c in counts)
        self.lines += [
            {"kind": "instructions", **asdict(c), "change": c.change, "moved": c.moved}
            for c in counts
        ]

    def alone(self, part: str, base: Sequence[str], head: Sequence[str]) -> None:
        for side, names in (("BASE", base), ("HEAD", head)):
            if names:
                shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
                print(f"  {len(names)} only in {side}, not compared: {shown}")
            self.lines += [{"kind": "alone", "part": part, "in": side, "name": n} for n in names]

    def write(self, path: Path) -> None:
        run = self.lines[0]["run"]
        with path.open("a") as file:
            for entry in self.lines:
                print(json.dumps({"kind": entry["kind"], "run": run, **entry}), file=file)


def noise_here(verdicts: Sequence[Verdict]) -> str:
    """How far two runs of BASE lay apart, which is what this machine can tell just now."""
    if not verdicts:
        return "nothing to compare"
    spread = sorted(max(-v.noise_low, v.noise_high) for v in verdicts)
    high = spread[min(len(spread) - 1, int(0.95 * len(spread)))]
    return (
        f"noise (BASE against itself): within {100 * statistics.median(spread):.1f}% for half of "
        f"them, within {100 * high:.1f}% for 95%"
    )


def summary(moved: int, of: int, how: str = "beyond noise") -> str:
    if moved == 0:
        return f"nothing moved {how}"
    return f"{moved} of {of} moved {how}"


def percent(change: float) -> str:
    return f"{100 * change:+.1f}%"


def duration(seconds: float) -> str:
    scale, unit = next(((s, u) for s, u in UNITS if seconds >= s), UNITS[-1])
    return f"{seconds / scale:.4g} {unit}"


def cpu() -> str:
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
