"""Code built for a wider instruction set must stay where the dispatcher alone reaches it.

An inline function compiled with AVX-512 flags may be the copy that the linker keeps for everybody,
and an older CPU then stops far from the kernels. These tests read the object files of a build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

LEVELS = ("avx512vbmi", "avx512vnni", "avx512", "avx2")
WIDE = re.compile(r"%[yz]mm\d|%k[0-7]\b|%xmm(?:1[6-9]|2\d|3[01])\b")
# A VEX or EVEX instruction is spelt with a v; these legacy ones are too.
LEGACY_V = {"verr", "verw", "vmcall", "vmfunc", "vmmcall"}


def build_dir() -> Path:
    named = os.environ.get("VICINAL_BUILD_DIR")
    if not named:
        pytest.skip("VICINAL_BUILD_DIR names no CMake build directory whose objects to read")
    return Path(named)


def objects() -> list[Path]:
    found = sorted((build_dir() / "cpp").rglob("*.o"))
    assert found, f"{build_dir()} holds no object files of the library; build it first"
    return found


def level_of(path: Path) -> str | None:
    for level in LEVELS:
        if f"vicinal_{level}.dir" in path.parts:
            return level
    return None


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name} (binutils)")
    return path


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_x86_64() -> bool:
    return "x86-64" in run(tool("objdump"), "-f", str(objects()[0]))


@pytest.fixture(autouse=True)
def only_x86() -> None:
    if not is_x86_64():
        pytest.skip("the objects are not x86-64: there are no wider levels")


def test_each_level_has_objects() -> None:
    assert {level_of(path) for path in objects()} >= {None, *LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_export_only_their_own_namespace(level: str) -> None:
    foreign = []
    for path in objects():
        if level_of(path) != level:
            continue
        for line in run(
            tool("nm"), "-C", "--defined-only", "--extern-only", str(path)
        ).splitlines():
            kind, _, name = line.partition(" ")[2].partition(" ")
            if not name.startswith(f"vicinal::kernels::{level}::"):
                foreign.append(f"{path.name}: {kind} {name}")
    assert not foreign, "symbols that code for plain CPUs may be linked to:\n" + "\n".join(foreign)


def instructions(path: Path) -> list[str]:
    listing = run(tool("objdump"), "-d", "--no-show-raw-insn", str(path))
    return [line.split("\t", 1)[1] for line in listing.splitlines() if "\t" in line]


def test_everything_else_runs_on_plain_x86_64() -> None:
    wide = []
    for path in objects():
        if level_of(path) is not None:
            continue
        for text in instructions(path):
            mnemonic = text.split()[0] if text.split() else ""
            vex = mnemonic.startswith("v") and mnemonic not in LEGACY_V
            if vex or WIDE.search(text):
                wide.append(f"{path.name}: {text}")
                break
    assert not wide, "wide instructions outside the level folders:\n" + "\n".join(wide)


def test_candidates_are_never_compressed_to_memory() -> None:
    # Microcoded on Zen 4, about a hundred times slower than a register and a store.
    for path in objects():
        if level_of(path) is None:
            continue
        bad = [t for t in instructions(path) if re.match(r"v?p?compress\w*\s+%zmm\d+,.*\(", t)]
        assert not bad, f"{path.name}: {bad[0]}"
