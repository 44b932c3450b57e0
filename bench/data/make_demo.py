"""Make the data that `vicinal demo` ships with: 10,000 definitions and 1,000 words.

usage: make_demo.py VECTORS.npz TEXT.json.gz OUT_FOLDER

VECTORS holds ``base`` (n, 384) and ``query`` (q, 384), float16, and ``target`` (q,): the row of
``base`` that defines the word of each query. TEXT holds ``definitions`` (``words`` and
``definition`` of each row) and ``queries`` (the words), in the same order.

The first 1,000 queries are kept, then their definitions, then definitions from the front until
there are 10,000; all in their old order. Values are copied, not rounded. The same input gives the
same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np

ROWS, QUERIES = 10_000, 1_000


def main(vectors_path: str, text_path: str, out: str) -> None:
    """Choose, renumber and write."""
    vectors = np.load(vectors_path)
    with gzip.open(text_path, "rt", encoding="utf-8") as file:
        text = json.load(file)
    base, queries = vectors["base"], vectors["query"][:QUERIES]
    targets = vectors["target"][:QUERIES]

    kept = np.zeros(len(base), bool)
    kept[targets] = True
    others = np.flatnonzero(~kept)
    kept[others[: ROWS - int(kept.sum())]] = True
    rows = np.flatnonzero(kept)
    new_number = np.cumsum(kept) - 1

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "wordnet-10k.npz",
        base=base[rows],
        queries=queries,
        targets=new_number[targets].astype(np.int32),
    )
    document = {
        "definitions": [text["definitions"][row] for row in rows],
        "queries": text["queries"][:QUERIES],
    }
    packed = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    (folder / "wordnet-10k.json.gz").write_bytes(gzip.compress(packed, 9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
