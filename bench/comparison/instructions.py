"""Instructions per kernel call, counted by callgrind: the same whatever else the machine does.

valgrind shows programs a processor without AVX-512, so these are the levels avx2 and scalar.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import CompareError, tail

COUNTED = "vicinal_counted"  # in native/count.cpp
LEAST_CHANGE = 0.005


@dataclass(frozen=True)
class Count:
    """Instructions of one case of ``native/count.cpp``, which makes four calls."""

    name: str
    base: int
    head: int

    @property
    def change(self) -> float:
        return self.head / self.base - 1

    @property
    def moved(self) -> bool:
        return abs(self.change) > LEAST_CHANGE

    @property
    def slower(self) -> bool:
        return self.moved and self.change > 0


def count(program: Path) -> dict[str, int]:
    """Run the counting program once under callgrind; instructions by case."""
    with tempfile.TemporaryDirectory(prefix="vicinal-compare-") as folder:
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += [f"--toggle-collect={COUNTED}", f"--dump-after={COUNTED}", str(program)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise CompareError(
                f"{program} ended with exit status {done.returncode} under valgrind",
                tail(done.stderr),
            )
        cases = done.stdout.splitlines()
        dumps = [Path(f"{out}.{part}") for part in range(1, len(cases) + 1)]
        if not cases or not dumps[-1].exists():
            raise CompareError(
                f"callgrind wrote fewer dumps than the {len(cases)} cases of {program}",
                tail(done.stderr),
            )
        return {case: parse(dump.read_text()) for case, dump in zip(cases, dumps, strict=True)}


def parse(text: str) -> int:
    """Instructions (event Ir) of one callgrind file."""
    events = re.search(r"^events: (.*)$", text, re.MULTILINE)
    totals = re.search(r"^(?:totals|summary): (.*)$", text, re.MULTILINE)
    if not events or not totals or "Ir" not in events[1].split():
        raise CompareError("not a callgrind file with instruction counts", tail(text, 3))
    return int(totals[1].split()[events[1].split().index("Ir")])


def compare(
    base: Mapping[str, int], again: Mapping[str, int], head: Mapping[str, int]
) -> tuple[list[Count], list[str]]:
    """Counts of the cases both have, and the names of those that differ from run to run of BASE."""
    unsteady = [name for name in base if base[name] != again.get(name)]
    counts = [
        Count(name, base[name], head[name])
        for name in base
        if name in head and name not in unsteady
    ]
    return counts, unsteady
