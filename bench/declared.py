"""``python -m bench.declared DATA ...``: does the recall that a search asks for come?

Each index is calibrated twice: on queries that the search never sees (every other one of the file),
and on rows of its own. Then the other queries are searched for, and their recall compared with the
recall asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.recall.datasets import Floats, load

import vicinal
from vicinal.evaluate import ground_truth, recall_at_k

K = 10
DECLARED = (0.90, 0.95, 0.99)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.declared", description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rows", type=int, help="only the first so many of the base")
    options = parser.parse_args(arguments)
    print(
        f"{'data':<22}{'calibrated on':<18}{'ask':>5}{'ef':>6}{'slack':>8}{'got':>8}{'points':>8}"
    )
    for path in options.data:
        data = load(path)
        base = data.base[: options.rows]
        shown, asked = data.query[::2], data.query[1::2]
        truth = ground_truth(base, asked, K, data.measure).ids
        index = vicinal.HNSWIndex(base.shape[1], data.measure, codec="sq8", refine="float16")
        index.add(base)
        for source, queries in (("other queries", shown), ("rows", None)):
            _show(data.name, source, index, queries, asked, truth)


def _show(
    name: str,
    source: str,
    index: vicinal.HNSWIndex,
    queries: Floats | None,
    asked: Floats,
    truth: vicinal._types.Ids,
) -> None:
    calibration = index.calibrate(queries, k=K)
    for declared in DECLARED:
        try:
            ef, slack = calibration.effort(K, declared)
        except vicinal.ArgumentError as error:
            print(f"{name:<22}{source:<18}{declared:>5.2f}  {error}")
            continue
        got = recall_at_k(index.search(asked, K, recall=declared).ids, truth, K)
        shown = "-" if slack is None else f"{slack:.4f}"
        points = 100 * (got - declared)
        print(f"{name:<22}{source:<18}{declared:>5.2f}{ef:>6}{shown:>8}{got:>8.4f}{points:>+8.2f}")


if __name__ == "__main__":
    main()
