"""Running the Google Benchmark program of a revision and reading what it says."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .errors import CompareError, tail

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# In a pass each benchmark runs a few times for about a millisecond, and the best counts: neighbours
# only ever slow it down. On two processors with eight programs at work, successive passes of the
# median benchmark differed by 5.7%, with one run of five milliseconds by 8.3%.
MIN_SECONDS = 0.001
REPEATS = 5
SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


def names(program: Path) -> list[str]:
    """All benchmarks the program knows on this machine, in its order."""
    return run(program, ["--benchmark_list_tests=true"]).split()


def chosen(known: Iterable[str], pattern: str | None) -> list[str]:
    """Those that the regular expression finds.

    Without one: those in cache at every vector level, as they are quick and steady; where there is
    no vector level, the portable ones.
    """
    if pattern is not None:
        return [name for name in known if re.search(pattern, name)]
    cached = [name for name in known if "/memory" not in name]
    wide = [name for name in cached if not re.search("/scalar(/|$)", name)]
    return wide or cached


def seconds(program: Path, wanted: Sequence[str]) -> dict[str, float]:
    """Processor seconds of one call, by benchmark: one pass over all that are wanted."""
    exactly = "^(" + "|".join(SPECIAL.sub(r"\\\g<0>", name) for name in wanted) + ")$"
    with tempfile.TemporaryDirectory(prefix="vicinal-compare-") as folder:
        out = Path(folder) / "out.json"
        options = [f"--benchmark_filter={exactly}", f"--benchmark_min_time={MIN_SECONDS}"]
        options += [f"--benchmark_repetitions={REPEATS}"]
        options += [f"--benchmark_out={out}", "--benchmark_out_format=json"]
        run(program, options)
        times = parse(out.read_text())
    missing = [name for name in wanted if name not in times]
    if missing:
        raise CompareError(f"{program} did not run {len(missing)} benchmarks, first {missing[0]}")
    return times


def parse(text: str) -> dict[str, float]:
    """Processor seconds by name from the JSON of Google Benchmark: the best of its repetitions."""
    report: dict[str, Any] = json.loads(text)
    times: dict[str, float] = {}
    for entry in report["benchmarks"]:
        if entry.get("run_type", "iteration") != "iteration":
            continue
        if entry.get("error_occurred"):
            raise CompareError(f"{entry['name']}: {entry.get('error_message', 'failed')}")
        taken = entry["cpu_time"] * UNITS[entry["time_unit"]]
        times[entry["name"]] = min(taken, times.get(entry["name"], taken))
    return times


def run(program: Path, options: Sequence[str]) -> str:
    done = subprocess.run([str(program), *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise CompareError(
            f"{program} ended with exit status {done.returncode}", tail(done.stderr + done.stdout)
        )
    return done.stdout
