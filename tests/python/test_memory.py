"""What the report counts is what the process holds, and input is not copied."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal

ROWS, DIM = 60_000, 128


def resident() -> int:
    """Bytes of memory this process holds, without what the allocator keeps for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("codec", ["float32", "sq8"])
def test_the_report_is_what_the_process_holds(codec: str, normal: Any) -> None:
    rows = normal(ROWS, DIM)
    rows[:] += 1  # touched
    gc.collect()
    before = resident()
    index = vicinal.FlatIndex(DIM, codec=codec)
    index.add(rows, threads=1)
    gc.collect()
    grown = resident() - before
    reported = index.memory().allocated
    assert reported >= ROWS * DIM * (4 if codec == "float32" else 1)
    # Rows come from whole huge pages; the rest of the process moves by a few MiB.
    slack = 8 * 2**20
    assert reported - slack <= grown <= reported + slack


def test_input_is_not_copied_in_python(normal: Any) -> None:
    rows = np.asfortranarray(normal(20_000, 64).astype(np.float64))
    index = vicinal.FlatIndex(64)
    tracemalloc.start()
    index.add(rows)
    index.search(rows[:100], 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # numpy reports its arrays here: answers and little else.
    assert peak < 200_000


def test_an_index_is_given_back(normal: Any, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    rows = normal(ROWS, DIM)

    def once() -> None:
        index = vicinal.FlatIndex(DIM)
        index.add(rows)
        index.search(rows[:10], 3)
        index.save(tmp_path / "index")
        vicinal.open(tmp_path / "index", "load").search(rows[:10], 3)

    once()
    gc.collect()
    before = resident()
    for _ in range(4):
        once()
    gc.collect()
    # Eight indexes of 30 MiB came and went.
    assert resident() - before < ROWS * DIM * 4


def test_a_report_prints_and_compares() -> None:
    report = vicinal.MemoryReport(
        (
            vicinal.MemoryPart("codes", 1000, True),
            vicinal.MemoryPart("links", 234, False),
            vicinal.MemoryPart("links", 6, False),
        )
    )
    assert dict(report) == {"codes": 1000, "links": 240}
    assert (report.total, report.mapped, report.allocated) == (1240, 1000, 240)
    assert str(report).splitlines() == [
        "codes  1,000 bytes mapped",
        "links    234 bytes",
        "links      6 bytes",
        "total  1,240 bytes",
    ]
