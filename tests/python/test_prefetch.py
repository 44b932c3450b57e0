"""Gathering rows is fast only if later rows are on their way; compilers have deleted prefetches.

GCC 12 is known to drop all but the first prefetch of such loops. These tests count them in the
built kernels.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

GROUP = 4  # rows scored together: each step of a loop prefetches one line of each
KERNELS = {
    "avx2/floats": 6,
    "avx2/codes": 12,
    "avx512/floats": 10,
    "avx512vnni/codes": 8,
}  # file -> gather kernels in it: one per row type and ranking


def disassembly(source: str) -> str:
    named = os.environ.get("VICINAL_BUILD_DIR")
    if not named:
        pytest.skip("VICINAL_BUILD_DIR names no CMake build directory whose objects to read")
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("needs objdump (binutils)")
    level = source.split("/")[0]
    found = list(Path(named).rglob(f"vicinal_{level}.dir/{source}.cpp.o"))
    if not found:
        pytest.skip(f"no object of {source} in {named}: another processor, or not built")
    command = [objdump, "-d", "-C", "--no-show-raw-insn", str(found[0])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def functions(listing: str) -> dict[str, list[tuple[int, str]]]:
    """Name of each function -> its (address, instruction) pairs."""
    result: dict[str, list[tuple[int, str]]] = {}
    body: list[tuple[int, str]] = []
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if head:
            body = result.setdefault(head[1], [])
        elif "\t" in line:
            address, text = line.split("\t", 1)
            body.append((int(address.strip().rstrip(":"), 16), text))
    return result


def nested_loops(body: list[tuple[int, str]]) -> list[tuple[int, int]]:
    """Address ranges closed by a backward jump that lie within a larger such range."""
    start, end = body[0][0], body[-1][0]
    loops = []
    for address, text in body:
        jump = re.match(r"j\w+\s+([0-9a-f]+)\b", text)
        if jump and start <= int(jump[1], 16) < address <= end:
            loops.append((int(jump[1], 16), address))
    return [a for a in loops if any(b != a and b[0] <= a[0] and a[1] <= b[1] for b in loops)]


@pytest.mark.parametrize("source", sorted(KERNELS))
def test_gather_loops_prefetch_every_row_of_a_group(source: str) -> None:
    gathers = {
        name: body
        for name, body in functions(disassembly(source)).items()
        if "score_ids<" in name and ".cold" not in name
    }
    assert len(gathers) == KERNELS[source], sorted(gathers)
    for name, body in gathers.items():
        most = 0
        for first, last in nested_loops(body):
            inside = [text for address, text in body if first <= address <= last]
            most = max(most, sum(text.startswith("prefetch") for text in inside))
        assert most >= GROUP, f"{name}: {most} prefetches in its loop over a row, want {GROUP}"
