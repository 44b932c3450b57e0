"""How far two runs of the comparison agree: ``python -m bench.recall.agree FIRST SECOND``.

Prints every ratio of both runs and how far they are apart. The exit code is 1 where a pair is
farther apart than ``--within``, or where one run has a ratio and the other does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .report import columns

Key = tuple[str, str, str, float]  # data set, contender, reference, target


def ratios(path: Path) -> dict[Key, float]:
    """The ratios of the last run in a results file."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    runs = [line["run"] for line in lines if line["kind"] == "run"]
    if not runs:
        raise ValueError(f"{path} holds no run")
    return {
        (line["data"], line["contender"], line["reference"], line["target"]): line["ratio"]
        for line in lines
        if line["kind"] == "ratio" and line["run"] == runs[-1]
    }


def compare(
    first: dict[Key, float], second: dict[Key, float], within: float
) -> tuple[list[list[str]], int]:
    """A table, and how many pairs of ratios are too far apart or not a pair."""
    rows, bad = [["on", "contender", "at", "first", "second", "apart", ""]], 0
    for key in sorted(first | second):
        a, b = first.get(key), second.get(key)
        data, contender, _, target = key
        apart = abs(b / a - 1) if a and b else None
        good = apart is not None and apart <= within
        bad += not good
        shown = [f"{value:.2f}" if value else "-" for value in (a, b)]
        far = "-" if apart is None else f"{apart:.1%}"
        rows.append([data, contender, f"{target:.2f}", *shown, far, "" if good else "too far"])
    return rows, bad


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recall.agree", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--within", type=float, default=0.10, help="share (default 0.10)")
    options = parser.parse_args()
    rows, bad = compare(ratios(options.first), ratios(options.second), options.within)
    print(columns(rows))
    print(f"{len(rows) - 1} ratios, {bad} farther apart than {options.within:.0%}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
