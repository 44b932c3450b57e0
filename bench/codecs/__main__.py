"""Compare codecs: ``python -m bench.codecs DATA [DATA ...] [--bytes 16,32,48]``.

For each number of bytes the best form of either library is named at the end. Recall is that of the
codes alone, by exhaustive search; nothing is re-ranked. Queries are not among the rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from bench.codecs.forms import Form, forms_of
from bench.recall.datasets import load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.codecs", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--bytes", default="16,32,48,96,192")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2, help="for learning and encoding")
    parser.add_argument("--only", default="", help="forms whose name holds this")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for path in options.data:
        data = load(path)
        rows = np.ascontiguousarray(data.base[: options.rows])
        queries = np.ascontiguousarray(data.query[: options.queries])
        truth = exact(rows, queries, data.metric)
        print(f"{path.stem}: {len(rows):,} rows, {rows.shape[1]} dimensions, {data.metric}")
        for budget in map(int, options.bytes.split(",")):
            best: dict[str, tuple[float, str]] = {}
            for form in forms_of(budget, rows.shape[1]):
                if options.only not in form.name:
                    continue
                line = measure(form, rows, queries, truth, data.metric, options.threads)
                line |= {"dataset": path.stem, "budget": budget}
                print(
                    f"  {budget:>4}  {form.library:8} {form.name:24} "
                    + (
                        line["problem"]
                        if "problem" in line
                        else f"{line['bytes']:>5} bytes  {line['recall']:.4f}  "
                        f"made in {line['seconds']:6.1f} s"
                    ),
                    flush=True,
                )
                if options.json:
                    with options.json.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                if "recall" in line and line["bytes"] <= budget:
                    best[form.library] = max(
                        best.get(form.library, (0.0, "")), (line["recall"], form.name)
                    )
            if len(best) == 2:
                gap = best["vicinal"][0] - best["faiss"][0]
                print(f"  {budget:>4}  best: {best}  vicinal - faiss {100 * gap:+.1f} points")


def exact(rows: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    """Ids of the ten nearest rows, by exhaustive search of faiss."""
    import faiss

    index = faiss.IndexFlatL2(rows.shape[1])
    if metric != "l2":
        index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index.search(queries, 10)[1]


def measure(
    form: Form,
    rows: np.ndarray,
    queries: np.ndarray,
    truth: np.ndarray,
    metric: str,
    threads: int,
) -> dict[str, object]:
    """One form: bytes, recall@10, seconds to learn and encode; or the problem it had."""
    start = time.perf_counter()
    line: dict[str, object] = {"library": form.library, "form": form.name}
    try:
        search, size = form.make(rows, metric, threads)
        line["seconds"] = time.perf_counter() - start
        found = search(queries, 10)
    except Exception as error:  # whatever another library raises is a row of the table
        return line | {"problem": f"{type(error).__name__}: {error}"[:120]}
    hits = (found[:, :, None] == truth[:, None, :]).any(axis=2).mean()
    return line | {"bytes": size, "recall": float(hits)}


if __name__ == "__main__":
    main()
